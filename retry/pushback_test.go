package retry_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

// What the cluster shares delays retries until it ends and, spread, for up to half
// as long again; what does not fit the deadline is not waited for.
func TestSharedPushback(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	for name, tc := range map[string]struct {
		to       retry.Route
		err      error
		deadline time.Duration
		min, max time.Duration
		no       bool
	}{
		"none":                      {retry.Route{}, errDown, 0, 0, 10 * ms, false},
		"shared":                    {retry.Route{Pushback: 4 * s}, errDown, 0, 4 * s, 6 * s, false},
		"told for less":             {retry.Route{Pushback: 4 * s}, retry.After(errDown, s), 0, 4 * s, 6 * s, false},
		"told for more":             {retry.Route{Pushback: 4 * s}, retry.After(errDown, 9*s), 0, 9 * s, 9 * s, false},
		"told by another endpoint":  {retry.Route{Pushback: 4 * s, Elsewhere: true}, retry.After(errDown, 9*s), 0, 4 * s, 6 * s, false},
		"to where nobody asked":     {retry.Route{Elsewhere: true}, retry.After(errDown, 9*s), 0, 0, 10 * ms, false},
		"spread within a deadline":  {retry.Route{Pushback: 4 * s}, errDown, 4100 * ms, 4 * s, 4100 * ms, false},
		"beyond the deadline":       {retry.Route{Pushback: 4 * s}, errDown, 4 * s, 0, 0, true},
		"many failing":              {retry.Route{Failing: 1024}, errDown, 0, 0, 110 * ms, false},
		"many failing, little time": {retry.Route{Failing: 1024}, errDown, 20 * ms, 0, 20 * ms, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var longest time.Duration
				for range 50 { // waits are drawn
					ctx, cancel := t.Context(), context.CancelFunc(func() {})
					if tc.deadline > 0 {
						ctx, cancel = context.WithTimeout(ctx, tc.deadline)
					}
					c := retry.Begin(&retry.Policy{})
					start := time.Now()
					again := c.Next(ctx, tc.err, tc.to)
					took := time.Since(start)
					cancel()
					longest = max(longest, took)
					if again == tc.no || took < tc.min || took > tc.max {
						t.Fatalf("again %v after %v; want %v to %v: %v", again, took, tc.min, tc.max, c.Err())
					}
					if tc.no && !errors.Is(c.Err(), context.DeadlineExceeded) {
						t.Errorf("stopped by %v", c.Err())
					}
				}
				if longest < tc.max*3/4 {
					t.Errorf("waits are %v at most; want nearly %v", longest, tc.max)
				}
			})
		})
	}
}

// Do and Value heed what the cluster shares, of the endpoint that takes retries
// soonest. First tries do not wait.
func TestDoHeedsThePushback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl := newCluster()
		p := retry.Policy{Budget: retry.NewBudget(retry.BudgetConfig{Service: "svc", Cluster: cl, Burst: 50})}
		cl.service.Endpoint("a").Publish(coord.Advice{Phi: coord.PhiFull, Until: coord.Now() + 20*time.Second})
		cl.service.Endpoint("b").Publish(coord.Advice{Phi: coord.PhiFull, Until: coord.Now() + 8*time.Second})
		start := time.Now()
		var at []time.Duration
		err := retry.Do(t.Context(), p, func(context.Context) error {
			if at = append(at, time.Since(start)); len(at) < 2 {
				return errDown
			}
			return nil
		})
		if err != nil || len(at) != 2 || at[0] != 0 || at[1] < 8*time.Second || at[1] > 12*time.Second {
			t.Errorf("attempts at %v: %v", at, err)
		}
	})
}

// What a server wants is there to be asked for by those who know its endpoint,
// whether or not the error is worth a retry. With an error of a whole call nobody
// knows which one that was.
func TestErrorsTellThePushback(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want time.Duration
	}{
		{errDown, 0},
		{retry.After(errDown, time.Second), time.Second},
		{retry.After(errDown, -1), -1},
		{retry.Permanent(errDown), -1},
		{retry.Permanent(retry.After(errDown, time.Second)), time.Second},
		{&retry.Error{Err: retry.After(errDown, time.Second)}, 0},
		{retry.Permanent(&retry.Error{Err: retry.After(errDown, time.Second)}), 0},
		{retry.After(&retry.Error{Err: retry.After(errDown, time.Second)}, 2*time.Second), 2 * time.Second},
	} {
		var p interface{ Pushback() time.Duration }
		if !errors.As(tc.err, &p) {
			if tc.want != 0 {
				t.Errorf("%#v tells nothing", tc.err)
			}
		} else if got := p.Pushback(); got != tc.want {
			t.Errorf("%#v tells %v, want %v", tc.err, got, tc.want)
		}
	}
}
