package peers

import (
	"math/rand/v2"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/sim"
	"github.com/murmuration-go/murmuration/internal/sim/standin"
)

// The defaults of gobreaker.
const (
	gobreakerTrip    = 6 // consecutive failures: more than 5
	gobreakerTimeout = 60 * time.Second
	gobreakerProbes  = 1
)

// gobreaker is sony/gobreaker v2.4.0 with its zero Settings (gobreaker.go), under
// a retry loop: it opens after 6 failures in a row, refuses for 60 s, then lets
// one request through at a time, which closes it or opens it again. Its Interval
// is 0, so the row of failures has no age. A late result of an earlier
// generation is dropped.
//
// The breaker is asked for every attempt, and its refusal ends the call: an open
// breaker is not worth a retry. The loop around it is that of backoff.
//
// Nothing was left out of what zero Settings use. The test runs this and the real
// one on the same traces in a synctest bubble.
type gobreaker struct {
	rand    *rand.Rand
	state   standin.State
	present *generation
	openTo  time.Duration // open until after this
}

// generation is what gobreaker counts between two changes of state. A call keeps
// a pointer to the one in which its attempt was let go, in place of a number.
type generation struct {
	requests int
	inRow    int // failures
}

func newGobreaker(_ time.Duration, e sim.Env) sim.Client {
	return &gobreaker{rand: e.Rand, state: standin.Closed, present: &generation{}}
}

func (c *gobreaker) Admit(now time.Duration, a *sim.Attempt) bool {
	c.advance(now)
	if c.state == standin.Open || c.state == standin.HalfOpen && c.present.requests >= gobreakerProbes {
		return false
	}
	c.present.requests++
	a.State = c.present
	return true
}

func (c *gobreaker) End(now time.Duration, a *sim.Attempt, o sim.Outcome, _ time.Duration) {
	c.advance(now)
	if a.State != c.present {
		return
	}
	switch {
	case o == sim.OK && c.state == standin.HalfOpen:
		c.turn(standin.Closed)
	case o == sim.OK:
		c.present.inRow = 0
	default:
		c.present.inRow++
		if c.state == standin.HalfOpen || c.present.inRow >= gobreakerTrip {
			c.turn(standin.Open)
			c.openTo = now + gobreakerTimeout
		}
	}
}

func (c *gobreaker) Retry(_ time.Duration, a *sim.Attempt, _ sim.Outcome) (time.Duration, bool) {
	if a.N > MaxRetries {
		return 0, false
	}
	return fullJitter(c.rand, a.N), true
}

func (c *gobreaker) advance(now time.Duration) {
	if c.state == standin.Open && now > c.openTo {
		c.turn(standin.HalfOpen)
	}
}

func (c *gobreaker) turn(s standin.State) { c.state, c.present = s, &generation{} }

// breaker10s is gobreaker set as well as we know how, which is how package
// breaker sets it when it is alone: a rolling window of 10 s in buckets of one,
// open at 50 % failures of at least 20 requests or at 10 failures in a row, for
// 10 s and up to one more at random, which gobreaker itself lacks and which
// keeps the probes of a fleet apart. The machine is package standin's, which is
// tested against package breaker.
//
// It stands under the same loop as gobreaker: asked for every attempt, and a
// refusal ends the call. It has no cluster, no budget and no other endpoint to
// turn to; the shipped client without a cluster has a budget besides.
type breaker10s struct {
	rand    *rand.Rand
	machine *standin.Breaker
	free    []*standin.Ticket // no longer in flight
}

func newBreaker10s(now time.Duration, e sim.Env) sim.Client {
	rule := standin.Config{
		Window: 10 * time.Second, OpenTimeout: 10 * time.Second,
		MinRequests: 20, FailureRatio: .5, ConsecutiveFailures: 10,
	}
	return &breaker10s{rand: e.Rand, machine: standin.NewAt(now, rule, e.Rand, nil)}
}

func (c *breaker10s) Admit(now time.Duration, a *sim.Attempt) bool {
	ticket, ok := c.machine.Allow(now, nil)
	if !ok {
		return false
	}
	var t *standin.Ticket
	if n := len(c.free); n > 0 {
		t, c.free = c.free[n-1], c.free[:n-1]
	} else {
		t = new(standin.Ticket)
	}
	*t = ticket
	a.State = t
	return true
}

func (c *breaker10s) End(now time.Duration, a *sim.Attempt, o sim.Outcome, _ time.Duration) {
	t := a.State.(*standin.Ticket)
	outcome := coord.Success
	switch o {
	case sim.OK:
	case sim.Failed:
		outcome = coord.Failure
	case sim.TimedOut:
		outcome = coord.Slow
	}
	c.machine.Done(now, *t, outcome, nil)
	c.free, a.State = append(c.free, t), nil
}

func (c *breaker10s) Retry(_ time.Duration, a *sim.Attempt, _ sim.Outcome) (time.Duration, bool) {
	if a.N > MaxRetries {
		return 0, false
	}
	return fullJitter(c.rand, a.N), true
}
