package guarantee_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/law"
	"github.com/murmuration-go/murmuration/internal/ledger"
	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/race"
	"github.com/murmuration-go/murmuration/internal/sim"
	"github.com/murmuration-go/murmuration/internal/sim/guarantee"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// TestStall: through a long stall everything that is promised is kept, and there
// was something to check of each of it.
func TestStall(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 3, 5, 12, 50} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			seeds := uint64(20)
			switch {
			case testing.Short() || race.Enabled:
				seeds = 2
			case n > 12:
				seeds = 5
			}
			for seed := range seeds {
				c := guarantee.New()
				w := sim.New(sim.Config{Seed: seed, Members: n, Strategy: sim.Ours(sim.Options{}), Watch: c})
				w.Run(10 * time.Second)
				w.Service(0).Servers[0].Stall()
				c.Down(w, 0, 0, true)
				w.Run(40 * time.Second)
				w.Service(0).Servers[0].Resume(w)
				c.Down(w, 0, 0, false)
				c.Mended(w)
				w.Run(90 * time.Second)
				if err := c.Err(); err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
				if seed > 0 {
					continue
				}
				t.Logf("%v, probes %.2f of what is meant by few", c.Checks(), c.Probes)
				for _, g := range guarantee.Guarantees() {
					alone := n == 1 && g == "G3" || n < 3 && g == "G5" // local rules
					if c.Checks()[g] == 0 && !alone && g != "G4" {     // nobody fell silent
						t.Errorf("%s was not checked", g)
					}
				}
			}
		})
	}
}

// rigged is a checker that is shown something else than what happens.
type rigged struct {
	*guarantee.Checker
	before func(*sim.World, *sim.Member) // a member's tick is shown
}

func (r *rigged) Ticked(w *sim.World, m *sim.Member) {
	if r.before != nil {
		r.before(w, m)
	}
	r.Checker.Ticked(w, m)
}

// heedless is a client that sends what its inner one does not let it send.
type heedless struct {
	sim.Client
	ours map[*sim.Attempt]bool
}

func (h *heedless) Admit(now time.Duration, a *sim.Attempt) bool {
	h.ours[a] = h.Client.Admit(now, a)
	return true
}

func (h *heedless) End(now time.Duration, a *sim.Attempt, o sim.Outcome, took time.Duration) {
	if h.ours[a] {
		h.Client.End(now, a, o, took)
	}
}

func (h *heedless) Retry(now time.Duration, a *sim.Attempt, o sim.Outcome) (time.Duration, bool) {
	if !h.ours[a] {
		return 0, false
	}
	return h.Client.Retry(now, a, o)
}

// oneOfThree fails a third of the requests.
func oneOfThree(w *sim.World) func(*sim.Member) sim.Fate {
	return func(*sim.Member) sim.Fate {
		if w.FaultRand().IntN(3) == 0 {
			return sim.Rejected
		}
		return sim.Queued
	}
}

// cutOff cuts a member off after a while.
func cutOff(w *sim.World, x *rigged) (far *sim.Member) {
	far = w.Members()[1]
	w.After(20*time.Second, func() {
		x.Disturbed(w)
		w.Split(func(m *sim.Member) bool { return m == far }, false)
	})
	return far
}

