package main

import (
	"math"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/murmuration-go/murmuration/benchmarks/incident/internal/world"
)

// Report is what became of a scenario. Times are in seconds unless they say ms.
type Report struct {
	Scenario string      `json:"scenario"`
	Title    string      `json:"title"`
	Verdict  string      `json:"verdict"`           // who won, and where ours lost
	Invalid  string      `json:"invalid,omitempty"` // why the run says nothing
	Protocol string      `json:"protocol"`
	Members  int         `json:"members"`
	Seed     uint64      `json:"seed"`
	Scale    float64     `json:"scale"`    // by what the title's times were multiplied
	Capacity []float64   `json:"capacity"` // by zone, requests a second
	Onset    float64     `json:"onset_s"`
	End      float64     `json:"end_s"`     // of the fault
	Traffic  float64     `json:"traffic_s"` // when the last calls were made
	LateP99  float64     `json:"late_p99_ms"`
	LateMax  float64     `json:"late_max_ms"` // how late calls were made
	TickMax  float64     `json:"tick_max_ms"` // how late ticks of 50 ms were
	Zoned    bool        `json:"zoned"`
	Results  []Result    `json:"results"`
	Step     float64     `json:"series_step_s"`
	Current  [][]float64 `json:"series_capacity"` // by zone
	Offered  []float64   `json:"series_offered"`  // first tries a second
}

// Result is what became of one strategy.
type Result struct {
	Strategy      string   `json:"strategy"`
	Calls         int      `json:"calls"`         // first tries from the onset on
	Goodput       float64  `json:"goodput"`       // those of them that succeeded
	FaultGoodput  float64  `json:"fault_goodput"` // the same while the fault lasts
	Amplification float64  `json:"amplification"` // attempts over first tries, from the onset to 10 s after the fault
	AttemptsDown  int      `json:"attempts_down"` // that reached a server while nothing got through there
	Recovery      *float64 `json:"recovery_s"`    // from the end of the fault until 97 % succeed for 5 s; null: never
	Peak          float64  `json:"peak"`          // most attempts of a second after the fault, over the capacity
	Refused       int      `json:"refused"`       // calls of which nothing was sent
	P50           float64  `json:"p50_ms"`        // of successful calls, from when they were due
	P99           float64  `json:"p99_ms"`
	P999          float64  `json:"p999_ms"`
	Own           float64  `json:"own_goodput,omitempty"` // of zone B's own users, from the onset to 10 s after the fault
	PeakB         float64  `json:"peak_b,omitempty"`      // most attempts of a second at zone B, over its capacity, from the onset on

	Latency   []float64   `json:"latency_ms"`     // at the percentiles of percentiles
	Arrived   [][]float64 `json:"series_arrived"` // attempts a second, by zone
	Succeeded []*float64  `json:"series_ok"`      // share of the calls due then; null: none was
	Ratio     []*float64  `json:"series_amp"`     // attempts sent over first tries due
	Open      []float64   `json:"series_open"`    // share of first tries that may go home, mean of the members
}

var percentiles = []float64{50, 75, 90, 95, 99, 99.5, 99.9, 100}

// What a run may be late and still be believed: a tenth of the shortest timeout for
// nearly all calls, and one tick of the coordination for the worst.
const (
	lateP99 = 100 * time.Millisecond
	lateMax = 250 * time.Millisecond
)

// settled is how long after the fault amplification, and B's users, are still counted.
const settled = 10 * time.Second

func (b *lab) report(protocol string) *Report {
	p := b.plan
	r := &Report{
		Scenario: p.ID, Title: p.Title, Protocol: protocol, Members: p.Members, Seed: p.Seed, Scale: p.Scale, Zoned: p.Zoned,
		Onset: p.Onset.Seconds(), End: p.End().Seconds(), Traffic: p.Traffic().Seconds(), Step: sampled.Seconds(),
	}
	bins := int((p.Traffic() + sampled - 1) / sampled)
	for z := range p.Zones() {
		r.Capacity = append(r.Capacity, p.CapacityOf(z))
		l := make([]float64, bins)
		for i := range l {
			l[i] = round(p.CapacityAt(z, time.Duration(i)*sampled+sampled/2))
		}
		r.Current = append(r.Current, l)
	}
	late := newHistogram()
	for _, e := range b.entrants {
		for _, calls := range e.calls {
			for i := range calls {
				record(late, calls[i].began-calls[i].due)
			}
		}
		r.Results = append(r.Results, e.result(p, bins))
	}
	offered := make([]float64, bins)
	for _, calls := range b.entrants[0].calls {
		for i := range calls {
			offered[calls[i].due/sampled] += 1 / sampled.Seconds()
		}
	}
	r.Offered = offered
	r.LateP99, r.LateMax = ms(late.ValueAtPercentile(99)), ms(late.Max())
	r.TickMax = ms(slices.Max(b.ticks).Microseconds())
	r.Invalid = starved(r)
	r.Verdict = verdict(r)
	return r
}

