package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
	"strings"
	"time"

	"go.uber.org/goleak"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/gossip"
)

const (
	coordinatedWithin = 45 * time.Second // of the end of all faults
	wellWithin        = 90 * time.Second // and nobody restricts anything any more
	freshest          = 8 * time.Second  // that verdicts are while all is well: stewards speak every 5 s
)

// soak has it all happen, and returns what came of it.
func soak(ctx context.Context, s settings, log io.Writer) (*summary, error) {
	before := goleak.IgnoreCurrent()
	f, err := newFleet(ctx, s, log)
	if err != nil {
		return nil, err
	}
	f.note("seed %d, %d members in two zones, %v", s.seed, s.members, s.last)
	watching, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.watch(watching)
	}()
	sum := &summary{Seed: s.seed, Members: s.members, For: s.last.Seconds()}
	err = f.ordeal(ctx, sum)
	stop()
	<-done
	if closed := f.close(); closed != nil {
		f.broken("closing: %v", closed)
	}
	if leak := leaked(before); leak != nil {
		f.broken("goroutines are left: %v", leak)
	}
	f.fill(sum)
	return sum, err
}

// leaked looks for goroutines that are left, some of which may be about to end.
func leaked(before goleak.Option) (err error) {
	for range 10 {
		if err = goleak.Find(before); err == nil {
			break
		}
	}
	return err
}

// ordeal has faults befall the fleet, one bunch after the other, until the time is over.
// After most the fleet is left alone until it has recovered.
func (f *fleet) ordeal(ctx context.Context, sum *summary) error {
	rng := rand.New(rand.NewPCG(f.seed, 3))
	deadline := f.began.Add(f.last)
	striking, end := context.WithDeadline(ctx, deadline)
	defer end()
	if err := f.recover(ctx, sum); err != nil {
		return err
	}
	for {
		sum.Faults = append(sum.Faults, f.strike(striking, rng)...)
		if rng.IntN(3) == 0 && striking.Err() == nil {
			continue
		}
		if err := f.recover(ctx, sum); err != nil || striking.Err() != nil {
			return err
		}
	}
}

// recover waits until all is well, and looks at what there is in memory then.
func (f *fleet) recover(ctx context.Context, sum *summary) error {
	began := time.Now()
	coordinated := false
	for {
		wrong, ill := f.ill()
		if !coordinated && wrong == "" {
			coordinated = true
			sum.Coordinated = append(sum.Coordinated, time.Since(began).Seconds())
		}
		if wrong == "" && ill == "" {
			break
		}
		if at := time.Since(began); !coordinated && at > coordinatedWithin || at > wellWithin {
			f.broken("not recovered %v after the end of the faults: %s %s", at.Round(time.Second), wrong, ill)
			break
		}
		if err := pause(ctx, 250*time.Millisecond); err != nil {
			return err
		}
	}
	took := time.Since(began)
	sum.Recovered = append(sum.Recovered, took.Seconds())
	c := f.checkpoint()
	sum.Checkpoints = append(sum.Checkpoints, c)
	f.note("all well after %.1f s; heap %.2f MB, %d goroutines", took.Seconds(), c.HeapMB, c.Goroutines)
	return nil
}

// ill says what is wrong with the coordination, and what else with the fleet.
func (f *fleet) ill() (wrong, ill string) {
	var w, i []string
	for _, m := range f.living() {
		h := m.cluster.Health()
		switch {
		case h.Mode != gossip.ModeCoordinated:
			w = append(w, fmt.Sprintf("%s is %v: %s.", h.Name, h.Mode, h.Reason))
		case h.Members != f.settings.members:
			w = append(w, fmt.Sprintf("%s knows %d members.", h.Name, h.Members))
		case h.Endpoints < len(services) || h.VerdictAgeP99 > freshest || h.Coverage < 1:
			w = append(w, fmt.Sprintf("%s uses %d endpoints and has verdicts of %v ago, coverage %.2f.", h.Name, h.Endpoints, h.VerdictAgeP99, h.Coverage))
		case h.Overrides > 0:
			w = append(w, fmt.Sprintf("%s has %d overrides in force.", h.Name, h.Overrides))
		}
		for _, g := range m.groups {
			for _, e := range g.Explain().Endpoints {
				if e.Phi < 1 || e.State != breaker.Closed || e.Retries != breaker.RetryAll {
					i = append(i, fmt.Sprintf("%s lets %.3f of the calls to %s through by %v, retries %v.", h.Name, e.Phi, e.Name, e.Source, e.Retries))
				}
			}
		}
	}
	return strings.Join(w, " "), strings.Join(i, " ")
}

