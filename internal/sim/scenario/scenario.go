// Package scenario holds the incidents by which strategies are judged, and
// measures what becomes of them in the simulator.
//
// Unless a scenario says otherwise there is one service with one endpoint, a
// first-come-first-served queue of 20,000 before a server of 1,000 requests a
// second, loaded to .8 of that by Poisson first tries that are dealt out evenly
// over the members; attempts time out after a second, and the server goes on with
// what nobody waits for any more.
package scenario

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// Params say how a scenario is run. Zero means the default.
type Params struct {
	N        int
	Seed     uint64
	Strategy sim.Strategy

	Rho      float64       // load over capacity; default .8
	Capacity float64       // requests a second; default 1000
	Timeout  time.Duration // of an attempt; default 1 s
	Extras   []Extra       // faults combined with the scenario

	Trace io.Writer
	Watch sim.Watch
}

// Scenario is an incident.
type Scenario struct {
	ID    string
	Title string
	Lasts time.Duration // from the onset of the fault to its end

	configure func(*sim.Config, *Params)
	begin     func(*run) // before the warm-up
	fault     func(*run) // at the onset
}

// Extra is a fault that can be combined with any scenario.
type Extra struct {
	ID        string
	Title     string
	configure func(*sim.Config, *Params)
	begin     func(*run)
	fault     func(*run)
}

const (
	warmUp = 30 * time.Second
	after  = 60 * time.Second // after the fault goodput is measured for so long,
	tail   = 12 * time.Second // and recovery a little longer
)

// Result is what became of a scenario.
type Result struct {
	Scenario string `json:"scenario"`
	N        int    `json:"n"`
	Seed     uint64 `json:"seed"`
	Policy   string `json:"policy"`

	Amplification float64  `json:"amplification"` // attempts over first tries wanted, fault + 10 s
	Peak          float64  `json:"peak"`          // most attempts of a second over capacity, from 4 s after the onset
	Goodput       float64  `json:"goodput"`       // calls that succeeded, fault + 60 s
	Recovery      *float64 `json:"recovery_s"`    // from the end of the fault until 97 % succeed for 5 s; null: never
	AttemptsDown  int      `json:"attempts_down"` // attempts while the endpoint was down
	Trips         int      `json:"trips"`         // times that advice began to dim, member by member

	Spare *Spare `json:"spare,omitempty"` // of scenarios with zones

	Extra    []string `json:"fault,omitempty"`
	Rho      float64  `json:"rho"`
	Capacity float64  `json:"capacity"`
	Timeout  float64  `json:"timeout_s"`

	Before     int      `json:"trips_before"`  // of them before the fault
	NoLoad     int      `json:"not_load"`      // times that advice began to limit retries only, member by member
	Acted      *float64 `json:"onset_s"`       // from the onset until 99 % of members act on it; null: never
	OnsetPeak  float64  `json:"onset_peak"`    // most attempts of a second over capacity, in the first 4 s
	Retried    *float64 `json:"retry_share"`   // retries over those that the policy wanted, during the fault; null: it does not tell
	Undimmed   int      `json:"still_limited"` // members still restricted at the end
	Sent       float64  `json:"direct_bps"`    // bytes a second and member, reports and answers
	Gossiped   float64  `json:"gossip_bps"`    // bytes a second and member
	Events     uint64   `json:"events"`
	VirtualSec float64  `json:"virtual_s"`
}

// Spare is what became of the zones that the fault does not begin in.
type Spare struct {
	InFault float64  `json:"fault_goodput"` // all zones' calls that succeeded, during the fault
	Own     float64  `json:"own_goodput"`   // of the spare zones' users, fault + 10 s; of the worst zone
	Peak    float64  `json:"peak_1s"`       // most attempts of a second over the capacity there, to 60 s after the fault
	Mean    float64  `json:"peak_5s"`       // the same of five seconds on average
	Shifted *float64 `json:"shift_s"`       // from the onset until nine tenths of the most that is diverted are; null: nothing is
}

// run is a scenario under way.
type run struct {
	*sim.World
	params   *Params
	onset    int // second
	capacity []float64
	down     func(second int) bool
	acted    time.Duration
}

func (r *run) server() *sim.Server { return r.Service(0).Servers[0] }

