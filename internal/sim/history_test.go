package sim_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// scribe writes down all that a Watch is told.
type scribe struct {
	blind
	sum hash.Hash
}

func (s *scribe) Sent(w *sim.World, m *sim.Member, service int, a *sim.Attempt) {
	fmt.Fprintln(s.sum, w.Now(), m.Name, service, a.Endpoint, a.N)
}

func (s *scribe) Delivered(w *sim.World, m *sim.Member, data []byte) {
	fmt.Fprintf(s.sum, "%v %s %x\n", w.Now(), m.Name, data)
}

func (s *scribe) Published(w *sim.World, m *sim.Member, service, endpoint int, a sim.Advice) {
	fmt.Fprintln(s.sum, w.Now(), m.Name, service, endpoint, a.Phi, a.Mode, a.Tag)
}

func (s *scribe) Told(w *sim.World, m *sim.Member) { fmt.Fprintln(s.sum, w.Now(), m.Name, m.Peers()) }

// eventful lets two services of two endpoints and their members go through a bit
// of everything.
func eventful(seed uint64, strategy sim.Strategy) (trace []byte, sum string, w *sim.World) {
	var b bytes.Buffer
	watch := &scribe{sum: sha256.New()}
	servers := []sim.ServerConfig{{Capacity: 400, Work: sim.Exponential}, {Capacity: 300, Zone: 1, Workers: 5, Order: sim.NewestFirst, Queue: 50}}
	w = sim.New(sim.Config{
		Seed: seed, Members: 15, Zones: 2, Strategy: strategy, Trace: &b, Watch: watch,
		Services: []sim.ServiceConfig{{Servers: servers}, {Servers: servers[:1]}},
		Network:  sim.Network{Loss: .05, Duplicate: .05, Reorder: .1, Garble: .01},
	})
	m, a := w.Members(), w.Service(0).Servers[0]
	m[1].LieInReports(sim.Lies()[0].Report)
	m[2].LieInVerdicts(sim.ClosedToAll)
	m[3].Garble(.1)
	for i, do := range []func(){
		a.Stall,
		func() { w.Crash(m[4]) },
		func() { w.Skew(m[5], 1.01) },
		func() { w.Join() },
		func() { a.Resume(w) },
		func() { w.Restart(m[6]) },
		func() { w.SetLoad(1, 450) },
		func() { w.Split(func(m *sim.Member) bool { return m.Index > 8 }, false) },
		func() { w.Pause(m[7], 3*time.Second) },
		func() { w.Service(1).Servers[0].SetCapacity(w, 200) },
		func() { w.Leave(m[8]) },
		func() { w.Service(1).Servers[0].SetCapacity(w, 400); w.SetLoad(1, 300) },
		func() { w.Jump(m[9], time.Hour) },
		w.Heal,
	} {
		w.After(time.Duration(5+2*i)*time.Second, do)
	}
	w.Run(50 * time.Second)
	return b.Bytes(), fmt.Sprintf("%x", watch.sum.Sum(nil)), w
}

// TestSameSeedSameHistory: to the byte, whatever runs beside it. It does not run
// in parallel with others since it changes GOMAXPROCS.
func TestSameSeedSameHistory(t *testing.T) {
	was := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(was)
	for _, strategy := range []sim.Strategy{sim.Ours(sim.Options{}), sim.Ours(sim.Options{Alone: true}), sim.NoRetries()} {
		runtime.GOMAXPROCS(1)
		trace, sum, w := eventful(7, strategy)
		for range 2 {
			runtime.GOMAXPROCS(4)
			again, sumAgain, x := eventful(7, strategy)
			if !bytes.Equal(trace, again) || sum != sumAgain || w.Events() != x.Events() || w.Messages() != x.Messages() {
				t.Errorf("%s: two runs of one seed differ: %d and %d events, %d and %d bytes of trace", strategy.Name, w.Events(), x.Events(), len(trace), len(again))
			}
			runtime.GOMAXPROCS(1)
		}
		if strategy.Name == "murmuration" && (len(trace) < 10_000 || w.Service(0).Count.Trips == 0 || w.Service(1).Count.Trips == 0) {
			t.Errorf("little happened: %d bytes of trace, %d and %d trips", len(trace), w.Service(0).Count.Trips, w.Service(1).Count.Trips)
		}
		if _, other, _ := eventful(8, strategy); other == sum {
			t.Errorf("%s: two seeds have the same history", strategy.Name)
		}
	}
}

// TestSameArrivals: strategies that are compared see the same first tries, second
// by second, through the same faults.
func TestSameArrivals(t *testing.T) {
	t.Parallel()
	_, _, first := eventful(3, sim.NoRetries())
	for _, strategy := range []sim.Strategy{sim.Ours(sim.Options{}), sim.Ours(sim.Options{Alone: true}), retrying(3, nil), budgeted(.1, 10)} {
		_, _, w := eventful(3, strategy)
		for i, s := range w.Services() {
			if want := first.Service(i).Count.Wanted; !slices.Equal(s.Count.Wanted, want) {
				t.Errorf("%s: %v were wanted of %s, and %v with no retries", strategy.Name, s.Count.Wanted, s.Name, want)
			}
		}
	}
}
