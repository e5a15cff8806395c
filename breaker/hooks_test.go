package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/internal/coord"
)

// Hooks run with nothing locked: they may ask the breaker and call through it.
func TestHooksMayCallTheBreaker(t *testing.T) {
	for _, twoStep := range []bool{false, true} {
		t.Run(fmt.Sprint("two-step ", twoStep), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b *breaker.Breaker
				var told []string
				c := breaker.Config{Service: "svc", Hooks: breaker.Hooks{
					StateChange: func(service, endpoint string, from, to breaker.State) {
						now := b.State()
						err := b.Do(context.Background(), func(context.Context) error { return nil })
						told = append(told, fmt.Sprintf("%s/%s %v to %v, now %v: %v", service, endpoint, from, to, now, err == nil))
					},
					Refused: func(_ context.Context, err *breaker.OpenError) {
						_, _ = b.Retryable()
						told = append(told, fmt.Sprintf("refused, %v", b.State()))
					},
				}}
				b = breaker.New("a", c)
				call := func(err error) { times(1, b, err) }
				if twoStep {
					call = func(err error) {
						if done, refusal := b.Allow(); refusal == nil {
							done(err)
						}
					}
				}
				call(nil)
				for range 10 {
					call(errDown)
				}
				time.Sleep(11*time.Second + 1)
				call(nil)
				want := []string{"refused, open", "svc/a closed to open, now open: false"}
				if twoStep { // told as soon as the probe is let in
					want = append(want, "refused, half-open", "svc/a open to half-open, now half-open: false", "svc/a half-open to closed, now closed: true")
				} else { // told when the probe has ended
					want = append(want, "svc/a open to half-open, now closed: true", "svc/a half-open to closed, now closed: true")
				}
				if !slices.Equal(told, want) {
					t.Errorf("told\n%q, want\n%q", told, want)
				}
			})
		})
	}
}

func TestRefusedHookGetsTheErrorReturned(t *testing.T) {
	var told *breaker.OpenError
	b := breaker.New("a", breaker.Config{Hooks: breaker.Hooks{
		Refused: func(_ context.Context, err *breaker.OpenError) { told = err },
	}})
	times(10, b, errDown)
	err := b.Do(t.Context(), func(context.Context) error { t.Error("ran"); return nil })
	if told == nil || err != error(told) || !errors.Is(err, breaker.ErrOpen) {
		t.Errorf("told %v, returned %v", told, err)
	}
}

// Who is refused finds in the log why, whoever it was that tripped the breaker.
func TestLogTellsBeforeAnybodyIsRefused(t *testing.T) {
	for range 2000 {
		var log coord.Log
		var untold atomic.Int64
		b := breaker.New("a", breaker.Config{ConsecutiveFailures: 1, Hooks: breaker.Hooks{
			Refused: func(context.Context, *breaker.OpenError) {
				if d := log.Decisions(); len(d) == 0 || d[0].State != "open" {
					untold.Add(1)
				}
			},
		}})
		b.LogTo(&log)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { times(5, b, errDown) })
		}
		wg.Wait()
		if n := untold.Load(); n > 0 {
			t.Fatalf("%d calls were refused by a decision that is not told", n)
		}
	}
}