// starved says why a run says nothing, if the machine did not keep up.
func starved(r *Report) string {
	if r.LateP99 <= ms(lateP99.Microseconds()) && max(r.LateMax, r.TickMax) <= ms(lateMax.Microseconds()) {
		return ""
	}
	return "the machine did not keep up: calls or ticks were too late for this run to say anything"
}

func (e *entrant) result(p *world.Plan, bins int) Result {
	r := Result{Strategy: e.way.Name, Recovery: recovery(e.calls, p.End(), p.Traffic())}
	latency := newHistogram()
	calls, ok, firsts, attempts, inFault, okInFault, own, okOwn := 0, 0, 0, 0, 0, 0, 0, 0
	due, good, sent := make([]int, bins), make([]int, bins), make([]int, bins)
	near := min(p.End()+settled, p.Traffic())
	for m, l := range e.calls {
		for i := range l {
			c := &l[i]
			due[c.due/sampled]++
			good[c.due/sampled] += one(c.ok)
			for _, t := range c.sent {
				if k := int(t / sampled); k < bins {
					sent[k]++
				}
				attempts += one(t >= p.Onset && t < near)
			}
			if c.due < p.Onset {
				continue
			}
			calls++
			ok += one(c.ok)
			r.Refused += one(len(c.sent) == 0)
			if c.due < near {
				firsts++
				own += one(p.Home(m) > 0)
				okOwn += one(p.Home(m) > 0 && c.ok)
			}
			if c.due < p.End() {
				inFault++
				okInFault += one(c.ok)
			}
			if c.ok {
				record(latency, c.ended-c.due)
			}
		}
	}
	r.Calls, r.Goodput, r.FaultGoodput = calls, ratio(ok, calls), ratio(okInFault, inFault)
	r.Amplification = ratio(attempts, firsts)
	if ok > 0 {
		for _, q := range percentiles {
			r.Latency = append(r.Latency, ms(latency.ValueAtPercentile(q)))
		}
		r.P50, r.P99, r.P999 = r.Latency[0], r.Latency[4], r.Latency[6]
	}
	for z, s := range e.servers {
		arrived := s.Arrived()
		load := make([]float64, bins)
		for _, t := range arrived {
			r.AttemptsDown += one(p.At(z, t-p.Onset).Down())
			if k := int(t / sampled); k < bins {
				load[k] += 1 / sampled.Seconds()
			}
		}
		r.Arrived = append(r.Arrived, load)
		if z == 0 {
			r.Peak = round(peak(arrived, p.End(), p.Traffic()) / p.CapacityOf(z))
		} else {
			r.Own, r.PeakB = ratio(okOwn, own), round(peak(arrived, p.Onset, p.Traffic())/p.CapacityOf(z))
		}
	}
	r.Open = e.open[:min(len(e.open), bins)]
	for i := range due {
		r.Succeeded = append(r.Succeeded, share(good[i], due[i]))
		r.Ratio = append(r.Ratio, share(sent[i], due[i]))
	}
	return r
}

// peak is the most arrivals in any second.
func peak(arrived []time.Duration, from, to time.Duration) float64 {
	most, tail := 0, 0
	for i, t := range arrived {
		if t < from+time.Second || t >= to {
			continue
		}
		for arrived[tail] <= t-time.Second {
			tail++
		}
		most = max(most, i-tail+1)
	}
	return float64(most)
}

// recovery is how long after the fault the first five seconds begin in which 97 % of
// the calls succeed, in steps of a quarter second.
func recovery(calls [][]call, end, traffic time.Duration) *float64 {
	const window, step = 5 * time.Second, 250 * time.Millisecond
	for from := end; from+window <= traffic; from += step {
		wanted, ok := 0, 0
		for _, l := range calls {
			for i := range l {
				if l[i].due >= from && l[i].due < from+window {
					wanted++
					ok += one(l[i].ok)
				}
			}
		}
		if wanted > 0 && float64(ok) >= .97*float64(wanted) {
			s := (from - end).Seconds()
			return &s
		}
	}
	return nil
}

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, 60e6, 3) } // microseconds

func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(d.Microseconds(), 1), 60e6))
}

func ms(us int64) float64 { return math.Round(float64(us)/100) / 10 }

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

func round(f float64) float64 { return math.Round(f*1000) / 1000 }

func ratio(n, of int) float64 { return round(float64(n) / float64(max(of, 1))) }

func share(n, of int) *float64 {
	if of == 0 {
		return nil
	}
	f := ratio(n, of)
	return &f
}
