package retry_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/retry"
)

var errDown = errors.New("down")

// refusal is an error as a breaker gives it.
type refusal struct{}

func (refusal) Error() string { return "refused" }
func (refusal) NotSent() bool { return true }

// step is one attempt: how long it takes and how it ends.
type step struct {
	takes time.Duration
	err   error
}

// run plays the steps, in virtual time, and returns how many were begun and the
// time that the call took. An attempt ends early with its context.
func run(ctx context.Context, p retry.Policy, steps []step) (begun int, took time.Duration, err error) {
	start := time.Now()
	err = retry.Do(ctx, p, func(ctx context.Context) error {
		s := steps[min(begun, len(steps)-1)]
		begun++
		select {
		case <-time.After(s.takes):
			return s.err
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return begun, time.Since(start), err
}

func TestTimelines(t *testing.T) {
	const ms = time.Millisecond
	down := step{ms, errDown}
	is := func(errs ...error) []error { return errs }
	for _, tc := range []struct {
		name     string
		policy   retry.Policy
		deadline time.Duration // of the caller; 0 none
		steps    []step
		begun    int
		min, max time.Duration // of the whole call
		sent     int           // by the Error; 0: it is nil or no *Error
		is, not  []error
	}{
		{name: "success", steps: []step{{ms, nil}}, begun: 1, min: ms, max: ms},
		{name: "second try", steps: []step{down, {ms, nil}}, begun: 2, min: 2 * ms, max: 12 * ms},
		{name: "three attempts by default", steps: []step{down}, begun: 3, min: 3 * ms, max: 33 * ms, sent: 3, is: is(errDown)},
		{name: "five attempts", policy: retry.Policy{MaxAttempts: 5}, steps: []step{down},
			begun: 5, min: 5 * ms, max: (5 + 10 + 20 + 40 + 80) * ms, sent: 5, is: is(errDown)},
		{name: "one attempt", policy: retry.Policy{MaxAttempts: 1}, steps: []step{down}, begun: 1, min: ms, max: ms, sent: 1, is: is(errDown)},
		{name: "negative is one", policy: retry.Policy{MaxAttempts: -1}, steps: []step{down}, begun: 1, min: ms, max: ms, sent: 1, is: is(errDown)},
		{name: "no wait", policy: retry.Policy{BaseDelay: -1, MaxAttempts: 9}, steps: []step{down}, begun: 9, min: 9 * ms, max: 9 * ms, sent: 9},
		{name: "the last error counts", steps: []step{down, down, {ms, context.Canceled}}, begun: 3, min: 3 * ms, max: 33 * ms,
			sent: 3, is: is(context.Canceled), not: is(errDown)},
		{name: "permanent", steps: []step{{ms, retry.Permanent(errDown)}}, begun: 1, min: ms, max: ms, sent: 1, is: is(errDown)},
		{name: "not retryable", policy: retry.Policy{Retryable: func(err error) bool { return !errors.Is(err, errDown) }},
			steps: []step{down}, begun: 1, min: ms, max: ms, sent: 1, is: is(errDown)},
		{name: "after is a floor", steps: []step{{ms, retry.After(errDown, time.Second)}, {ms, nil}},
			begun: 2, min: time.Second + 2*ms, max: time.Second + 2*ms},
		{name: "after is capped", steps: []step{{ms, retry.After(errDown, time.Hour)}, {ms, nil}},
			begun: 2, min: 30*time.Second + 2*ms, max: 30*time.Second + 2*ms},
		{name: "negative after is no", steps: []step{{ms, retry.After(errDown, -1)}}, begun: 1, min: ms, max: ms, sent: 1, is: is(errDown)},
		{name: "after zero changes nothing", steps: []step{{ms, retry.After(errDown, 0)}, {ms, nil}}, begun: 2, min: 2 * ms, max: 12 * ms},
		{name: "no sleep past the deadline", deadline: 500 * ms, steps: []step{{ms, retry.After(errDown, time.Second)}},
			begun: 1, min: ms, max: ms, sent: 1, is: is(errDown, context.DeadlineExceeded)},
		{name: "deadline in an attempt", deadline: 100 * ms, steps: []step{{time.Minute, nil}},
			begun: 1, min: 100 * ms, max: 100 * ms, sent: 1, is: is(context.DeadlineExceeded)},
		{name: "attempt timeout is one more failure", policy: retry.Policy{AttemptTimeout: 50 * ms},
			steps: []step{{time.Minute, nil}, {ms, nil}}, begun: 2, min: 51 * ms, max: 61 * ms},
		{name: "attempt timeouts only", policy: retry.Policy{AttemptTimeout: 50 * ms, BaseDelay: -1},
			steps: []step{{time.Minute, nil}}, begun: 3, min: 150 * ms, max: 150 * ms, sent: 3, is: is(context.DeadlineExceeded)},
		{name: "refused", steps: []step{{0, refusal{}}}, begun: 1, is: is(refusal{})},
		{name: "retry refused", policy: retry.Policy{BaseDelay: -1}, steps: []step{down, {0, refusal{}}},
			begun: 2, min: ms, max: ms, sent: 1, is: is(errDown, refusal{})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for range 20 { // waits are drawn
					ctx, cancel := t.Context(), context.CancelFunc(func() {})
					if tc.deadline > 0 {
						ctx, cancel = context.WithTimeout(ctx, tc.deadline)
					}
					begun, took, err := run(ctx, tc.policy, tc.steps)
					cancel()
					if begun != tc.begun || took < tc.min || took > tc.max {
						t.Fatalf("%d attempts in %v; want %d in %v to %v", begun, took, tc.begun, tc.min, tc.max)
					}
					var e *retry.Error
					if errors.As(err, &e) != (tc.sent > 0) || e != nil && e.Attempts != tc.sent {
						t.Fatalf("the error is %#v; want one of %d attempts", err, tc.sent)
					}
					for _, want := range tc.is {
						if !errors.Is(err, want) {
							t.Errorf("%v is not %v", err, want)
						}
					}
					for _, other := range tc.not {
						if errors.Is(err, other) {
							t.Errorf("%v is %v", err, other)
						}
					}
				}
			})
		})
	}
}

