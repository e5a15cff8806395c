package sim_test

import (
	"slices"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

const (
	ms  = time.Millisecond
	rtt = 2 * ms // of a request, beyond its wait and service
)

// fair is a world in which a test makes every call itself: call i at calls[i],
// by member i, unless then does something else at that time.
type fair struct {
	server  sim.ServerConfig
	timeout time.Duration // default 1 s
	calls   []time.Duration
	then    map[time.Duration]func(*sim.World, *sim.Server)
}

// run returns how the calls ended, in the order in which they did.
func (f *fair) run() (ends []outcome, s *sim.Server) {
	w := sim.New(sim.Config{
		Members: max(len(f.calls), 1), Timeout: f.timeout, RTT: rtt, Services: quiet(f.server),
		Strategy: retrying(0, func(o outcome) { ends = append(ends, o) }),
	})
	s = w.Service(0).Servers[0]
	for at, do := range f.then {
		w.After(at, func() { do(w, s) })
	}
	for i, at := range f.calls {
		w.After(at, func() { w.Begin(0, w.Members()[i]) })
	}
	w.Run(time.Minute)
	return ends, s
}

func stall(_ *sim.World, s *sim.Server) { s.Stall() }

func resume(w *sim.World, s *sim.Server) { s.Resume(w) }

// all is n calls at the same time.
func all(n int, at time.Duration) []time.Duration { return slices.Repeat([]time.Duration{at}, n) }

// TestServer: what becomes of a few requests, one by one.
func TestServer(t *testing.T) {
	t.Parallel()
	ten := func(c sim.ServerConfig) sim.ServerConfig { // 100 ms a request
		c.Capacity = 10
		return c
	}
	type end struct {
		member int
		at     time.Duration // less the RTT
		o      sim.Outcome
	}
	for _, c := range []struct {
		name string
		fair
		want []end
	}{
		{"one after the other", fair{server: ten(sim.ServerConfig{}), calls: all(3, ms)},
			[]end{{0, 101 * ms, sim.OK}, {1, 201 * ms, sim.OK}, {2, 301 * ms, sim.OK}}},
		{"an idle server waits for nobody", fair{server: ten(sim.ServerConfig{}), calls: []time.Duration{0, 500 * ms}},
			[]end{{0, 100 * ms, sim.OK}, {1, 600 * ms, sim.OK}}},
		{"newest first", fair{server: ten(sim.ServerConfig{Order: sim.NewestFirst}), calls: []time.Duration{0, ms, 2 * ms, 150 * ms}},
			[]end{{0, 100 * ms, sim.OK}, {2, 200 * ms, sim.OK}, {3, 300 * ms, sim.OK}, {1, 400 * ms, sim.OK}}},
		{"a full queue refuses", fair{server: ten(sim.ServerConfig{Queue: 1}), calls: []time.Duration{0, ms, 2 * ms}},
			[]end{{2, 2 * ms, sim.Failed}, {0, 100 * ms, sim.OK}, {1, 200 * ms, sim.OK}}},
		{"or drops", fair{server: ten(sim.ServerConfig{Queue: 1, Drops: true}), calls: []time.Duration{0, ms, 2 * ms}},
			[]end{{0, 100 * ms, sim.OK}, {1, 200 * ms, sim.OK}, {2, 1002*ms - rtt, sim.TimedOut}}},
		{"refusing costs work", fair{server: ten(sim.ServerConfig{Queue: 1, RefusalCost: .5}), calls: []time.Duration{0, ms, 2 * ms, 3 * ms, 250 * ms}},
			[]end{{2, 2 * ms, sim.Failed}, {3, 3 * ms, sim.Failed}, {0, 100 * ms, sim.OK}, {1, 300 * ms, sim.OK}, {4, 400 * ms, sim.OK}}},
		{"four workers share the capacity", fair{server: sim.ServerConfig{Capacity: 40, Workers: 4}, calls: all(5, 0)},
			[]end{{0, 100 * ms, sim.OK}, {1, 100 * ms, sim.OK}, {2, 100 * ms, sim.OK}, {3, 100 * ms, sim.OK}, {4, 200 * ms, sim.OK}}},
		{"a slow worker", fair{server: sim.ServerConfig{Capacity: 20, Workers: 2, SlowWorkers: 1, Slowdown: 2.5}, calls: all(4, 0)},
			[]end{{1, 100 * ms, sim.OK}, {2, 200 * ms, sim.OK}, {0, 250 * ms, sim.OK}, {3, 300 * ms, sim.OK}}},
		{"a stall keeps the backlog, and what is being served", fair{server: ten(sim.ServerConfig{}), calls: []time.Duration{0, ms, 2 * ms, 300 * ms},
			then: map[time.Duration]func(*sim.World, *sim.Server){50 * ms: stall, 500 * ms: resume}},
			[]end{{0, 100 * ms, sim.OK}, {1, 600 * ms, sim.OK}, {2, 700 * ms, sim.OK}, {3, 800 * ms, sim.OK}}},
		{"what nobody waits for is served all the same", fair{server: ten(sim.ServerConfig{}), calls: []time.Duration{0, 0, 2 * time.Second},
			then: map[time.Duration]func(*sim.World, *sim.Server){0: stall, 2 * time.Second: resume}},
			[]end{{0, 1000*ms - rtt, sim.TimedOut}, {1, 1000*ms - rtt, sim.TimedOut}, {2, 2300 * ms, sim.OK}}},
		{"unless the server cancels", fair{server: ten(sim.ServerConfig{Cancels: true}), calls: []time.Duration{0, 0, 2 * time.Second},
			then: map[time.Duration]func(*sim.World, *sim.Server){0: stall, 2 * time.Second: resume}},
			[]end{{0, 1000*ms - rtt, sim.TimedOut}, {1, 1000*ms - rtt, sim.TimedOut}, {2, 2100 * ms, sim.OK}}},
		{"an answer that comes too late is none", fair{server: ten(sim.ServerConfig{}), timeout: 150 * ms, calls: all(2, 0)},
			[]end{{0, 100 * ms, sim.OK}, {1, 150*ms - rtt, sim.TimedOut}}},
		{"a new capacity holds for the next request", fair{server: ten(sim.ServerConfig{}), calls: all(3, 0),
			then: map[time.Duration]func(*sim.World, *sim.Server){50 * ms: func(w *sim.World, s *sim.Server) { s.SetCapacity(w, 20) }}},
			[]end{{0, 100 * ms, sim.OK}, {1, 150 * ms, sim.OK}, {2, 200 * ms, sim.OK}}},
		{"no capacity is a stall", fair{server: ten(sim.ServerConfig{}), calls: all(2, 0),
			then: map[time.Duration]func(*sim.World, *sim.Server){
				50 * ms:  func(w *sim.World, s *sim.Server) { s.SetCapacity(w, 0) },
				300 * ms: func(w *sim.World, s *sim.Server) { s.SetCapacity(w, 10) },
			}},
			[]end{{0, 100 * ms, sim.OK}, {1, 400 * ms, sim.OK}}},
		{"fates cost the server nothing", fair{server: ten(sim.ServerConfig{}), calls: all(3, 0),
			then: map[time.Duration]func(*sim.World, *sim.Server){0: func(_ *sim.World, s *sim.Server) {
				s.Fate = func(m *sim.Member) sim.Fate { return []sim.Fate{sim.Rejected, sim.Swallowed, sim.Queued}[m.Index] }
			}}},
			[]end{{0, 0, sim.Failed}, {2, 100 * ms, sim.OK}, {1, 1000*ms - rtt, sim.TimedOut}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []end
			ends, s := c.run()
			for _, e := range ends {
				got = append(got, end{e.member, e.at - rtt, e.o})
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
			if n := s.Arrived(0, 60); n != len(c.calls) || s.Waiting() > 0 || s.Busy() > 0 {
				t.Errorf("%d of %d requests arrived; %d wait and %d are served in the end", n, len(c.calls), s.Waiting(), s.Busy())
			}
		})
	}
}

// TestBacklog: a queue that has grown for ten seconds is as long as what arrived,
// and is worked off in the order in which it came.
func TestBacklog(t *testing.T) {
	t.Parallel()
	var served []outcome
	w := sim.New(sim.Config{
		Members: 1, Timeout: time.Hour, Services: []sim.ServiceConfig{{Load: 800}},
		Strategy: retrying(0, func(o outcome) { served = append(served, o) }),
	})
	s := w.Service(0).Servers[0]
	s.Stall()
	w.Run(10 * time.Second)
	if n := s.Arrived(0, 10); s.Waiting() != n || n < 7500 || n > 8500 || len(served) > 0 {
		t.Errorf("%d of %d requests wait; %d have ended", s.Waiting(), n, len(served))
	}
	w.SetLoad(0, -1)
	s.Resume(w)
	w.Run(20 * time.Second)
	if s.Waiting() > 0 || len(served) != s.Arrived(0, 30) {
		t.Errorf("%d wait, %d of %d have ended", s.Waiting(), len(served), s.Arrived(0, 30))
	}
	began := func(o outcome) time.Duration { return o.at - o.took }
	if !slices.IsSortedFunc(served, func(a, b outcome) int { return int(began(a) - began(b)) }) {
		t.Error("not in the order in which they came")
	}
}

// TestSaturated: a server with more to do than it can, one of whose workers is
// slow, serves as much as its workers can.
func TestSaturated(t *testing.T) {
	t.Parallel()
	for _, work := range []struct {
		name string
		c    sim.ServerConfig
	}{
		{"constant work", sim.ServerConfig{}},
		{"exponential work", sim.ServerConfig{Work: sim.Exponential}},
	} {
		c := work.c
		c.Capacity, c.Workers, c.SlowWorkers, c.Slowdown = 1000, 10, 1, 20
		ok := 0
		w := sim.New(sim.Config{
			Members: 1, Timeout: time.Hour, Services: []sim.ServiceConfig{{Load: 1500, Servers: []sim.ServerConfig{c}}},
			Strategy: retrying(0, func(o outcome) {
				if o.o == sim.OK { // the rest is refused
					ok++
				}
			}),
		})
		w.Run(time.Minute)
		near(t, work.name+" served", float64(ok), 60*1000*(9+1./20)/10, .02)
	}
}