// Run runs the scenario.
func (s *Scenario) Run(p Params) Result {
	def(&p.Rho, .8)
	def(&p.Capacity, 1000)
	def(&p.Timeout, time.Second)
	c := sim.Config{
		Seed: p.Seed, Members: p.N, Strategy: p.Strategy, Timeout: p.Timeout, Trace: p.Trace, Watch: p.Watch,
		Services: []sim.ServiceConfig{{
			Load:    p.Rho * p.Capacity,
			Servers: []sim.ServerConfig{{Capacity: p.Capacity}},
		}},
	}
	if s.configure != nil {
		s.configure(&c, &p)
	}
	for _, x := range p.Extras {
		if x.configure != nil {
			x.configure(&c, &p)
		}
	}
	r := &run{World: sim.New(c), params: &p}
	r.sample()
	if s.begin != nil {
		s.begin(r)
	}
	for _, x := range p.Extras {
		if x.begin != nil {
			x.begin(r)
		}
	}
	r.Run(warmUp)
	return r.incident(s)
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

func (r *run) incident(s *Scenario) Result {
	count := &r.Service(0).Count
	before, noLoad := count.Trips, count.NoLoad
	r.onset = r.Second()
	start, retries, wished := r.Now(), count.Retries, count.Wished
	r.Tracef("--- %s: %s", s.ID, s.Title)
	if s.fault != nil {
		s.fault(r)
	}
	for _, x := range r.params.Extras {
		if x.fault != nil {
			x.fault(r)
		}
	}
	r.watchOnset(start)
	r.Run(s.Lasts)
	r.Tracef("--- the fault ends")
	retries, wished = count.Retries-retries, count.Wished-wished
	r.Run(after + tail + 2*r.params.Timeout)
	end := r.onset + int(s.Lasts/time.Second)
	res := Result{
		Scenario: s.ID, N: r.params.N, Seed: r.params.Seed, Policy: r.params.Strategy.Name,
		Rho: r.params.Rho, Capacity: r.params.Capacity, Timeout: r.params.Timeout.Seconds(),
		Amplification: count.Amplification(r.onset, end+10),
		Peak:          r.server().Peak(r.onset+4, end+60, r.capacityAt),
		Goodput:       count.Goodput(r.onset, end+60),
		OnsetPeak:     r.server().Peak(r.onset, r.onset+4, r.capacityAt),
		Trips:         count.Trips, Before: before, NoLoad: count.NoLoad - noLoad, Undimmed: count.Restricted,
		Events: r.Events(), VirtualSec: (r.Now() - sim.Start).Seconds(),
	}
	if len(r.Service(0).Servers) > 1 {
		res.Spare = r.spare(end)
	}
	for _, x := range r.params.Extras {
		res.Extra = append(res.Extra, x.ID)
	}
	if wished > 0 {
		res.Retried = pointer(float64(retries) / float64(wished))
	}
	if rec := count.Recovery(end, end+int((after+tail)/time.Second)); rec >= 0 {
		res.Recovery = pointer(float64(rec))
	}
	if r.acted > 0 {
		res.Acted = pointer((r.acted - start).Seconds())
	}
	for i := r.onset; r.down != nil && i < end; i++ {
		if r.down(i - r.onset) {
			res.AttemptsDown += r.server().Arrived(i, i+1)
		}
	}
	m, members := r.Messages(), float64(max(len(r.Live()), 1))
	res.Sent = float64(m.SendBytes) / res.VirtualSec / members
	res.Gossiped = float64(m.GossipSent) / res.VirtualSec / members
	return res
}

func pointer[T any](v T) *T { return &v }

// sample notes the server's capacity each second.
func (r *run) sample() {
	r.capacity = append(r.capacity, r.server().CapacityNow())
	r.After(time.Second, r.sample)
}

func (r *run) capacityAt(second int) float64 {
	if second < len(r.capacity) {
		return r.capacity[second]
	}
	return 0
}

// watchOnset notes when 99 % of the members have begun to act.
func (r *run) watchOnset(start time.Duration) {
	count := &r.Service(0).Count
	switch {
	case float64(count.Restricted) >= .99*float64(len(r.Live())) && len(r.Live()) > 0:
		r.acted = r.Now()
	case r.Now()-start < time.Minute:
		r.After(20*time.Millisecond, func() { r.watchOnset(start) })
	}
}

// at lets f happen d after now.
func (r *run) at(d time.Duration, f func()) { r.After(d, f) }

// Find returns the scenarios of a comma-separated list of names; a name also
// stands for its variants (S9r for S9r-...), and "all" for all.
func Find(list string) ([]Scenario, error) {
	var found []Scenario
	for name := range strings.SplitSeq(list, ",") {
		n := len(found)
		for _, s := range slices.Concat(All, Zoned) {
			zoned := slices.ContainsFunc(Zoned, func(z Scenario) bool { return z.ID == s.ID })
			if name == "all" && !zoned || name == "zoned" && zoned || strings.EqualFold(s.ID, name) || strings.HasPrefix(strings.ToLower(s.ID), strings.ToLower(name)+"-") {
				found = append(found, s)
			}
		}
		if len(found) == n {
			return nil, fmt.Errorf("there is no scenario %q; there are %s", name, names(slices.Concat(All, Zoned), func(s Scenario) string { return s.ID }))
		}
	}
	return found, nil
}

// FindExtras is the same for the faults to combine.
func FindExtras(list string) ([]Extra, error) {
	var found []Extra
	for name := range strings.SplitSeq(list, ",") {
		if name == "" {
			continue
		}
		i := slices.IndexFunc(Extras, func(x Extra) bool { return strings.EqualFold(x.ID, name) })
		if i < 0 {
			return nil, fmt.Errorf("there is no fault %q; there are %s", name, names(Extras, func(x Extra) string { return x.ID }))
		}
		found = append(found, Extras[i])
	}
	return found, nil
}

func names[T any](l []T, name func(T) string) string {
	var s []string
	for _, x := range l {
		s = append(s, name(x))
	}
	return strings.Join(s, ", ")
}

// Mean averages results that differ in nothing but the seed. A recovery that
// never came makes the mean one that never comes.
func Mean(l []Result) Result {
	m := l[0]
	m.Amplification, m.Goodput, m.AttemptsDown, m.Trips = 0, 0, 0, 0
	recovery, never := 0.0, false
	retried, tell := 0.0, 0
	for _, r := range l {
		m.Amplification += r.Amplification / float64(len(l))
		m.Goodput += r.Goodput / float64(len(l))
		m.Peak = max(m.Peak, r.Peak)
		m.OnsetPeak = max(m.OnsetPeak, r.OnsetPeak)
		if r.Retried != nil {
			retried += *r.Retried
			tell++
		}
		m.AttemptsDown += r.AttemptsDown / len(l)
		m.Trips += r.Trips
		if r.Recovery == nil {
			never = true
		} else {
			recovery += *r.Recovery / float64(len(l))
		}
	}
	m.Spare = meanSpare(l)
	if m.Retried = nil; tell > 0 {
		m.Retried = pointer(retried / float64(tell))
	}
	m.Recovery = &recovery
	if never {
		m.Recovery = nil
	}
	return m
}
