package failover_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

// A refusal that all members would give is passed on to the tier above; one of
// this process's own is not.
func TestRefusalsDiscourageByVerdict(t *testing.T) {
	operator := dimmedOut
	operator.Source = coord.SourceOperator
	for _, tc := range []struct {
		name   string
		advice coord.Advice
		trip   []string
		down   []string // endpoints that fail
		touchy bool     // breakers open at once
		want   bool
	}{
		{name: "all well", advice: allWell},
		{name: "failing", advice: allWell, down: []string{"a", "b"}},
		{name: "dimmed by the cluster", advice: dimmedOut, want: true},
		{name: "dimmed by an operator", advice: operator, want: true},
		{name: "retries off by the cluster", advice: retriesOff, down: []string{"a"}, want: true},
		{name: "local breakers open", trip: []string{"a", "b"}},
		{name: "local breakers open before a retry", trip: []string{"b"}, down: []string{"a"}, touchy: true},
	} {
		s := coord.NewService("svc")
		c := quick("a", "b")
		c.Retry.MaxAttempts = 2
		c.Cluster = shared{s}
		if tc.touchy {
			c.Breaker.ConsecutiveFailures = 1
		}
		g := group(t, c)
		if tc.advice != (coord.Advice{}) {
			advise(s, "a", tc.advice)
			advise(s, "b", tc.advice)
		}
		for _, name := range tc.trip {
			trip(g, name)
		}
		ctx := retry.WithPrevious(t.Context(), 0)
		err := g.Do(ctx, func(_ context.Context, e failover.Endpoint) error {
			if slices.Contains(tc.down, e.Name) {
				return errDown
			}
			return nil
		})
		if got := retry.Discouraged(ctx); got != tc.want {
			t.Errorf("%s: discouraged %v, want %v (%v)", tc.name, got, tc.want, err)
		}
	}
}

// Hooks and the function learn what may be told to whom.
func TestAttemptsSayWhoIsInternal(t *testing.T) {
	var told []string
	c := quick("a", "b")
	c.Endpoints[1].Internal = true
	c.Retry.Hooks.AttemptStart = func(ctx context.Context, a retry.Attempt) context.Context {
		told = append(told, fmt.Sprint(a.Endpoint, a.Internal, retry.Previous(ctx)))
		return ctx
	}
	g := group(t, c)
	_ = g.Do(retry.WithPrevious(t.Context(), 2), func(ctx context.Context, e failover.Endpoint) error {
		told = append(told, fmt.Sprint(e.Name, e.Internal, retry.Previous(ctx)))
		return errDown
	})
	if want := []string{"afalse 2", "afalse 2", "btrue 3", "btrue 3", "afalse 4", "afalse 4"}; !slices.Equal(told, want) {
		t.Errorf("told %q\nwant %q", told, want)
	}
}
