package failover_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/race"
	"github.com/murmuration-go/murmuration/retry"
)

const ms = time.Millisecond

// hedging is quick with a hedge after 10 ms.
func hedging(names ...string) failover.Config {
	c := quick(names...)
	c.Retry.Hedge = &retry.Hedge{Delay: 10 * ms}
	return c
}

// answer is how an endpoint answers: when, and with what.
type answer struct {
	takes time.Duration
	err   error
}

// hedgedCall makes one call to endpoints that answer as told, and returns where
// its attempts went, in order, and where the value came from.
func hedgedCall(ctx context.Context, g *failover.Group, answers map[string]answer) (went []string, from string, took time.Duration, err error) {
	var mu sync.Mutex
	start := time.Now()
	from, err = failover.Value(ctx, g, func(ctx context.Context, e failover.Endpoint) (string, error) {
		mu.Lock()
		went = append(went, e.Name)
		mu.Unlock()
		a := answers[e.Name]
		select {
		case <-time.After(a.takes):
			return e.Name, a.err
		case <-ctx.Done():
			return e.Name, ctx.Err()
		}
	})
	return went, from, time.Since(start), err
}

// The hedge goes where a retry would go, and the call with it.
func TestHedgeGoesElsewhere(t *testing.T) {
	for _, tc := range []struct {
		name    string
		answers map[string]answer
		want    []string // where attempts went
		from    string   // "" is an error
		took    time.Duration
		before  func(*failover.Group)
	}{
		{"in time", map[string]answer{"a": {takes: 9 * ms}}, []string{"a"}, "a", 9 * ms, nil},
		{"the hedge wins", map[string]answer{"a": {takes: time.Minute}, "b": {takes: 5 * ms}}, []string{"a", "b"}, "b", 15 * ms, nil},
		{"the first wins", map[string]answer{"a": {takes: 12 * ms}, "b": {takes: 5 * ms}}, []string{"a", "b"}, "a", 12 * ms, nil},
		{"both fail", map[string]answer{"a": {15 * ms, errDown}, "b": {10 * ms, errDown}, "c": {takes: ms}},
			[]string{"a", "b", "c"}, "c", 21 * ms, nil},
		{"all fail", map[string]answer{"a": {15 * ms, errDown}, "b": {10 * ms, errDown}, "c": {ms, errDown}},
			[]string{"a", "b", "c"}, "", 21 * ms, nil},
		{"for good", map[string]answer{"a": {takes: time.Minute}, "b": {5 * ms, retry.Permanent(errDown)}},
			[]string{"a", "b"}, "", 15 * ms, nil},
		{"b is open", map[string]answer{"a": {takes: time.Minute}, "c": {takes: 5 * ms}}, []string{"a", "c"}, "c", 15 * ms,
			func(g *failover.Group) { trip(g, "b") }},
		{"a is passed over", map[string]answer{"b": {takes: time.Minute}, "c": {takes: 5 * ms}}, []string{"b", "c"}, "c", 15 * ms,
			func(g *failover.Group) { trip(g, "a") }},
		{"b is drained", map[string]answer{"a": {takes: time.Minute}, "c": {takes: 5 * ms}}, []string{"a", "c"}, "c", 15 * ms,
			func(g *failover.Group) { _ = g.Drain("b") }},
		{"only a is left", map[string]answer{"a": {takes: 30 * ms}}, []string{"a", "a"}, "a", 30 * ms,
			func(g *failover.Group) { trip(g, "b"); trip(g, "c") }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := group(t, hedging("a", "b", "c"))
				if tc.before != nil {
					tc.before(g)
				}
				went, from, took, err := hedgedCall(t.Context(), g, tc.answers)
				if !slices.Equal(went, tc.want) || took != tc.took || (err == nil) != (tc.from != "") || err == nil && from != tc.from {
					t.Errorf("went to %q, answered by %q after %v: %v; want %q, %q, %v", went, from, took, err, tc.want, tc.from, tc.took)
				}
				var e *retry.Error
				if errors.As(err, &e) && e.Attempts != len(tc.want) {
					t.Errorf("%v tells of %d attempts", err, e.Attempts)
				}
			})
		})
	}
}

