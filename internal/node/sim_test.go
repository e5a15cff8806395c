package node_test

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/law"
	"github.com/murmuration-go/murmuration/internal/ledger"
	"github.com/murmuration-go/murmuration/internal/node"
)

// sim is a small discrete-event simulation around the shipped nodes: members
// with Poisson arrivals, one FIFO server, lossy late messages. Everything is
// drawn from one seed, in one order.
type sim struct {
	rng     *rand.Rand
	now     time.Duration
	queue   eventQueue
	count   uint64
	members []*simMember
	byName  map[string]*simMember

	capacity float64 // requests a second
	load     float64 // first tries a second, all members together
	timeout  time.Duration
	free     time.Duration // when the server will have worked off its queue
	loss     float64       // of messages
	failing  func(at time.Duration, member int) outcome

	firsts, attempts, dimmed, retries, retriesDimmed int
	arrived                                          []int // at the server, per second
	ok, wanted                                       []int // per second of arrival
	lowest                                           coord.Phi
	trips                                            int
}

// outcome says what happens to an attempt instead of being served.
type outcome uint8

const (
	served outcome = iota
	refuses
	swallows // no answer: a timeout
)

type simMember struct {
	index   int
	node    *node.Node
	service *coord.Service
	ep      *coord.Endpoint
	ledger  *ledger.Ledger
	dead    bool
}

type event struct {
	at time.Duration
	n  uint64
	do func()
}

type eventQueue []event

func (q eventQueue) Len() int { return len(q) }
func (q eventQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].n < q[j].n
}
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *eventQueue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *eventQueue) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

func (s *sim) after(d time.Duration, do func()) {
	s.count++
	heap.Push(&s.queue, event{s.now + d, s.count, do})
}

func (s *sim) run(until time.Duration) {
	for len(s.queue) > 0 && s.queue[0].at <= until {
		e := heap.Pop(&s.queue).(event)
		s.now = e.at
		e.do()
	}
	s.now = until
}

func newSim(seed uint64, n int, capacity, load float64, timeout time.Duration) *sim {
	s := &sim{
		rng: rand.New(rand.NewPCG(seed, 1)), byName: map[string]*simMember{},
		capacity: capacity, load: load, timeout: timeout, lowest: coord.PhiFull,
		now: time.Hour,
	}
	s.free = s.now
	for range n {
		s.join()
	}
	return s
}

func (s *sim) join() *simMember {
	i := len(s.members)
	m := &simMember{index: i, service: coord.NewService("svc"), ledger: ledger.New(s.now, ledger.One)}
	m.ep = m.service.Endpoint("a")
	name := fmt.Sprintf("member-%d", i)
	m.node = node.New(name, 1)
	s.members = append(s.members, m)
	s.byName[name] = m
	s.members2nodes()
	s.after(time.Duration(s.rng.Int64N(int64(law.Tick))), func() { s.tick(m) })
	s.after(0, func() { s.arrive(m, true) })
	return m
}

func (s *sim) members2nodes() {
	var names []string
	for _, m := range s.members {
		if !m.dead {
			names = append(names, fmt.Sprintf("member-%d", m.index))
		}
	}
	for _, m := range s.members {
		m.node.SetMembers(names)
	}
}

func (s *sim) tick(m *simMember) {
	if m.dead {
		return
	}
	sample := node.Samples{Service: "svc", Endpoints: []coord.Sample{m.ep.Sample()}}
	s.apply(m, m.node.Tick(s.now, []node.Samples{sample}, 255))
	s.after(law.Tick, func() { s.tick(m) })
}

func (s *sim) apply(m *simMember, out *node.Output) {
	for _, a := range out.Advice {
		was := m.ep.Advice().Phi
		if was == coord.PhiFull && a.Phi < was {
			s.trips++
		}
		s.lowest = min(s.lowest, a.Phi)
		m.ep.Publish(a.Advice)
	}
	for _, x := range out.Sends {
		if s.rng.Float64() >= s.loss {
			to := s.byName[x.To]
			s.after(time.Millisecond+s.spread(2*time.Millisecond), func() { s.deliver(to, x.Data) })
		}
	}
	for _, x := range out.Casts {
		for _, to := range s.members {
			// Each node passes a change on once; one hop to a few peers
			// stands for that, so that it spreads as gossip does.
			if to != m && s.rng.Float64() < 4/float64(len(s.members)) && s.rng.Float64() >= s.loss {
				s.after(20*time.Millisecond+s.spread(100*time.Millisecond), func() { s.deliver(to, x.Data) })
			}
		}
	}
}

func (s *sim) deliver(m *simMember, data []byte) {
	if m != nil && !m.dead {
		s.apply(m, m.node.Deliver(s.now, data))
	}
}

func (s *sim) spread(d time.Duration) time.Duration { return time.Duration(s.rng.Int64N(int64(d))) }

func (s *sim) second() int { return int((s.now - time.Hour) / time.Second) }

func bump(v *[]int, at int) {
	for len(*v) <= at {
		*v = append(*v, 0)
	}
	(*v)[at]++
}