// TestNotices: a checker that sees a promise broken says so, and which.
func TestNotices(t *testing.T) {
	t.Parallel()
	spender := sim.Ours(sim.Options{Rules: ledger.Rules{Ratio: 2, Burst: 100}})
	careless := sim.Ours(sim.Options{})
	inner := careless.New
	careless.New = func(now time.Duration, e sim.Env) sim.Client {
		return &heedless{inner(now, e), map[*sim.Attempt]bool{}}
	}
	for _, c := range []struct {
		name, want string
		strategy   sim.Strategy // default: ours
		rig        func(*testing.T, *sim.World, *rigged)
		down       bool // the server stalls, and the checker is told
	}{
		{"nothing is wrong", "", sim.Strategy{}, func(*testing.T, *sim.World, *rigged) {}, false},
		{"nothing is wrong but the server", "", sim.Strategy{}, func(*testing.T, *sim.World, *rigged) {}, true},
		{"nothing is wrong but that one is cut off", "", sim.Strategy{}, func(t *testing.T, w *sim.World, x *rigged) {
			cutOff(w, x)
			w.After(50*time.Second, func() {
				if n := x.Checks()["G4"]; n < 20 {
					t.Errorf("G4 was checked %d times", n)
				}
			})
		}, true},
		{"more retries than the budget allows", "G1", spender, func(t *testing.T, w *sim.World, x *rigged) {
			x.Unwell()
			w.Service(0).Servers[0].Fate = oneOfThree(w)
		}, false},
		{"advice that nobody has given", "G3", sim.Strategy{}, func(t *testing.T, w *sim.World, x *rigged) {
			x.before = func(_ *sim.World, m *sim.Member) { m.Advice(0, 0).Phi = 1000 }
		}, false},
		{"advice that is laxer than two have given", "G3", sim.Strategy{}, func(t *testing.T, w *sim.World, x *rigged) {
			x.before = func(_ *sim.World, m *sim.Member) { m.Advice(0, 0).Mode = coord.RetryAll }
		}, true},
		{"a healthy endpoint is dimmed while one lies", "G3", sim.Strategy{}, func(t *testing.T, w *sim.World, x *rigged) {
			w.Members()[0].LieInReports(sim.Lies()[0].Report)
			w.Service(0).Servers[0].Stall() // it is not told
		}, false},
		{"advice that does not fade", "G4", sim.Strategy{}, func(t *testing.T, w *sim.World, x *rigged) {
			far := cutOff(w, x)
			x.before = func(_ *sim.World, m *sim.Member) {
				if m == far && w.Now() > sim.Start+57*time.Second {
					a := m.Advice(0, 0)
					a.Phi, a.Mode = coord.PhiOf(3./800), coord.RetryNone // as it was held
				}
			}
		}, true},
		{"advice that fades too soon", "G4", sim.Strategy{}, func(t *testing.T, w *sim.World, x *rigged) {
			far := cutOff(w, x)
			x.before = func(_ *sim.World, m *sim.Member) {
				if a := m.Advice(0, 0); m == far && a.Fresh < 2 && a.InForce() {
					a.Phi *= 2
				}
			}
		}, true},
		{"first tries that heed no advice", "G5", careless, func(*testing.T, *sim.World, *rigged) {}, true},
		{"a leap of the dimmer", "G6", sim.Strategy{}, func(t *testing.T, w *sim.World, x *rigged) {
			x.Decided(w, w.Members()[0], &node.Decision{
				Service: "svc", Endpoint: "a",
				Was: law.Decision{Phi: coord.PhiOf(.2), State: wire.Dim},
				Is:  law.Decision{Phi: coord.PhiOf(.45), State: wire.Dim, Base: coord.PhiOf(.2), Ceil: 1, Demand: 800, Why: law.Clean},
			})
		}, false},
		{"a dimmer that rises though it should not", "G6", sim.Strategy{}, func(t *testing.T, w *sim.World, x *rigged) {
			x.Decided(w, w.Members()[0], &node.Decision{
				Service: "svc", Endpoint: "a",
				Was: law.Decision{Phi: coord.PhiOf(.2), State: wire.Dim},
				Is:  law.Decision{Phi: coord.PhiOf(.25), State: wire.Dim, Base: coord.PhiOf(.2), Ceil: 1, Demand: 800, Why: law.Tight},
			})
		}, false},
		{"a verdict that one of two nodes does not keep", "G8", sim.Strategy{}, func(t *testing.T, w *sim.World, x *rigged) {
			steward, member := w.Stewards(0)[0], w.Members()[len(w.Members())/2]
			if steward == member {
				steward = w.Stewards(0)[1]
			}
			data, err := wire.AppendVerdicts(nil, &wire.Verdicts{
				Origin: wire.Origin{Member: steward.Name, Incarnation: 1, Seq: 1 << 40},
				Rows:   []wire.VerdictRow{{Service: "svc", Endpoint: "a", Phi: coord.PhiFull, Mode: coord.RetryAll, State: wire.Closed}},
			})
			if err != nil {
				t.Fatal(err)
			}
			x.Delivered(w, member, data) // so the checker is told; the node is not
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.strategy.New == nil {
				c.strategy = sim.Ours(sim.Options{})
			}
			x := &rigged{Checker: guarantee.New()}
			w := sim.New(sim.Config{Seed: 1, Members: 12, Strategy: c.strategy, Watch: x})
			w.Run(10 * time.Second)
			if c.down {
				w.Service(0).Servers[0].Stall()
				x.Down(w, 0, 0, true)
				w.Run(8 * time.Second)
			}
			c.rig(t, w, x)
			w.Run(time.Minute)
			err := x.Err()
			var v *guarantee.BrokenError
			switch {
			case c.want == "" && err != nil:
				t.Errorf("%v, though nothing is wrong", err)
			case c.want != "" && (!errors.As(err, &v) || v.Guarantee != c.want):
				t.Errorf("%v, want %s violated", err, c.want)
			}
			t.Log(err)
		})
	}
}
