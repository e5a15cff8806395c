package sim

import (
	"math/rand/v2"
	"time"
)

// Order is which of the waiting requests a server takes next.
type Order uint8

// The orders.
const (
	OldestFirst Order = iota
	NewestFirst
)

// ServerConfig is an endpoint: a queue and the workers that serve it.
type ServerConfig struct {
	Told     float64 // the capacity that members are configured with, 0 unknown
	Name     string
	Zone     int
	Capacity float64 // requests a second, all workers together; default 1000
	Workers  int     // each as fast as the others; default 1
	Queue    int     // most requests that wait; default 20,000
	Order    Order

	// Drops lets requests beyond the queue go unanswered instead of being
	// refused; RefusalCost is the work of refusing one, as a share of a
	// request's.
	Drops       bool
	RefusalCost float64

	// RetryAfter, if set, is for how long those who are refused are told to
	// let the server alone.
	RetryAfter time.Duration

	// Cancels lets the server pass over requests that nobody waits for.
	Cancels bool

	// Work draws how much work a request is, 1 on average. Nil: always 1.
	Work func(*rand.Rand) float64

	// SlowWorkers take Slowdown times as long as the others.
	SlowWorkers int
	Slowdown    float64
}

// Exponential is work with an exponential distribution.
func Exponential(r *rand.Rand) float64 { return r.ExpFloat64() }

// Bimodal is work of which one request in twenty is 10 times the usual.
func Bimodal(r *rand.Rand) float64 {
	const usual = 1 / (.95 + .05*10)
	if r.Float64() < .05 {
		return 10 * usual
	}
	return usual
}

// Fate is what happens to a request before it reaches a server's queue.
type Fate uint8

// The fates.
const (
	Queued    Fate = iota
	Rejected       // an error at once, at no cost
	Swallowed      // no answer
	Cut            // an error at once that tells nothing, as of a broken connection
)

// Server is an endpoint at work.
type Server struct {
	ServerConfig
	index int

	// Fate, if set, decides about every request of a member.
	Fate func(m *Member) Fate

	capacity float64 // now
	stalled  bool
	debt     float64 // work spent on refusing, not yet accounted for
	waiting  []request
	head     int
	workers  []worker

	perSecond []int // requests that arrived, by second
	again     []int // retries among them

	PushedBack int // requests that were refused and told for how long
}

// request is an attempt at the server. The call may have given up on it.
type request struct {
	call *call
	gen  uint32
}

// worker serves one request at a time.
type worker struct {
	s    *Server
	busy bool
	slow float64
	r    request
}

func newServer(index int, c ServerConfig) *Server {
	if c.Capacity == 0 {
		c.Capacity = 1000
	}
	c.Workers = max(c.Workers, 1)
	if c.Queue == 0 {
		c.Queue = 20000
	}
	s := &Server{ServerConfig: c, index: index, capacity: c.Capacity, workers: make([]worker, c.Workers)}
	for i := range s.workers {
		s.workers[i] = worker{s: s, slow: 1}
		if i < c.SlowWorkers {
			s.workers[i].slow = c.Slowdown
		}
	}
	return s
}

// SetCapacity changes how many requests a second are served from now on.
func (s *Server) SetCapacity(w *World, rps float64) {
	s.capacity = rps
	s.work(w)
}

// CapacityNow is how many requests a second are served now, or would be but for a
// stall.
func (s *Server) CapacityNow() float64 { return s.capacity }

// Stall stops the server, its queue intact; Resume lets it go on.
func (s *Server) Stall() { s.stalled = true }

// Resume ends a stall.
func (s *Server) Resume(w *World) {
	s.stalled = false
	s.work(w)
}

// Waiting is the length of the queue.
func (s *Server) Waiting() int { return len(s.waiting) - s.head }

func (s *Server) arrive(w *World, c *call) {
	bump(&s.perSecond, w.Second())
	if c.N > 1 {
		bump(&s.again, w.Second())
	}
	fate := Queued
	if s.Fate != nil {
		fate = s.Fate(c.member)
	}
	switch {
	case fate == Swallowed:
	case fate == Cut:
		w.answers.add(w, c, Failed)
	case fate == Rejected:
		s.refuse(w, c)
	case s.Waiting() >= s.Queue:
		if !s.Drops {
			s.debt += s.RefusalCost
			s.refuse(w, c)
		}
	default:
		s.waiting = append(s.waiting, request{c, c.gen})
		s.work(w)
	}
}

func (s *Server) refuse(w *World, c *call) {
	if c.RetryAfter = s.RetryAfter; s.RetryAfter > 0 {
		s.PushedBack++
	}
	w.answers.add(w, c, Failed)
}

// work lets idle workers take what waits.
func (s *Server) work(w *World) {
	if s.stalled || s.capacity <= 0 {
		return
	}
	for i := range s.workers {
		k := &s.workers[i]
		if k.busy {
			continue
		}
		r, ok := s.next()
		if !ok {
			return
		}
		amount := 1.0
		if s.Work != nil {
			amount = s.Work(w.serverRand)
		}
		amount += s.debt
		s.debt = 0
		k.busy, k.r = true, r
		w.after(time.Duration(amount*k.slow*float64(len(s.workers))/s.capacity*float64(time.Second)), k)
	}
}

func (s *Server) next() (request, bool) {
	for s.Waiting() > 0 {
		var r request
		if s.Order == NewestFirst {
			r = s.waiting[len(s.waiting)-1]
			s.waiting = s.waiting[:len(s.waiting)-1]
		} else {
			r = s.waiting[s.head]
			s.waiting[s.head] = request{}
			s.head++
		}
		if s.head == len(s.waiting) || s.head > 4096 && 2*s.head > len(s.waiting) {
			s.waiting = s.waiting[:copy(s.waiting, s.waiting[s.head:])]
			s.head = 0
		}
		if !s.Cancels || r.call.gen == r.gen {
			return r, true
		}
	}
	return request{}, false
}

func (k *worker) fire(w *World) {
	r := k.r
	k.busy, k.r = false, request{}
	if r.call.gen == r.gen {
		w.answers.add(w, r.call, OK)
	}
	k.s.work(w)
}

func bump(v *[]int, at int) { add(v, at, 1) }

func add(v *[]int, at, n int) {
	for len(*v) <= at {
		*v = append(*v, 0)
	}
	(*v)[at] += n
}

func (f Fate) String() string { return [...]string{"queued", "rejected", "swallowed", "cut off"}[f] }
