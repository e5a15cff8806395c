package sim_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/sim"
)

// auditor looks over the shoulders of all clients, and keeps books of what they
// are asked and told.
type auditor struct {
	w       *sim.World // once it is made
	timeout time.Duration
	clients []*audited
	paused  bool // some member was, so that outcomes may come late

	firsts, refused, sent, retries, diverted, ok, gaveUp int
	wrong                                                string // the first thing that was
}

// stage is how far a call has come.
type stage struct {
	n    int // of the attempt
	next string
}

// audited is a client and what its calls have come to.
type audited struct {
	sim.Client
	a      *auditor
	member int
	born   int // the number of clients before it
	open   map[*sim.Attempt]stage
}

func (a *auditor) audit(s sim.Strategy) sim.Strategy {
	inner := s.New
	s.New = func(now time.Duration, e sim.Env) sim.Client {
		c := &audited{inner(now, e), a, e.Member, len(a.clients), map[*sim.Attempt]stage{}}
		a.clients = append(a.clients, c)
		return c
	}
	return s
}

func (c *audited) check(ok bool, format string, args ...any) {
	if !ok && c.a.wrong == "" {
		c.a.wrong = fmt.Sprintf("member %d: ", c.member) + fmt.Sprintf(format, args...)
	}
}

// lives checks that the client's process is the one that runs.
func (c *audited) lives() {
	for _, other := range c.a.clients {
		if other.member == c.member {
			c.check(!other.newer(c), "a process that is no more goes on calling")
		}
	}
	c.check(c.a.w.Members()[c.member].Alive(), "calls though it has crashed")
}

func (c *audited) newer(than *audited) bool { return c.born > than.born }

func (c *audited) Admit(now time.Duration, at *sim.Attempt) bool {
	c.lives()
	s, open := c.open[at]
	if at.N == 1 {
		c.check(!open, "a new call where an old one waits for %s", s.next)
		c.a.firsts++
	} else {
		c.check(open && s.next == "Admit" && at.N == s.n+1, "attempt %d after %d, with %s due", at.N, s.n, s.next)
	}
	if !c.Client.Admit(now, at) {
		if at.N == 1 {
			c.a.refused++
		} else {
			c.a.gaveUp++
		}
		delete(c.open, at)
		return false
	}
	c.a.sent++
	switch {
	case at.Diverted:
		c.a.diverted++
	case at.N > 1:
		c.a.retries++
	}
	c.open[at] = stage{at.N, "End"}
	return true
}

func (c *audited) End(now time.Duration, at *sim.Attempt, o sim.Outcome, took time.Duration) {
	c.lives()
	s := c.open[at]
	c.check(s.next == "End" && s.n == at.N, "attempt %d ends; of attempt %d %s is due", at.N, s.n, s.next)
	c.check(c.a.paused || (o == sim.TimedOut) == (took == c.a.timeout) && took <= c.a.timeout, "%v after %v", o, took)
	c.check(took >= rtt, "%v after %v", o, took)
	c.open[at] = stage{at.N, "Retry"}
	if o == sim.OK {
		c.a.ok++
		delete(c.open, at)
	}
	c.Client.End(now, at, o, took)
}

func (c *audited) Retry(now time.Duration, at *sim.Attempt, o sim.Outcome) (time.Duration, bool) {
	s := c.open[at]
	c.check(s.next == "Retry" && s.n == at.N, "asked to retry attempt %d; of attempt %d %s is due", at.N, s.n, s.next)
	wait, again := c.Client.Retry(now, at, o)
	if again {
		c.open[at] = stage{at.N, "Admit"}
	} else {
		c.a.gaveUp++
		delete(c.open, at)
	}
	return wait, again
}

// lost counts the calls that are open for good because their process is gone. A
// call that is open in a process that runs is wrong.
func (a *auditor) lost(w *sim.World) (n int) {
	last := map[int]*audited{}
	for _, c := range a.clients {
		last[c.member] = c
	}
	for _, c := range a.clients {
		c.check(len(c.open) == 0 || c != last[c.member] || !w.Members()[c.member].Alive(), "%d calls never ended: %v", len(c.open), c.open)
		n += len(c.open)
	}
	return n
}

