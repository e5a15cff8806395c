package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// settings are what the flags say.
type settings struct {
	members  int
	duration time.Duration
	stallAt  time.Duration
	stall    time.Duration
	capacity float64
	load     float64 // share of the capacity
	seed     uint64
	chaos    []string
}

// traffic is how long calls are made: what is left of the duration is for the
// last of them to use up their attempts.
func (s settings) traffic() time.Duration { return s.duration - 5*time.Second }

// run is one way of calling, on its own server, with the same traffic as all
// the others.
type run struct {
	name   string
	make   func(ctx context.Context, url string, t *tally) (client, error)
	server *server
	tally  tally

	mu      sync.Mutex
	clients []client
	dead    []bool
	late    time.Duration

	calls []call
}

// call is one first try: when it was due, how it ended, and when.
type call struct {
	due  time.Duration
	done time.Duration // 0: not yet
	ok   bool
}

// arrivals draws the due times of one member's calls.
func arrivals(s settings, member int) []time.Duration {
	rng := rand.New(rand.NewPCG(s.seed, uint64(member)))
	rate := s.capacity * s.load / float64(s.members)
	var due []time.Duration
	for t := 0.0; ; {
		t += rng.ExpFloat64() / rate
		if d := time.Duration(t * float64(time.Second)); d < s.traffic() {
			due = append(due, d)
			continue
		}
		return due
	}
}

// prepare starts the server and makes the clients.
func (r *run) prepare(ctx context.Context, s settings, start time.Time) error {
	var err error
	if r.server, err = newServer(s.capacity, start, s.stallAt, s.stall); err != nil {
		return err
	}
	for range s.members {
		if err := r.join(ctx); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return nil
}

func (r *run) join(ctx context.Context) error {
	c, err := r.make(ctx, r.server.url, &r.tally)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clients = append(r.clients, c)
	r.dead = append(r.dead, false)
	return nil
}

// drive makes one member's calls when they are due, whether or not earlier ones
// have ended (an open loop: users do not wait for each other).
func (r *run) drive(ctx context.Context, start time.Time, member int, due []time.Duration, calls *sync.WaitGroup) {
	for _, d := range due {
		if wait := time.Until(start.Add(d)); wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return
			}
		}
		r.mu.Lock()
		if r.dead[member] {
			r.mu.Unlock()
			return
		}
		i := len(r.calls)
		r.calls = append(r.calls, call{due: d})
		r.late = max(r.late, time.Since(start.Add(d)))
		c := r.clients[member]
		r.mu.Unlock()
		calls.Add(1)
		go func() {
			defer calls.Done()
			err := c.call(ctx)
			r.tally.ended(err)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.calls[i].done, r.calls[i].ok = time.Since(start), err == nil
		}()
	}
}

// kill crashes a member.
func (r *run) kill(member int) {
	r.mu.Lock()
	c := r.clients[member]
	r.dead[member] = true
	r.mu.Unlock()
	c.kill()
}

func (r *run) close() {
	for i, c := range r.clients {
		if !r.dead[i] {
			c.kill()
		}
	}
	if r.server != nil {
		r.server.close()
	}
}

// result is what is told of a run.
type result struct {
	Name             string   `json:"name"`
	Amplification    float64  `json:"amplification"` // attempts / first tries, from the stall to 10 s after it
	Goodput          float64  `json:"goodput"`       // first tries that succeeded, from the stall to the end
	AttemptsDown     int      `json:"attempts_down"` // requests that reached the server while it stalled
	RecoveryS        *float64 `json:"recovery_s"`    // from the end of the stall to 97 % for 5 s; null: never
	Peak             float64  `json:"peak"`          // most requests in a second after the stall, over the capacity
	RetriesDimmed    int64    `json:"retries_while_dimmed"`
	Refused          int64    `json:"refused"`           // calls of which something was refused by a breaker or a verdict
	Unexplained      int64    `json:"unexplained"`       // those of them whose error does not say who decided, on what evidence and how old that was
	RefusedSpans     int64    `json:"refused_spans"`     // spans of such calls: as many
	UnexplainedSpans int64    `json:"unexplained_spans"` // and those of them that do not say it
	LateMS           float64  `json:"late_ms"`           // how late the latest call was made: the measurement's own error
}

func (r *run) result(s settings) result {
	r.mu.Lock()
	calls := slices.Clone(r.calls)
	late := r.late
	r.mu.Unlock()
	arrived := r.server.arrivals()
	end := s.stallAt + s.stall
	res := result{Name: r.name, RetriesDimmed: r.tally.retriesDimmed.Load(), LateMS: float64(late.Microseconds()) / 1000}
	res.Refused, res.Unexplained = r.tally.refused.Load(), r.tally.unexplained.Load()
	res.RefusedSpans, res.UnexplainedSpans = r.tally.spans.Refused.Load(), r.tally.spans.Unexplained.Load()

	between := func(t, from, to time.Duration) bool { return t >= from && t < to }
	firsts, attempts, wanted, ok := 0, 0, 0, 0
	for _, c := range calls {
		if between(c.due, s.stallAt, min(end+10*time.Second, s.traffic())) {
			firsts++
		}
		if c.due >= s.stallAt {
			wanted++
			if c.ok {
				ok++
			}
		}
	}
	for _, t := range arrived {
		if between(t, s.stallAt, min(end+10*time.Second, s.traffic())) {
			attempts++
		}
		if between(t, s.stallAt, end) {
			res.AttemptsDown++
		}
	}
	res.Amplification = round(float64(attempts) / float64(max(firsts, 1)))
	res.Goodput = round(float64(ok) / float64(max(wanted, 1)))
	res.Peak = round(peak(arrived, end, s.traffic()) / s.capacity)
	res.RecoveryS = recovery(calls, end, s.traffic())
	return res
}

func round(f float64) float64 { return math.Round(f*1000) / 1000 }

// peak is the most arrivals in any second.
func peak(arrived []time.Duration, from, to time.Duration) float64 {
	slices.Sort(arrived)
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

// recovery is how long after the stall the first five seconds begin in which
// 97 % of the calls succeed, in steps of a quarter second.
func recovery(calls []call, end, traffic time.Duration) *float64 {
	const window, step = 5 * time.Second, 250 * time.Millisecond
	for from := end; from+window <= traffic; from += step {
		wanted, ok := 0, 0
		for _, c := range calls {
			if c.due >= from && c.due < from+window {
				wanted++
				if c.ok {
					ok++
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