// checkpoint is what is in memory while no call is under way.
type checkpoint struct {
	At         float64 `json:"at_s"`
	HeapMB     float64 `json:"heap_mb"`
	Goroutines int     `json:"goroutines"`
}

func (f *fleet) checkpoint() checkpoint {
	f.gate.close()
	defer f.gate.open()
	for _, m := range f.living() {
		m.idle()
	}
	c := checkpoint{At: time.Since(f.began).Seconds(), HeapMB: math.Inf(1), Goroutines: math.MaxInt}
	for range 10 {
		time.Sleep(50 * time.Millisecond) // the other ends of connections have closed in the end, too
		c.HeapMB = min(c.HeapMB, live()/1e6)
		c.Goroutines = min(c.Goroutines, runtime.NumGoroutine())
	}
	return c
}

// live is what a collection has found in use. Of several the least is meant: gossip goes on,
// and each packet on its way holds the 64 kB into which memberlist has read it.
func live() float64 {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return float64(sample[0].Value.Uint64())
}

// watch looks at every member each second, and tells how it goes.
func (f *fleet) watch(ctx context.Context) {
	told := time.Now()
	for pause(ctx, time.Second) == nil {
		for _, m := range f.living() {
			f.examine(m)
		}
		if time.Since(told) >= f.every {
			told = time.Now()
			f.progress()
		}
	}
}

// examine holds what a member says of itself against what can be.
func (f *fleet) examine(m *member) {
	h, was := m.cluster.Health(), m.health
	m.health = h
	bad := func(format string, args ...any) { f.broken("%s: %s", h.Name, fmt.Sprintf(format, args...)) }
	if h.Received < was.Received || h.Sent < was.Sent || h.Cast < was.Cast || h.BytesIn < was.BytesIn || h.BytesOut < was.BytesOut ||
		h.PacketsIn < was.PacketsIn || h.PacketsOut < was.PacketsOut || h.LateTicks < was.LateTicks || h.LoanAsks < was.LoanAsks {
		bad("a counter fell: %+v, was %+v", h, was)
	}
	for kind, n := range h.Malformed {
		if n > 0 {
			bad("%d malformed messages: %s", n, kind)
		}
	}
	if h.DecryptFailures > 0 || h.LabelMismatches > 0 {
		bad("%d decrypt failures, %d label mismatches", h.DecryptFailures, h.LabelMismatches)
	}
	if !(h.Coverage >= 0 && h.Coverage <= 1 && h.Trust >= 0 && h.Trust <= 1) || h.Disagree < len(h.Disagreements) ||
		h.VerdictAgeP50 < 0 || h.VerdictAgeP99 < h.VerdictAgeP50 || h.Members < 1 {
		bad("makes no sense: %+v", h)
	}
	for _, b := range m.cluster.Budgets() {
		if b.Tokens < -1 || b.Tokens > 2 {
			bad("the budget of %s holds %v", b.Service, b.Tokens)
		}
	}
	for _, e := range m.cluster.Endpoints() {
		if e.DecidedBy == breaker.SourceCluster.String() && (e.Age < 0 || e.Age > oldestAdvice) {
			bad("what is in force of %s/%s is %v old", e.Service, e.Name, e.Age)
		}
	}
}