// Waits are uniform within [0, min(2 s, 10 ms * 2^(n-1))].
func TestFullJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const attempts, calls = 12, 400
		var sum, most [attempts]time.Duration
		p := retry.Policy{MaxAttempts: attempts}
		p.Hooks.Wait = func(_ context.Context, a retry.Attempt, _ error, wait time.Duration) {
			sum[a.Number] += wait
			most[a.Number] = max(most[a.Number], wait)
		}
		for range calls {
			_ = retry.Do(t.Context(), p, func(context.Context) error { return errDown })
		}
		for n, longest := 1, 10*time.Millisecond; n < attempts; n, longest = n+1, min(2*longest, 2*time.Second) {
			mean := sum[n] / calls
			if most[n] > longest || most[n] < longest*9/10 || mean < longest*4/10 || mean > longest*6/10 {
				t.Errorf("wait %d is %v on average and %v at most; want %v and %v", n, mean, most[n], longest/2, longest)
			}
		}
	})
}

func TestExtremeDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const forever = time.Duration(1<<63 - 1)
		for _, p := range []retry.Policy{
			{MaxAttempts: 2, BaseDelay: forever, MaxDelay: forever},
			{MaxAttempts: 100, BaseDelay: 1, MaxDelay: forever},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			var last time.Duration
			p.Hooks.Wait = func(_ context.Context, _ retry.Attempt, _ error, wait time.Duration) { last = wait }
			if err := retry.Do(ctx, p, func(context.Context) error { return errDown }); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("base %v: stopped by %v after a wait of %v", p.BaseDelay, err, last)
			}
			cancel()
		}
	})
}

// The caller's cancellation ends a wait at once, and is told as what it is even
// when it comes with a cause.
func TestCancelWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("user left")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(3*time.Second, func() { cancel(why) })
		begun, took, err := run(ctx, retry.Policy{}, []step{{0, retry.After(errDown, 20*time.Second)}})
		if begun != 1 || took != 3*time.Second {
			t.Errorf("%d attempts in %v; want 1 in 3s", begun, took)
		}
		for _, want := range []error{context.Canceled, why, errDown} {
			if !errors.Is(err, want) {
				t.Errorf("%v is not %v", err, want)
			}
		}
	})
}

// An attempt that runs out of its own time is retried; one that ends because the
// caller has gone is not, though both may give the same error.
func TestAttemptTimeoutIsNotTheCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := retry.Policy{AttemptTimeout: time.Second, BaseDelay: -1}
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		begun, took, err := run(ctx, p, []step{{time.Minute, nil}})
		if begun != 3 || took != 2500*time.Millisecond || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d attempts in %v: %v", begun, took, err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		begun, took, err = run(ctx, p, []step{{time.Minute, nil}})
		if begun != 1 || took != 100*time.Millisecond || !errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d attempts in %v: %v", begun, took, err)
		}
		// The attempt's context says whose time ran out.
		_ = retry.Do(t.Context(), retry.Policy{AttemptTimeout: time.Second, MaxAttempts: 1}, func(ctx context.Context) error {
			<-ctx.Done()
			if cause := context.Cause(ctx); cause == context.DeadlineExceeded || !errors.Is(cause, context.DeadlineExceeded) {
				t.Errorf("the cause is %v", cause)
			}
			return ctx.Err()
		})
	})
}