// A loser says nothing about its endpoint; one that failed by itself does.
func TestLoserIsNeutral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hedging("a", "b")
		c.Breaker.Window, c.Breaker.OpenTimeout = time.Hour, time.Hour
		s := coord.NewService("svc")
		c.Cluster = shared{s}
		g := group(t, c)
		for range 30 { // a hangs
			if _, from, _, err := hedgedCall(t.Context(), g, map[string]answer{"a": {takes: time.Minute}, "b": {takes: ms}}); from != "b" {
				t.Fatal(err)
			}
		}
		for range 30 { // b hangs
			if _, from, _, err := hedgedCall(t.Context(), g, map[string]answer{"a": {takes: 15 * ms}, "b": {takes: time.Minute}}); from != "a" {
				t.Fatal(err)
			}
		}
		if opened(t, g, "a") || opened(t, g, "b") {
			t.Error("attempts that were cancelled opened a breaker")
		}
		for name, want := range map[string]coord.Totals{
			"a": {Demand: 60, OK: 30, OKLatency: 30 * 15 * ms},
			"b": {OK: 30, OKLatency: 30 * ms, Retries: 30, RetriesOK: 30},
		} {
			sample := s.Endpoint(name).Sample()
			if sample.Totals != want || sample.Tagged.Sent != want.OK {
				t.Errorf("%s is counted as %+v, %+v", name, sample.Totals, sample.Tagged)
			}
		}
		for range 10 { // a fails, though late
			_, _, _, _ = hedgedCall(t.Context(), g, map[string]answer{"a": {12 * ms, errDown}, "b": {takes: 5 * ms}})
		}
		if !opened(t, g, "a") || opened(t, g, "b") {
			t.Error("failures of the first attempt did not open its breaker")
		}
	})
}

// The caller's deadline is evidence against both, if it left them time to answer.
func TestDeadlineOfAHedgedCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hedging("a", "b")
		c.Breaker.Window, c.Breaker.OpenTimeout = time.Hour, time.Hour
		g := group(t, c)
		for range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, _, took, err := hedgedCall(ctx, g, map[string]answer{"a": {takes: time.Minute}, "b": {takes: time.Minute}})
			cancel()
			if took != time.Second || !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("%v after %v", err, took)
			}
		}
		if !opened(t, g, "a") || !opened(t, g, "b") {
			t.Error("two endpoints that answer nothing in time are still closed")
		}
	})
}

// There is no hedge from or to an endpoint in trouble.
func TestNoHedgeInTrouble(t *testing.T) {
	ratio := coord.Advice{Phi: coord.PhiFull, Mode: coord.RetryRatio, Source: coord.SourceCluster}
	nearly := coord.Advice{Phi: coord.PhiFull - 1, Mode: coord.RetryRatio, Source: coord.SourceCluster}
	byOrder := coord.Advice{Phi: coord.PhiFull, Source: coord.SourceOperator}
	for _, tc := range []struct {
		name   string
		a, b   coord.Advice
		hedged bool
	}{
		{"all well", allWell, allWell, true},
		{"by order", byOrder, byOrder, true},
		{"a restricts", ratio, allWell, false},
		{"a is dimmed", nearly, allWell, false},
		{"a takes no retry", retriesOff, allWell, false},
		{"b restricts", allWell, ratio, false},
		{"b takes no retry", allWell, retriesOff, true}, // to a
		{"b is dimmed", allWell, dimmedOut, true},       // to a
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := inCluster("a", "b")
				siblings(&c)
				c.Retry.Hedge = &retry.Hedge{Delay: 10 * ms}
				g := group(t, c)
				advise(s, "a", tc.a)
				advise(s, "b", tc.b)
				before := g.Explain().BudgetTokens
				went, from, took, err := hedgedCall(t.Context(), g, map[string]answer{"a": {takes: 50 * ms}, "b": {takes: 60 * ms}})
				if err != nil || from != "a" || took != 50*ms || len(went) > 1 != tc.hedged {
					t.Errorf("went to %q, answered by %q after %v: %v", went, from, took, err)
				}
				if after := g.Explain().BudgetTokens; after < before && !tc.hedged {
					t.Errorf("%v tokens spent for nothing", before-after)
				}
			})
		})
	}
}