// look checks now and then that it is known how many members are restricted.
func (a *auditor) look(w *sim.World) {
	w.After(300*ms, func() { a.look(w) })
	dimmed, restricted := 0, 0
	for _, m := range w.Live() {
		for e := range w.Service(0).Servers {
			if m.Node() == nil {
				return
			}
			if m.Advice(0, e).Phi < coord.PhiFull {
				dimmed++
			}
			if m.Advice(0, e).InForce() {
				restricted++
			}
		}
	}
	if c := w.Service(0).Count; a.wrong == "" && (c.Dimmed != dimmed || c.Restricted != restricted) {
		a.wrong = fmt.Sprintf("%d are dimmed and %d restricted, not %d and %d", dimmed, restricted, c.Dimmed, c.Restricted)
	}
}

// trouble is what may happen to a world.
var trouble = map[string]func(*sim.World, *sim.Member, *sim.Server){
	"crash":   func(w *sim.World, m *sim.Member, _ *sim.Server) { w.Crash(m) },
	"leave":   func(w *sim.World, m *sim.Member, _ *sim.Server) { w.Leave(m) },
	"restart": func(w *sim.World, m *sim.Member, _ *sim.Server) { w.Restart(m) },
	"join":    func(w *sim.World, _ *sim.Member, _ *sim.Server) { w.Join() },
	"pause":   func(w *sim.World, m *sim.Member, _ *sim.Server) { w.Pause(m, 2*time.Second) },
	"skew":    func(w *sim.World, m *sim.Member, _ *sim.Server) { w.Skew(m, 1.1) },
	"jump":    func(w *sim.World, m *sim.Member, _ *sim.Server) { w.Jump(m, time.Minute) },
	"split": func(w *sim.World, m *sim.Member, _ *sim.Server) {
		w.Split(func(x *sim.Member) bool { return x == m }, false)
	},
	"heal":     func(w *sim.World, _ *sim.Member, _ *sim.Server) { w.Heal() },
	"stall":    func(_ *sim.World, _ *sim.Member, s *sim.Server) { s.Stall() },
	"resume":   func(w *sim.World, _ *sim.Member, s *sim.Server) { s.Resume(w) },
	"slow":     func(w *sim.World, _ *sim.Member, s *sim.Server) { s.SetCapacity(w, s.Capacity/4) },
	"fast":     func(w *sim.World, _ *sim.Member, s *sim.Server) { s.SetCapacity(w, s.Capacity) },
	"rejected": func(_ *sim.World, m *sim.Member, s *sim.Server) { s.Fate = someone(m, sim.Rejected) },
	"vanish":   func(_ *sim.World, m *sim.Member, s *sim.Server) { s.Fate = someone(m, sim.Swallowed) },
	"well":     func(_ *sim.World, _ *sim.Member, s *sim.Server) { s.Fate = nil },
}

// someone's requests meet a fate.
func someone(m *sim.Member, fate sim.Fate) func(*sim.Member) sim.Fate {
	return func(x *sim.Member) sim.Fate {
		if x.Index%2 == m.Index%2 {
			return fate
		}
		return sim.Queued
	}
}

func drawServer(t *rapid.T) sim.ServerConfig {
	return sim.ServerConfig{
		Capacity: rapid.Float64Range(20, 200).Draw(t, "capacity"),
		Workers:  rapid.IntRange(1, 4).Draw(t, "workers"),
		Queue:    rapid.IntRange(1, 100).Draw(t, "queue"),
		Order:    rapid.SampledFrom([]sim.Order{sim.OldestFirst, sim.NewestFirst}).Draw(t, "order"),
		Drops:    rapid.Bool().Draw(t, "drops"), Cancels: rapid.Bool().Draw(t, "cancels"),
		RefusalCost: rapid.SampledFrom([]float64{0, .2}).Draw(t, "cost of refusing"),
		SlowWorkers: rapid.IntRange(0, 1).Draw(t, "slow workers"), Slowdown: 5,
		Zone: rapid.IntRange(0, 1).Draw(t, "zone"),
	}
}

