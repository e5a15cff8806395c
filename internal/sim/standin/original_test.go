package standin

import (
	"context"
	"errors"
	"testing/synctest"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/internal/coord"
)

// original is a machine that the stand-in stands for. Its time is the bubble's.
type original interface {
	// begin starts an attempt; if it went, end ends it.
	begin(s step) (got answer, end func(result))
	// call is begin and end at once.
	call(s step) answer
	state() State
	// openFor is how long an open machine stays open from its opening; it is
	// asked only while the machine refuses.
	openFor() time.Duration
}

// answer is what a machine says to an attempt.
type answer uint8

const (
	went    answer = iota
	refused        // by the local machine
	dimmed         // by advice, before the local machine was asked
)

func (a answer) String() string { return [...]string{"went", "refused", "dimmed"}[a] }

func answerOf(err error) answer {
	var e *breaker.OpenError
	switch {
	case !errors.As(err, &e):
		return went
	case e.Source == breaker.SourceLocal:
		return refused
	}
	return dimmed
}

// doer is a Breaker whose attempts go by DoAttempt, which encloses them.
type doer struct{ b *breaker.Breaker }

func (m doer) do(n int, end func() result) (got answer) {
	ran := false
	defer func() {
		if ran {
			_ = recover() // what the guarded function threw
			got = went
		}
	}()
	return answerOf(m.b.DoAttempt(context.Background(), n, func(context.Context) error {
		ran = true
		r := end()
		if r.Err == errPanic {
			panic(r.Err)
		}
		return r.Err
	}))
}

func (m doer) call(s step) answer { return m.do(s.Attempt, func() result { return s.Result }) }

func (m doer) begin(s step) (answer, func(result)) {
	how, done := make(chan result), make(chan answer, 1)
	go func() { done <- m.do(s.Attempt, func() result { return <-how }) }()
	synctest.Wait()
	select {
	case got := <-done:
		return got, nil
	default:
		return went, func(r result) { how <- r; <-done }
	}
}

func (m doer) state() State { return State(m.b.State()) }

func (m doer) openFor() time.Duration {
	var e *breaker.OpenError
	if !errors.As(m.b.DoAttempt(context.Background(), 1, func(context.Context) error { return nil }), &e) {
		return 0
	}
	return e.RetryIn + e.Age
}

// allower is a Breaker whose attempts go by Allow or, where a step says so and
// where it is a retry, by DoAttempt.
type allower struct{ doer }

// newAllower makes the use of Allow begin before the trace does: it changes the
// machine for good, and forgets what was counted until then. No advice may be in
// force, which would put that off.
func newAllower(b *breaker.Breaker) allower {
	if done, err := b.Allow(); err == nil {
		done(breaker.Neutral(errDown))
	}
	return allower{doer{b}}
}

func (m allower) begin(s step) (answer, func(result)) {
	if !s.Once || s.Attempt > 1 {
		return m.doer.begin(s)
	}
	done, err := m.b.Allow()
	return answerOf(err), func(r result) { done(r.Err); done(errDown) } // the second is void
}

func (m allower) call(s step) answer {
	got, end := m.begin(s)
	if got == went {
		end(s.Result)
	}
	return got
}

// plain is gobreaker itself, with the local rule in our own words.
type plain struct {
	g       *gobreaker.TwoStepCircuitBreaker[any]
	timeout time.Duration
}

var errAside = errors.New("neither")

func newPlain(from breaker.Config) original {
	c := Config{from.Window, from.OpenTimeout, from.MinRequests, from.FailureRatio, from.ConsecutiveFailures}.withDefaults()
	return plain{timeout: c.OpenTimeout, g: gobreaker.NewTwoStepCircuitBreaker[any](gobreaker.Settings{
		Interval: c.Window, BucketPeriod: c.Window / 10, Timeout: c.OpenTimeout,
		IsExcluded: func(err error) bool { return err == errAside },
		ReadyToTrip: func(n gobreaker.Counts) bool {
			if c.ConsecutiveFailures > 0 && n.ConsecutiveFailures >= uint32(c.ConsecutiveFailures) {
				return true
			}
			all := n.TotalFailures + n.TotalSuccesses
			return c.MinRequests > 0 && all >= uint32(c.MinRequests) &&
				float64(n.TotalFailures) >= c.FailureRatio*float64(all)
		},
	})}
}

func (m plain) begin(step) (answer, func(result)) {
	done, err := m.g.Allow()
	if err != nil {
		return refused, nil
	}
	return went, func(r result) {
		switch r.Outcome {
		case coord.Success:
			done(nil)
		case coord.Neutral:
			done(errAside)
		default:
			done(errDown)
		}
	}
}

func (m plain) call(s step) answer {
	got, end := m.begin(s)
	if got == went {
		end(s.Result)
	}
	return got
}

func (m plain) state() State {
	switch m.g.State() {
	case gobreaker.StateOpen:
		return Open
	case gobreaker.StateHalfOpen:
		return HalfOpen
	default:
		return Closed
	}
}

func (m plain) openFor() time.Duration { return m.timeout }
