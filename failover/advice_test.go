package failover_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

func inCluster(names ...string) (failover.Config, *coord.Service) {
	s := coord.NewService("svc")
	c := quick(names...)
	c.Cluster = shared{s}
	return c, s
}

// What the cluster dims is refused at once: it does not go elsewhere, and it
// says who decided and how old that is.
func TestDimmedIsRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := inCluster("a", "b")
		g := group(t, c)
		a := dimmedOut
		a.AsOf, a.Evidence = coord.Now()-time.Second, coord.Evidence{Steward: "m1", Reporters: 5}
		advise(s, "a", a)
		went, err := call(t, g)
		var e *breaker.OpenError
		if len(went) > 0 || !errors.As(err, &e) {
			t.Fatalf("went to %q: %v", went, err)
		}
		if e.Source != breaker.SourceCluster || e.Endpoint != "a" || e.Age != time.Second || e.Evidence.Steward != "m1" {
			t.Errorf("the refusal is %+v", e)
		}
		advise(s, "a", allWell)
		wants(t, g, true, []string{"a"})
	})
}

// A retry never goes to an endpoint whose advice says that retries are off.
func TestRetryAvoidsEndpointsWithRetriesOff(t *testing.T) {
	c, s := inCluster("a", "b", "c")
	g := group(t, c)
	advise(s, "b", retriesOff)
	wants(t, g, true, []string{"a", "c"}, "a")
	advise(s, "c", dimmedOut)
	wants(t, g, false, []string{"a", "a", "a"}, "a")
	advise(s, "a", retriesOff)
	_, err := call(t, g, "a")
	var e *retry.Error
	var o *breaker.OpenError
	if !errors.As(err, &e) || e.Attempts != 1 || !errors.As(e.Stop, &o) || !o.Retry || o.Source != breaker.SourceCluster {
		t.Errorf("with retries off everywhere the error is %v", err)
	}
	if got := g.Explain().BudgetTokens; got > 0 {
		t.Errorf("the budget was not emptied: %v", got)
	}
}

// The same when the advice arrives while the retry waits.
func TestRetriesTurnedOffDuringTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := inCluster("a", "b", "c")
		c.Retry.Hooks.Wait = func(context.Context, retry.Attempt, error, time.Duration) { advise(s, "b", retriesOff) }
		g := group(t, c)
		var went []string
		err := g.Do(t.Context(), func(_ context.Context, e failover.Endpoint) error {
			if went = append(went, e.Name); e.Name == "a" {
				return errDown
			}
			return nil
		})
		if err != nil || !slices.Equal(went, []string{"a", "c"}) {
			t.Errorf("went to %q: %v", went, err)
		}
	})
}

// The same over drawn advice, breakers and outcomes; nor does a call go to an
// endpoint twice while there is another that takes retries.
func TestRetriesGoWhereTheyMay(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		names := []string{"a", "b", "c", "d"}
		c, s := inCluster(names...)
		c.Retry.MaxAttempts = 6
		g := group(t, c)
		off := map[string]bool{}
		for _, n := range names {
			switch rapid.IntRange(0, 4).Draw(r, n) {
			case 0:
				advise(s, n, retriesOff)
				off[n] = true
			case 1:
				advise(s, n, dimmedOut)
				off[n] = true
			case 2:
				trip(g, n)
				off[n] = true
			}
		}
		down := rapid.SliceOf(rapid.SampledFrom(names)).Draw(r, "down")
		went, err := call(t, g, down...)
		seen := map[string]bool{}
		for i, n := range went {
			if i > 0 && off[n] {
				r.Fatalf("a retry went to %s: %q", n, went)
			}
			if seen[n] {
				for _, other := range names {
					if !off[other] && !seen[other] {
						r.Fatalf("%s was tried again before %s: %q", n, other, went)
					}
				}
			}
			seen[n] = true
		}
		if len(went) == 0 && !errors.Is(err, breaker.ErrOpen) {
			r.Fatalf("went nowhere: %v", err)
		}
	})
}

func TestNothingIsEarnedWhileRetriesAreOff(t *testing.T) {
	c, s := inCluster("a")
	c.Budget = retry.BudgetConfig{Ratio: 1, Burst: 10}
	g := group(t, c)
	advise(s, "a", retriesOff)
	for range 20 {
		wants(t, g, true, []string{"a"})
	}
	if got := g.Explain().BudgetTokens; got != 0 {
		t.Errorf("%v tokens, want none", got)
	}
	advise(s, "a", allWell)
	wants(t, g, true, []string{"a"})
	if got := g.Explain().BudgetTokens; got != 1 {
		t.Errorf("%v tokens, want 1", got)
	}
}

func TestExplain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := inCluster("a", "b", "c", "d")
		c.Endpoints[0].Capacity = 50
		g := group(t, c)
		trip(g, "b")
		a := coord.Advice{Phi: coord.PhiOf(.25), Mode: coord.RetryNone, Source: coord.SourceCluster, AsOf: coord.Now(), Evidence: coord.Evidence{Steward: "m2"}}
		advise(s, "c", a)
		time.Sleep(3 * time.Second)
		if err := g.Drain("d"); err != nil {
			t.Fatal(err)
		}
		x := g.Explain()
		if x.Service != "svc" || g.Service() != "svc" || x.BudgetTokens != 0 || len(x.Endpoints) != 4 {
			t.Errorf("the explanation is %+v", x)
		}
		for i, want := range []struct {
			state   breaker.State
			source  breaker.Source
			phi     float64
			retries breaker.Mode
			age     time.Duration
			drained bool
		}{
			{breaker.Closed, breaker.SourceLocal, 1, breaker.RetryAll, 0, false},
			{breaker.Open, breaker.SourceLocal, 0, breaker.RetryAll, 3 * time.Second, false},
			{breaker.Dimmed, breaker.SourceCluster, a.Phi.Float(), breaker.RetryNone, 3 * time.Second, false},
			{breaker.Closed, breaker.SourceLocal, 1, breaker.RetryAll, 0, true},
		} {
			e := x.Endpoints[i]
			if e.State != want.state || e.Source != want.source || e.Phi != want.phi || e.Retries != want.retries || e.Age != want.age || e.Drained != want.drained {
				t.Errorf("endpoint %s is %+v", e.Name, e)
			}
		}
		if x.Endpoints[0].Capacity != 50 || x.Endpoints[1].Evidence.Failures == 0 || x.Endpoints[2].Evidence.Steward != "m2" {
			t.Error("the explanation has lost the endpoint or the evidence")
		}
	})
}