// TestConservation: whatever happens, every call is begun once and ends once,
// every attempt that is sent arrives, and once nobody calls any more nothing is
// left to happen.
func TestConservation(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := &auditor{timeout: time.Duration(rapid.Int64Range(20, 2000).Draw(t, "timeout in ms")) * ms}
		strategies := []sim.Strategy{sim.NoRetries(), retrying(2, nil), sim.Ours(sim.Options{}), sim.Ours(sim.Options{Alone: true})}
		service := sim.ServiceConfig{Load: rapid.Float64Range(1, 300).Draw(t, "load")}
		for range rapid.IntRange(1, 2).Draw(t, "endpoints") {
			service.Servers = append(service.Servers, drawServer(t))
		}
		w := sim.New(sim.Config{
			Seed: rapid.Uint64().Draw(t, "seed"), Members: rapid.IntRange(1, 6).Draw(t, "members"), Zones: 2, Timeout: a.timeout, RTT: rtt,
			Strategy: a.audit(rapid.SampledFrom(strategies).Draw(t, "strategy")),
			Services: []sim.ServiceConfig{service},
			Network:  sim.Network{Loss: .1, Duplicate: .1, Reorder: .1},
		})
		a.w = w
		a.look(w)
		s := w.Service(0)
		for range rapid.IntRange(0, 8).Draw(t, "troubles") {
			what := rapid.SampledFrom(sortedKeys(trouble)).Draw(t, "what")
			at := time.Duration(rapid.Int64Range(0, 10_000).Draw(t, "when")) * ms
			who, where := rapid.IntRange(0, 99).Draw(t, "who"), rapid.IntRange(0, len(s.Servers)-1).Draw(t, "where")
			a.paused = a.paused || what == "pause"
			w.After(at, func() {
				if live := w.Live(); len(live) > 0 {
					trouble[what](w, live[who%len(live)], s.Servers[where])
				}
			})
		}
		w.Run(10 * time.Second)
		w.SetLoad(0, -1)
		for _, server := range s.Servers {
			server.Fate = nil
			server.SetCapacity(w, server.Capacity)
			server.Resume(w)
		}
		w.Run(5 * time.Minute)
		for range 100 { // the work of refusing may take a slow worker hours
			if !slices.ContainsFunc(s.Servers, func(server *sim.Server) bool { return server.Waiting() > 0 || server.Busy() > 0 }) {
				break
			}
			w.Run(5 * time.Minute)
		}

		lost := a.lost(w)
		if a.wrong != "" {
			t.Fatal(a.wrong)
		}
		if n := w.Pending(); n > 0 || w.FreedTwice() {
			t.Fatalf("%d attempts are pending; a call ended twice: %v", n, w.FreedTwice())
		}
		arrived, end := 0, w.Second()+1
		for _, server := range s.Servers {
			arrived += server.Arrived(0, end)
			if server.Waiting() > 0 || server.Busy() > 0 {
				t.Fatalf("%d requests wait and %d are served", server.Waiting(), server.Busy())
			}
		}
		c := &s.Count
		for _, x := range []struct {
			what      string
			got, want int
		}{
			{"first tries wanted", c.Firsts, a.firsts},
			{"by the second", total(c.Wanted), a.firsts},
			{"first tries refused", c.Refused, a.refused},
			{"by the second", total(c.RefusedAt), a.refused},
			{"attempts", c.Attempts, a.sent},
			{"by the second", total(c.Sent), a.sent},
			{"attempts that arrived", arrived, a.sent},
			{"retries", c.Retries, a.retries},
			{"diverted", c.Diverted, a.diverted},
			{"calls that succeeded", total(c.OK), a.ok},
			{"calls", a.firsts, a.refused + a.ok + a.gaveUp + lost},
		} {
			if x.got != x.want {
				t.Fatalf("%s: %d, want %d", x.what, x.got, x.want)
			}
		}
	})
}

func total(l []int) (n int) {
	for _, x := range l {
		n += x
	}
	return n
}
