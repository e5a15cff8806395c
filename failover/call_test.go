package failover_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/race"
	"github.com/murmuration-go/murmuration/retry"
)

// When nothing was sent the error is the refusal of the nearest endpoint.
func TestRefusedOnly(t *testing.T) {
	g := group(t, quick("a", "b"))
	trip(g, "a")
	trip(g, "b")
	_, err := call(t, g)
	e, ok := err.(*breaker.OpenError)
	if !ok || e.Endpoint != "a" || e.Service != "svc" || !errors.Is(err, breaker.ErrOpen) {
		t.Fatalf("the error is %#v, want a's refusal as it is", err)
	}
	if _, again := call(t, g); again != err {
		t.Error("the refusal is made anew for each call")
	}
}

func TestErrorAfterAttempts(t *testing.T) {
	g := group(t, quick("a", "b"))
	_, err := call(t, g, "a", "b")
	var e *retry.Error
	if !errors.As(err, &e) || e.Attempts != 3 || e.Stop != nil || !errors.Is(err, errDown) {
		t.Errorf("the error is %#v", err)
	}
	c := quick("a")
	c.Budget = retry.BudgetConfig{Burst: -1, Ratio: -1}
	if _, err := call(t, group(t, c), "a"); !errors.Is(err, retry.ErrBudgetExhausted) || !errors.Is(err, errDown) {
		t.Errorf("without a budget the error is %v", err)
	}
	// The only endpoint opens while the retry waits: the error shows both.
	c = quick("a")
	c.Breaker.ConsecutiveFailures = 1
	_, err = call(t, group(t, c), "a")
	if !errors.As(err, &e) || e.Attempts != 1 || !errors.Is(e.Err, errDown) || !errors.Is(e.Stop, breaker.ErrOpen) {
		t.Errorf("the error is %#v", err)
	}
}

func TestValueIsTheLastAttempts(t *testing.T) {
	g := group(t, quick("a", "b", "c"))
	v, err := failover.Value(t.Context(), g, func(_ context.Context, e failover.Endpoint) (string, error) {
		if e.Name == "b" {
			return "from b", nil
		}
		return "from " + e.Name, errDown
	})
	if v != "from b" || err != nil {
		t.Errorf("got %q, %v", v, err)
	}
	v, err = failover.Value(t.Context(), g, func(_ context.Context, e failover.Endpoint) (string, error) { return "from " + e.Name, errDown })
	if v != "from c" || err == nil {
		t.Errorf("got %q, %v", v, err)
	}
	// What came with the last error stays beside it when the retry is refused, by
	// the function itself too.
	n := 0
	v, err = failover.Value(t.Context(), g, func(context.Context, failover.Endpoint) (string, error) {
		if n++; n > 1 {
			return "", &breaker.OpenError{}
		}
		return "half an answer", errDown
	})
	if v != "half an answer" || !errors.Is(err, breaker.ErrOpen) || !errors.Is(err, errDown) {
		t.Errorf("got %q, %v", v, err)
	}
	only := group(t, quick("a"))
	v, err = failover.Value(t.Context(), only, func(context.Context, failover.Endpoint) (string, error) {
		trip(only, "a")
		return "half an answer", errDown
	})
	if v != "half an answer" || !errors.Is(err, breaker.ErrOpen) || !errors.Is(err, errDown) {
		t.Errorf("got %q, %v", v, err)
	}
}

// One endpoint's wish to be left alone does not delay the turn to another.
func TestRetryAfterElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, names := range [][]string{{"a", "b"}, {"a"}} {
			g := group(t, quick(names...))
			start := time.Now()
			n := 0
			err := g.Do(t.Context(), func(context.Context, failover.Endpoint) error {
				if n++; n == 1 {
					return retry.After(errDown, 20*time.Second)
				}
				return nil
			})
			if waited := time.Since(start) >= 20*time.Second; err != nil || waited != (len(names) == 1) {
				t.Errorf("%q: %v after %v", names, err, time.Since(start))
			}
		}
	})
}

// A retry that is refused after its wait turns to the next endpoint at once.
func TestEndpointOpensDuringTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g *failover.Group
		c := quick("a", "b", "c")
		c.Retry.Hooks.Wait = func(context.Context, retry.Attempt, error, time.Duration) { trip(g, "b") }
		g = group(t, c)
		var went []string
		start := time.Now()
		err := g.Do(t.Context(), func(_ context.Context, e failover.Endpoint) error {
			if went = append(went, e.Name); e.Name == "a" {
				return errDown
			}
			return nil
		})
		if err != nil || !slices.Equal(went, []string{"a", "c"}) || time.Since(start) > c.Retry.MaxDelay {
			t.Errorf("went to %q in %v: %v", went, time.Since(start), err)
		}
	})
}

