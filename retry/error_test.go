package retry_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/retry"
)

type statusError struct{ code int }

func (e *statusError) Error() string { return fmt.Sprint("status ", e.code) }

func TestErrorShowsTheLastErrorAndTheStop(t *testing.T) {
	budget := retry.NewBudget(retry.BudgetConfig{Burst: -1, Ratio: -1})
	err := retry.Do(t.Context(), retry.Policy{Budget: budget, BaseDelay: -1}, func(context.Context) error {
		return fmt.Errorf("call: %w", &statusError{503})
	})
	var e *retry.Error
	var status *statusError
	switch {
	case !errors.As(err, &e) || e.Attempts != 1 || e.Stop != retry.ErrBudgetExhausted:
		t.Fatalf("the error is %#v", err)
	case !errors.Is(err, retry.ErrBudgetExhausted) || errors.Is(err, retry.ErrRetriesOff):
		t.Errorf("%v is not the budget's", err)
	case !errors.As(err, &status) || status.code != 503:
		t.Errorf("%v has lost the last error", err)
	}
	for _, part := range []string{"1 attempt:", "status 503", "budget exhausted"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if got, want := (&retry.Error{Attempts: 3, Err: errDown}).Error(), "failed after 3 attempts: down"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A call whose retry was refused was sent all the same: an outer retry loop, or
// a breaker around it, must not take it for one that never reached anybody.
func TestSentCallIsNoRefusal(t *testing.T) {
	inner := func(context.Context) error {
		n := 0
		return retry.Do(t.Context(), retry.Policy{BaseDelay: -1}, func(context.Context) error {
			if n++; n > 1 {
				return refusal{}
			}
			return errDown
		})
	}
	var unsent interface{ NotSent() bool }
	if err := inner(t.Context()); !errors.As(err, &unsent) || unsent.NotSent() {
		t.Errorf("%v says that nothing was sent", err)
	}
	err := retry.Do(t.Context(), retry.Policy{BaseDelay: -1, MaxAttempts: 2}, inner)
	var e *retry.Error
	if !errors.As(err, &e) || e.Attempts != 2 {
		t.Errorf("the outer loop made of it %v, want 2 attempts", err)
	}
}

func TestMarks(t *testing.T) {
	if retry.Permanent(nil) != nil || retry.After(nil, time.Second) != nil {
		t.Error("a marked nil is an error")
	}
	for _, err := range []error{retry.Permanent(errDown), retry.After(errDown, time.Second)} {
		if !errors.Is(err, errDown) || err.Error() != "down" {
			t.Errorf("%v has lost what it marks", err)
		}
	}
	calls := 0
	_ = retry.Do(t.Context(), retry.Policy{}, func(context.Context) error {
		calls++
		return fmt.Errorf("wrapped: %w", retry.Permanent(errDown))
	})
	if calls != 1 {
		t.Errorf("a permanent error inside another was tried %d times", calls)
	}
}

func TestRefusalIsReturnedAsItIs(t *testing.T) {
	refused := &struct{ refusal }{}
	if err := retry.Do(t.Context(), retry.Policy{}, func(context.Context) error { return refused }); err != error(refused) {
		t.Errorf("got %#v", err)
	}
}

func TestValueIsTheLastAttempts(t *testing.T) {
	p := retry.Policy{BaseDelay: -1}
	n := 0
	count := func(context.Context) (int, error) { n++; return n, errDown }
	if v, err := retry.Value(t.Context(), p, count); v != 3 || !errors.Is(err, errDown) {
		t.Errorf("got %d, %v; want 3 and its error", v, err)
	}
	n = 0
	second := func(context.Context) (int, error) {
		if n++; n == 2 {
			return n, nil
		}
		return n, errDown
	}
	if v, err := retry.Value(t.Context(), p, second); v != 2 || err != nil {
		t.Errorf("got %d, %v; want 2", v, err)
	}
	n = 0
	refused := func(context.Context) (int, error) {
		if n++; n == 1 {
			return 41, errDown
		}
		return 0, refusal{}
	}
	if v, err := retry.Value(t.Context(), p, refused); v != 41 || !errors.Is(err, errDown) {
		t.Errorf("got %d, %v; want the value that came with the error", v, err)
	}
}

func TestPanicGoesOn(t *testing.T) {
	defer func() {
		if got := recover(); got != "boom" {
			t.Errorf("recovered %v", got)
		}
	}()
	_ = retry.Do(t.Context(), retry.Policy{AttemptTimeout: time.Hour}, func(context.Context) error { panic("boom") })
}
