package retry_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/murmuration-go/murmuration/retry"
)

// Whatever the attempts of a hedged call do: none outlives it (see play), each
// that was sent after the first costs a token and no other does, the error counts
// those that were sent, a success is told as one, and nobody is told of
// ErrSuperseded.
func TestHedgedCallsKeepTheBooks(t *testing.T) {
	ends := []error{nil, errDown, retry.Permanent(errDown), refusal{}, deaf{}, deaf{errDown}}
	rapid.Check(t, func(rt *rapid.T) {
		steps := make([]step, 4)
		for i := range steps {
			steps[i] = step{
				takes: time.Duration(rapid.IntRange(0, 25).Draw(rt, "takes"))*ms + time.Duration(i), // no two at one instant
				err:   rapid.SampledFrom(ends).Draw(rt, "ends"),
			}
		}
		p := hedged()
		p.MaxAttempts = rapid.IntRange(1, 4).Draw(rt, "max")
		p.AttemptTimeout = rapid.SampledFrom([]time.Duration{0, 15*ms + 7}).Draw(rt, "timeout")
		var got played
		synctest.Test(t, func(t *testing.T) { got = play(t.Context(), p, steps...) })
		checkBooks(rt, p, steps, got)
	})
}

func checkBooks(t *rapid.T, p retry.Policy, steps []step, got played) {
	sent, paid, lost := 0, 0, 0
	for i, cause := range got.causes {
		if errors.Is(cause, retry.ErrSuperseded) {
			lost++
		} else if cause == nil && steps[got.numbers[i]-1].err == (refusal{}) {
			continue
		}
		sent++
		if got.numbers[i] > 1 {
			paid++
		}
	}
	if spent := p.Budget.Stats().Spent; spent != float64(paid) || sent > p.MaxAttempts || lost > 1 {
		t.Errorf("%v tokens spent on %d of %d attempts; %d were superseded", spent, paid, sent, lost)
	}
	var e *retry.Error
	switch {
	case got.err == nil:
		if s := steps[got.value-1]; s.err != nil && s.err != (deaf{}) {
			t.Errorf("the success is of attempt %d, which ended with %v", got.value, s.err)
		}
	case errors.Is(got.err, retry.ErrSuperseded):
		t.Errorf("the caller is told %v", got.err)
	case errors.As(got.err, &e):
		if e.Attempts != sent {
			t.Errorf("%v; %d attempts were sent", got.err, sent)
		}
	case sent > 0 || got.err != (refusal{}):
		t.Errorf("%v; %d attempts were sent", got.err, sent)
	}
}
