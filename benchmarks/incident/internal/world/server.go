package world

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Server is one zone's server. It has a finite capacity: it works requests off one
// after the other, in order of arrival. Like many real servers it does not notice
// that a client has gone: a request that timed out costs it as much as one that did
// not. Refusals and failures that have nothing to do with load cost nothing.
type Server struct {
	URL   string // for HTTP
	Addr  string // for gRPC
	plan  *Plan
	zone  int
	close []func()

	mu      sync.Mutex
	start   time.Time
	rng     *rand.Rand
	free    time.Duration   // when the queue will be worked off
	queue   []time.Duration // when those that wait, or are worked on, will be done
	arrived []time.Duration
}

// The errors that the server answers with.
var (
	errRefused = errors.New("the server refuses")
	errFailed  = errors.New("the server failed")
	errGone    = errors.New("the client has gone")
)

// deep is how many requests wait before a deep queue refuses.
const deep = 20000

// grain is how finely work is integrated over a changing capacity.
const grain = 5 * time.Millisecond

// NewServer returns a server that does not listen yet.
func NewServer(p *Plan, zone int) *Server {
	return &Server{plan: p, zone: zone, start: time.Now(), rng: rand.New(rand.NewPCG(p.Seed, uint64(1000+zone)))}
}

// Begin says when the run starts.
func (s *Server) Begin(start time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start = start
}

// serve takes a request, and returns when it is answered or the client has gone.
func (s *Server) serve(ctx context.Context) error {
	s.mu.Lock()
	start := s.start
	due, err := s.take(time.Since(start))
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if due < 0 { // lost
		<-ctx.Done()
		return errGone
	}
	t := time.NewTimer(time.Until(start.Add(due)))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done(): // its place in the queue stays taken
		return errGone
	}
}

// take books a place in the queue, and returns when the request will be done; less
// than 0 means never.
func (s *Server) take(now time.Duration) (time.Duration, error) {
	s.arrived = append(s.arrived, now)
	state := s.plan.At(s.zone, now-s.plan.Onset)
	luck := s.rng.Float64()
	switch {
	case state.Refuses:
		return 0, errRefused
	case luck < state.Fails && state.Bug:
		return 0, errFailed
	case luck < state.Fails:
		return 0, errRefused
	case luck < state.Fails+state.Loses:
		return -1, nil
	}
	for len(s.queue) > 0 && s.queue[0] <= now {
		s.queue = s.queue[1:]
	}
	room := deep
	if s.plan.Short {
		room = max(int(s.plan.CapacityOf(s.zone)/10), 2)
	}
	if len(s.queue) > room {
		return 0, errRefused
	}
	s.free = s.work(max(now, s.free))
	s.queue = append(s.queue, s.free)
	return s.free, nil
}

// work returns when a request is done that is begun at t.
func (s *Server) work(t time.Duration) time.Duration {
	left := float64(time.Second) / s.plan.CapacityOf(s.zone) // at full capacity
	for {
		share := s.plan.At(s.zone, t-s.plan.Onset).Share
		if done := share * float64(grain); done < left {
			left -= done
			t += grain
			continue
		}
		return t + time.Duration(left/share)
	}
}

// Arrived returns when requests arrived, counted from the start, in order.
func (s *Server) Arrived() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := slices.Clone(s.arrived)
	slices.Sort(l)
	return l
}

// Close ends the server and everything it has under way.
func (s *Server) Close() {
	for _, f := range slices.Backward(s.close) {
		f()
	}
}

// InFault reports whether the fault is on.
func (s *Server) InFault() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := time.Since(s.start)
	return t >= s.plan.Onset && t < s.plan.End()
}