// Who was passed over before the wait may be asked after it.
func TestEndpointRecoversDuringTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := quick("a", "b", "c")
		c.Breaker.OpenTimeout = time.Second
		var g *failover.Group
		c.Retry.Hooks.Wait = func(context.Context, retry.Attempt, error, time.Duration) {
			time.Sleep(2 * time.Second)
			trip(g, "c")
		}
		g = group(t, c)
		trip(g, "a")
		var went []string
		err := g.Do(t.Context(), func(_ context.Context, e failover.Endpoint) error {
			if went = append(went, e.Name); e.Name == "b" {
				return errDown
			}
			return nil
		})
		if err != nil || !slices.Equal(went, []string{"b", "a"}) {
			t.Errorf("went to %q: %v", went, err)
		}
	})
}

// The same, with nobody to turn to: the token is given back, and the value and
// error of the attempt that was sent are kept.
func TestOnlyEndpointOpensDuringTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := quick("a")
		c.Budget = retry.BudgetConfig{Burst: 2, Ratio: -1}
		g := group(t, c)
		time.AfterFunc(time.Second, func() { trip(g, "a") })
		v, err := failover.Value(t.Context(), g, func(context.Context, failover.Endpoint) (int, error) {
			return 7, retry.After(errDown, 2*time.Second)
		})
		var e *retry.Error
		if v != 7 || !errors.As(err, &e) || e.Attempts != 1 || !errors.Is(e.Stop, breaker.ErrOpen) || !errors.Is(e.Err, errDown) {
			t.Errorf("got %d, %v", v, err)
		}
		if got := g.Explain().BudgetTokens; got != 2 {
			t.Errorf("%v tokens are left, want 2", got)
		}
	})
}

func TestCallersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := quick("a", "b")
		c.Retry.AttemptTimeout = time.Second
		c.Breaker.OpenTimeout, c.Breaker.Window = time.Hour, time.Hour
		g := group(t, c)
		hang := func(ctx context.Context, _ failover.Endpoint) error { <-ctx.Done(); return ctx.Err() }
		for range 20 { // neutral: neither breaker opens
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(100*time.Millisecond, cancel)
			if err := g.Do(ctx, hang); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		if opened(t, g, "a") {
			t.Fatal("cancelled calls opened the breaker")
		}
		for range 10 { // the attempt's own timeouts are failures
			_ = g.Do(t.Context(), hang)
		}
		if !opened(t, g, "a") || !opened(t, g, "b") {
			t.Error("timeouts opened no breaker")
		}
	})
}

func TestHooks(t *testing.T) {
	var told []string
	tell := func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) }
	c := quick("a", "b")
	c.Hooks.Routed = func(_ context.Context, service, endpoint string, attempt int) {
		tell("%s/%s %d", service, endpoint, attempt)
	}
	c.Hooks.Refused = func(_ context.Context, service string, err error) {
		tell("%s refused %v", service, errors.Is(err, breaker.ErrOpen))
	}
	c.Retry.Hooks.CallEnd = func(_ context.Context, i retry.CallInfo) { tell("end %s %d %v", i.Service, i.Attempts, i.Err == nil) }
	c.Retry.Hooks.AttemptEnd = func(_ context.Context, a retry.Attempt, err error) {
		tell("%s %d ended %v", a.Endpoint, a.Number, err)
	}
	g := group(t, c)
	_, _ = call(t, g, "a")
	trip(g, "a")
	trip(g, "b")
	_, _ = call(t, g)
	if want := []string{
		"svc/a 1", "a 1 ended down", "svc/b 2", "b 2 ended <nil>", "end svc 2 true",
		"svc refused true", "end svc 0 false",
	}; !slices.Equal(told, want) {
		t.Errorf("told %q\nwant %q", told, want)
	}
}

func TestGroupCallsDoNotAllocate(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	ctx := t.Context()
	for name, cluster := range map[string]failover.Cluster{"alone": nil, "in a cluster": shared{coord.NewService("svc")}} {
		c := quick("a", "b")
		c.Cluster = cluster
		g := group(t, c)
		fn := func(context.Context, failover.Endpoint) error { return nil }
		do := func() { _ = g.Do(ctx, fn) }
		if n := testing.AllocsPerRun(500, do); n != 0 {
			t.Errorf("%s: a healthy call allocates %v times", name, n)
		}
		trip(g, "a")
		if n := testing.AllocsPerRun(500, do); n != 0 {
			t.Errorf("%s: passing over allocates %v times", name, n)
		}
		trip(g, "b")
		if n := testing.AllocsPerRun(500, do); n != 0 {
			t.Errorf("%s: a refused call allocates %v times", name, n)
		}
	}
}
