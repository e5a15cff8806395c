package retry_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

func TestHooksInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		tell := func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) }
		type key string
		from := func(ctx context.Context, k key) any { return ctx.Value(k) }
		p := retry.Policy{
			Budget: retry.NewBudget(retry.BudgetConfig{Service: "svc"}),
			Hooks: retry.Hooks{
				CallStart: func(ctx context.Context, service string) context.Context {
					tell("call %s", service)
					return context.WithValue(ctx, key("call"), "C")
				},
				CallEnd: func(ctx context.Context, c retry.CallInfo) {
					tell("call end %v %s %d %v %v", from(ctx, "call"), c.Service, c.Attempts, c.Err, c.Took)
				},
				AttemptStart: func(ctx context.Context, a retry.Attempt) context.Context {
					tell("attempt %d of %v", a.Number, from(ctx, "call"))
					return context.WithValue(ctx, key("attempt"), a.Number)
				},
				AttemptEnd: func(ctx context.Context, a retry.Attempt, err error) {
					tell("attempt end %v %v", from(ctx, "attempt"), err)
				},
				Wait: func(ctx context.Context, a retry.Attempt, err error, wait time.Duration) {
					tell("wait %v after %d: %v", wait, a.Number, err)
				},
			},
		}
		err := retry.Do(t.Context(), p, func(ctx context.Context) error {
			tell("run %v", from(ctx, "attempt"))
			if from(ctx, "attempt") == 2 {
				return nil
			}
			return retry.After(errDown, time.Second)
		})
		if want := []string{
			"call svc",
			"attempt 1 of C", "run 1", "attempt end 1 down",
			"wait 1s after 1: down",
			"attempt 2 of C", "run 2", "attempt end 2 <nil>",
			"call end C svc 2 <nil> 1s",
		}; err != nil || !slices.Equal(told, want) {
			t.Errorf("%v; told\n%q, want\n%q", err, told, want)
		}

		told = nil
		p.Hooks.CallStart, p.Hooks.AttemptStart = nil, nil // each is optional
		_ = retry.Do(t.Context(), p, func(context.Context) error { return refusal{} })
		if want := []string{"attempt end <nil> refused", "call end <nil> svc 0 refused 0s"}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}

// A breaker below learns from the context which attempt it guards.
func TestContextTellsTheAttempt(t *testing.T) {
	var numbers []int
	_ = retry.Do(t.Context(), retry.Policy{BaseDelay: -1}, func(ctx context.Context) error {
		numbers = append(numbers, coord.AttemptNumber(ctx))
		return errDown
	})
	if !slices.Equal(numbers, []int{1, 2, 3}) {
		t.Errorf("attempts are numbered %v", numbers)
	}
}

func TestCallByHand(t *testing.T) {
	p := retry.Policy{BaseDelay: -1}
	off := errors.New("off by order")
	for _, tc := range []struct {
		to   retry.Route
		want error
	}{
		{retry.Route{Mode: retry.ModeNone}, retry.ErrRetriesOff},
		{retry.Route{Mode: retry.ModeNone, Off: off}, off},
	} {
		c := retry.Begin(&p)
		c.FirstTry(retry.ModeAll)
		if c.Next(t.Context(), errDown, tc.to) || !errors.Is(c.Err(), tc.want) || !errors.Is(c.Err(), errDown) {
			t.Errorf("stopped by %v, want %v", c.Err(), tc.want)
		}
	}
	c := retry.Begin(&p)
	if !c.Next(t.Context(), errDown, retry.Route{Mode: retry.ModeRatio}) || c.Number() != 2 || c.Sent() != 1 {
		t.Errorf("attempt %d, %d sent", c.Number(), c.Sent())
	}
	c.Succeeded()
	if c.Sent() != 2 {
		t.Errorf("%d sent, want 2", c.Sent())
	}
}

// A retry is not begun when what the endpoint typically takes does not fit.
func TestNoRoomForATypicalAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p := retry.Policy{BaseDelay: -1}
		c := retry.Begin(&p)
		if c.Next(ctx, errDown, retry.Route{Latency: time.Second}) || !errors.Is(c.Err(), context.DeadlineExceeded) {
			t.Errorf("begun: %v", c.Err())
		}
		if c = retry.Begin(&p); !c.Next(ctx, errDown, retry.Route{Latency: time.Second - 1}) {
			t.Errorf("not begun: %v", c.Err())
		}
	})
}

// With a budget, the median latency is the least base of the backoff.
func TestBackoffKnowsTheLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := retry.NewBudget(retry.BudgetConfig{Burst: 1e6})
		var most time.Duration
		p := retry.Policy{Budget: b, MaxAttempts: 2, Hooks: retry.Hooks{
			Wait: func(_ context.Context, _ retry.Attempt, _ error, wait time.Duration) { most = max(most, wait) },
		}}
		for range 10 {
			_ = retry.Do(t.Context(), p, func(context.Context) error { time.Sleep(400 * time.Millisecond); return nil })
		}
		if got := b.Latency(); got != 400*time.Millisecond {
			t.Fatalf("the latency is %v, want 400ms", got)
		}
		for range 200 {
			_ = retry.Do(t.Context(), p, func(context.Context) error { return errDown })
		}
		if most < 350*time.Millisecond || most > 400*time.Millisecond {
			t.Errorf("the longest wait is %v, want nearly 400ms", most)
		}
	})
}
