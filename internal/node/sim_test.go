package node_test

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/law"
	"github.com/murmuration-go/murmuration/internal/ledger"
	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/rendezvous"
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
	free     time.Duration                                        // when the server will have worked off its queue
	loss     float64                                              // of messages
	failing  func(member int) outcome                             // nil: all are served
	users    func(member int) bool                                // of the service; nil: all
	network  func(from, to *simMember) bool                       // nil: all are connected
	tamper   func(from, to *simMember, data []byte) (lied []byte) // nil: all are honest

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
	name := m.name()
	m.node = node.New(name, 1)
	s.members = append(s.members, m)
	s.byName[name] = m
	s.tellMembers()
	s.after(time.Duration(s.rng.Int64N(int64(law.Tick))), func() { s.tick(m) })
	s.after(0, func() { s.arrive(m, true) })
	return m
}

// tellMembers gives every node the list of the live ones.
func (s *sim) tellMembers() {
	var names []string
	for _, m := range s.members {
		if !m.dead {
			names = append(names, m.name())
		}
	}
	roster := node.NewRoster(names)
	for _, m := range s.members {
		m.node.SetMembers(roster)
	}
}

func (s *sim) tick(m *simMember) {
	if m.dead {
		return
	}
	var samples []node.Samples
	if s.uses(m) {
		samples = []node.Samples{{Service: "svc", Endpoints: []coord.Sample{m.ep.Sample()}}}
	}
	s.apply(m, m.node.Tick(s.now, samples, 255))
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
		s.transmit(m, s.byName[x.To], x.Data, time.Millisecond+s.spread(2*time.Millisecond))
	}
	for _, x := range out.Casts {
		for _, to := range s.members {
			// Each node passes a change on once; one hop to a few peers
			// stands for that, so that it spreads as gossip does.
			if to != m && s.rng.Float64() < 4/float64(len(s.members)) {
				s.transmit(m, to, x.Data, 20*time.Millisecond+s.spread(100*time.Millisecond))
			}
		}
	}
}

func (s *sim) transmit(from, to *simMember, data []byte, late time.Duration) {
	if to == nil || s.rng.Float64() < s.loss || s.network != nil && !s.network(from, to) {
		return
	}
	if s.tamper != nil {
		data = s.tamper(from, to, data)
	}
	s.after(late, func() { s.deliver(to, data) })
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
	if m.dead || !s.uses(m) {
		return
	}
	users := 0
	for _, m := range s.members {
		if s.uses(m) {
			users++
		}
	}
	gap := time.Duration(s.rng.ExpFloat64() / s.load * float64(users) * float64(time.Second))
	s.after(gap, func() { s.arrive(m, false) })
	if idle {
		return
	}
	s.firsts++
	at := s.second()
	bump(&s.wanted, at)
	a := m.ep.Advice()
	m.ep.Wanted(s.rng.Uint32())
	if !m.ep.Admit(a.Phi, s.rng.Uint32()) {
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
		what = s.failing(m.index)
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

func (s *sim) uses(m *simMember) bool { return s.users == nil || s.users(m.index) }

// kill crashes a member; the others notice after a while, as with memberlist.
func (s *sim) kill(m *simMember, noticed time.Duration) {
	m.dead = true
	s.after(noticed, s.tellMembers)
}

// stewards are the members that watch over the service, best first.
func (s *sim) stewards() (l []*simMember) {
	var names []string
	for _, m := range s.members {
		if !m.dead {
			names = append(names, m.name())
		}
	}
	for _, name := range rendezvous.Top(rendezvous.List(names), "svc") {
		l = append(l, s.byName[name])
	}
	return l
}

func (m *simMember) name() string { return fmt.Sprintf("member-%d", m.index) }

// restricted counts the live members whose advice restricts the endpoint.
func (s *sim) restricted() (n int) {
	for _, m := range s.members {
		if !m.dead && m.ep.Advice().InForce() {
			n++
		}
	}
	return n
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