// A half-open breaker gets its evidence: its probe is not hedged, nor is a hedge
// its probe.
func TestProbesAreNotHedged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hedging("a", "b")
		c.Breaker.OpenTimeout = time.Second
		g := group(t, c)
		trip(g, "a")
		time.Sleep(2 * time.Second)
		went, from, took, err := hedgedCall(t.Context(), g, map[string]answer{"a": {takes: 50 * ms}, "b": {takes: ms}})
		if !slices.Equal(went, []string{"a"}) || from != "a" || took != 50*ms || state(t, g, "a").State != breaker.Closed {
			t.Errorf("the probe: went to %q, answered by %q after %v: %v", went, from, took, err)
		}
		trip(g, "b")
		time.Sleep(2 * time.Second)
		went, from, _, err = hedgedCall(t.Context(), g, map[string]answer{"a": {takes: 50 * ms}, "b": {takes: ms}})
		if !slices.Equal(went, []string{"a"}) || from != "a" {
			t.Errorf("beside a half-open endpoint: went to %q, answered by %q: %v", went, from, err)
		}
	})
}

// A half-open breaker whose probe is cancelled, as that of a retry.Policy with a
// hedge around it may be, takes the next call for its probe.
func TestCancelledProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New("a", breaker.Config{ConsecutiveFailures: 1, OpenTimeout: time.Second})
		_ = b.Do(t.Context(), func(context.Context) error { return errDown })
		time.Sleep(2 * time.Second)
		p := retry.Policy{Hedge: &retry.Hedge{Delay: 10 * ms}}
		err := retry.Do(t.Context(), p, func(ctx context.Context) error {
			if coord.IsHedge(ctx, t.Context()) { // elsewhere
				return nil
			}
			return b.Do(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		})
		if err != nil || b.State() != breaker.HalfOpen {
			t.Fatalf("%v; %v", err, b.State())
		}
		if err := b.Do(t.Context(), func(context.Context) error { return nil }); err != nil || b.State() != breaker.Closed {
			t.Errorf("the next probe: %v; %v", err, b.State())
		}
	})
}

// Each endpoint has a tail of its own, which it keeps while it stays.
func TestHedgeAfterTheEndpointsTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hedging("a", "b")
		c.Retry.Hedge.Delay = 0
		g := group(t, c)
		fast := map[string]answer{"a": {takes: 20 * ms}, "b": {takes: 5 * ms}}
		for range 65 {
			if went, _, _, _ := hedgedCall(t.Context(), g, fast); len(went) > 1 {
				t.Fatal("hedged although nothing is known yet")
			}
		}
		if err := g.Update(c.Endpoints); err != nil {
			t.Fatal(err)
		}
		slow := map[string]answer{"a": {takes: time.Minute}, "b": {takes: 5 * ms}}
		if _, from, took, _ := hedgedCall(t.Context(), g, slow); from != "b" || took != 25*ms {
			t.Errorf("answered by %s after %v, want b after 25ms", from, took)
		}
		_ = g.Drain("a") // what was learnt of a does not hold for b
		if went, _, _, _ := hedgedCall(t.Context(), g, map[string]answer{"b": {takes: 50 * ms}}); len(went) != 1 {
			t.Errorf("went to %q", went)
		}
	})
}

// What must not be under way twice at once is not, and stays on the caller's
// stack.
func TestUnhedged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := group(t, hedging("a", "b"))
		n := 0
		v, err := failover.Unhedged(t.Context(), g, func(_ context.Context, e failover.Endpoint) (string, error) {
			n++
			time.Sleep(50 * ms)
			return e.Name, nil
		})
		if v != "a" || err != nil || n != 1 || !g.Hedges() || group(t, quick("a")).Hedges() {
			t.Errorf("got %q, %v after %d attempts", v, err, n)
		}
	})
	if race.Enabled {
		return // which allocates
	}
	g, ctx := group(t, hedging("a", "b")), t.Context()
	if got := testing.AllocsPerRun(500, func() {
		n := 0
		_, _ = failover.Unhedged(ctx, g, func(context.Context, failover.Endpoint) (int, error) { n++; return n, nil })
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}