func (s *sim) arrive(m *simMember, idle bool) {
	if m.dead {
		return
	}
	gap := time.Duration(s.rng.ExpFloat64() / s.load * float64(len(s.members)) * float64(time.Second))
	s.after(gap, func() { s.arrive(m, false) })
	if idle {
		return
	}
	s.firsts++
	at := s.second()
	bump(&s.wanted, at)
	a := m.ep.Advice()
	m.ep.Wanted(s.rng.Uint32())
	if a.Phi < coord.PhiFull && coord.Phi(s.rng.Uint32()) >= a.Phi {
		s.dimmed++
		return
	}
	m.ledger.Burn(m.service.Burns())
	if a.Mode != coord.RetryNone {
		m.ledger.Earn(ledger.Of(.1), 2*ledger.One)
	}
	s.send(m, a, 1, at)
}

func (s *sim) send(m *simMember, a *coord.Advice, n, at int) {
	s.attempts++
	bump(&s.arrived, s.second())
	try := m.ep.Send(a, s.timeout, n > 1, s.rng.Uint32())
	start := s.now
	what := served
	if s.failing != nil {
		what = s.failing(s.now-time.Hour, m.index)
	}
	took := s.timeout
	ok := false
	switch what {
	case refuses:
		took = time.Millisecond
	case served:
		s.free = max(s.free, s.now) + time.Duration(float64(time.Second)/s.capacity)
		if wait := s.free - s.now; wait < s.timeout {
			took, ok = wait, true
		}
	}
	s.after(took, func() {
		o := coord.Failure
		switch {
		case ok:
			o = coord.Success
			bump(&s.ok, at)
		case took >= s.timeout:
			o = coord.Slow
		}
		try.End(o, s.now-start)
		if ok || n >= 3 {
			return
		}
		a := m.ep.Advice()
		m.ledger.Burn(m.service.Burns())
		if a.Mode != coord.RetryAll && a.Mode != coord.RetryRatio || !m.ledger.Take(s.rng.Float64()) {
			return
		}
		s.after(s.spread(20*time.Millisecond), func() {
			a := m.ep.Advice()
			if a.Mode == coord.RetryNone {
				return
			}
			s.retries++
			if a.Phi < coord.PhiFull {
				s.retriesDimmed++
			}
			s.send(m, a, n+1, at)
		})
	})
}

// stall stops the server for d; its queue stays.
func (s *sim) stall(d time.Duration) { s.free = max(s.free, s.now) + d }

// goodput is the share of first tries of these seconds that succeeded.
func (s *sim) goodput(from, to int) float64 {
	ok, wanted := 0, 0
	for i := from; i < to && i < len(s.wanted); i++ {
		wanted += s.wanted[i]
		if i < len(s.ok) {
			ok += s.ok[i]
		}
	}
	return float64(ok) / float64(max(wanted, 1))
}

// recovered is how long after the second from it takes until 97 % succeed for 5 s,
// or -1.
func (s *sim) recovered(from int) int {
	for i := from; i+5 <= len(s.wanted)-2; i++ {
		if s.goodput(i, i+5) >= .97 {
			return i - from
		}
	}
	return -1
}

func (s *sim) peak(from, to int) float64 {
	most := 0
	for i := from; i < to && i < len(s.arrived); i++ {
		most = max(most, s.arrived[i])
	}
	return float64(most) / s.capacity
}

// TestStall is the main incident: the server stalls with its queue intact.
func TestStall(t *testing.T) {
	for _, c := range []struct {
		n        int
		capacity float64
		stall    time.Duration
	}{{12, 250, 6 * time.Second}, {12, 1000, 10 * time.Second}, {100, 1000, 10 * time.Second}} {
		for seed := range uint64(3) {
			s := newSim(seed, c.n, c.capacity, .8*c.capacity, time.Second)
			s.run(s.now + 20*time.Second)
			if s.trips > 0 {
				t.Errorf("n=%d seed=%d: tripped while healthy", c.n, seed)
			}
			before := s.attempts
			firsts := s.firsts
			s.stall(c.stall)
			from := s.second()
			end := from + int(c.stall/time.Second)
			s.run(s.now + c.stall)
			down := s.attempts - before
			s.run(s.now + 10*time.Second)
			amp := float64(s.attempts-before) / float64(s.firsts-firsts)
			s.run(s.now + 50*time.Second)
			rec := s.recovered(end)
			t.Logf("n=%d C=%v seed=%d: amplification %.2f, sent while down %d, goodput %.3f, recovered %d s, peak %.2f, lowest phi %.4f, retries while dimmed %d",
				c.n, c.capacity, seed, amp, down, s.goodput(from, end+60), rec, s.peak(end+2, end+60), s.lowest.Float(), s.retriesDimmed)
			if s.lowest == coord.PhiFull {
				t.Errorf("n=%d seed=%d: did not trip", c.n, seed)
			}
			if rec < 0 || rec > 20 || amp > 1.05 || s.retriesDimmed > 0 || math.IsNaN(amp) {
				t.Errorf("n=%d seed=%d: recovered %d s, amplification %.2f, retries while dimmed %d", c.n, seed, rec, amp, s.retriesDimmed)
			}
			if false {
				for i := from; i < min(end+30, len(s.wanted)); i++ {
					t.Logf("  +%2d s: arrived %4d ok %.2f", i-from, s.arrived[i], s.goodput(i, i+1))
				}
			}
		}
	}
}
