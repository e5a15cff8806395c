package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

// An endpoint's wish to be left alone is noted, whatever its error counts as, and
// by whichever way the call went.
func TestPushbackIsNoted(t *testing.T) {
	down := errors.New("down")
	nested := &retry.Error{Attempts: 1, Err: retry.After(down, 7*time.Second)} // another service's wish
	for name, tc := range map[string]struct {
		err  error
		want time.Duration
	}{
		"success":       {nil, 0},
		"failure":       {down, 0},
		"after":         {retry.After(down, 7*time.Second), 7 * time.Second},
		"wrapped":       {fmt.Errorf("oh: %w", retry.After(down, 7*time.Second)), 7 * time.Second},
		"neutral":       {retry.After(breaker.Neutral(down), 7*time.Second), 7 * time.Second},
		"not retryable": {retry.Permanent(retry.After(down, 7*time.Second)), 7 * time.Second},
		"no retry":      {retry.After(down, -1), 0},
		"for an hour":   {retry.After(down, time.Hour), coord.MaxPushback},

		"of a nested call":                {fmt.Errorf("oh: %w", nested), 0},
		"of a nested call, not retryable": {retry.Permanent(nested), 0},
		"own, beside a nested call's":     {retry.After(nested, 3*time.Second), 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for way, call := range map[string]func(*breaker.Breaker){
					"Do": func(b *breaker.Breaker) {
						_ = b.Do(t.Context(), func(context.Context) error { return tc.err })
					},
					"Allow": func(b *breaker.Breaker) {
						done, err := b.Allow()
						if err != nil {
							t.Fatal(err)
						}
						done(tc.err)
					},
				} {
					c := newAdvisor()
					call(breaker.New("a", in(c)))
					if got := c.endpoint().Sample().Pushback.Left; (got - tc.want).Abs() > time.Millisecond {
						t.Errorf("%s: %v, want %v", way, got, tc.want)
					}
					call(breaker.New("a", breaker.Config{})) // no cluster: nothing to note
				}
			})
		})
	}
}

// What the cluster shares is there to be asked for. It neither refuses anybody nor
// rests the local machine.
func TestPushbackRefusesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newAdvisor()
		b := breaker.New("a", in(c))
		c.publish(coord.Advice{Phi: coord.PhiFull, Until: coord.Now() + 9*time.Second, Failing: 32})
		if ran := times(100, b, nil); ran != 100 {
			t.Errorf("%d of 100 first tries went", ran)
		}
		if mode, err := b.Retryable(); mode != breaker.RetryAll || err != nil {
			t.Errorf("retries %v: %v", mode, err)
		}
		st := b.Status()
		if b.Pushback() != 9*time.Second || b.Failing() != 32 || st.Pushback != 9*time.Second || st.Failing != 32 || st.Source != breaker.SourceLocal {
			t.Errorf("the status is %+v", st)
		}
		times(10, b, errors.New("down"))
		if b.State() != breaker.Open {
			t.Errorf("the local machine is %v", b.State())
		}
		time.Sleep(9 * time.Second)
		if b.Pushback() != 0 {
			t.Errorf("%v after the end", b.Pushback())
		}
	})
}
