package failover_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

// G2: a member with a cluster of which it hears nothing decides like one without
// a cluster and with the same burst, attempt for attempt.
//
// What each member draws for itself is kept out of the way: whole tokens need no
// coin, there are no waits, and all short steps together are shorter than an open
// time of 10 s to 11 s, and a long one is longer.
func TestHearingNobodyIsLikeBeingAlone(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var failure any
		synctest.Test(t, func(t *testing.T) {
			defer func() { failure = recover() }()
			names := []string{"a", "b", "c"}
			c := quick(names...)
			c.Retry.MaxAttempts = rapid.IntRange(1, 5).Draw(r, "attempts")
			c.Retry.AttemptTimeout = time.Second
			c.Budget = retry.BudgetConfig{
				Ratio: float64(rapid.SampledFrom([]int{-1, 1}).Draw(r, "ratio")),
				Burst: float64(rapid.IntRange(1, 6).Draw(r, "burst")),
			}
			c.Breaker.ConsecutiveFailures = rapid.IntRange(1, 4).Draw(r, "in a row")
			alone := group(t, c)
			c.Cluster = shared{coord.NewService("svc")}
			silent := group(t, c)
			for i := range rapid.IntRange(1, 60).Draw(r, "steps") {
				if rapid.IntRange(0, 5).Draw(r, "action") == 0 {
					time.Sleep(rapid.SampledFrom([]time.Duration{100 * time.Millisecond, 15 * time.Second}).Draw(r, "step"))
				}
				// How each endpoint answers this call: well, with an error,
				// not worth a retry, or not at all.
				answers := rapid.SliceOfN(rapid.IntRange(0, 4), 3, 3).Draw(r, "answers")
				run := func(g *failover.Group) (went []string, says string) {
					err := g.Do(t.Context(), func(ctx context.Context, e failover.Endpoint) error {
						went = append(went, e.Name)
						switch answers[slices.Index(names, e.Name)] {
						case 0, 1:
							return nil
						case 2:
							return retry.Permanent(errDown)
						case 3:
							return errDown
						}
						// Both must see the same clock, so no time is spent.
						return context.DeadlineExceeded
					})
					if err != nil {
						says = "failed"
					}
					return went, says
				}
				want, wantSays := run(alone)
				got, gotSays := run(silent)
				if !slices.Equal(got, want) || gotSays != wantSays {
					r.Fatalf("call %d went to %q (%s), alone to %q (%s)", i, got, gotSays, want, wantSays)
				}
				x, y := alone.Explain(), silent.Explain()
				if x.BudgetTokens != y.BudgetTokens {
					r.Fatalf("after call %d: %v tokens, alone %v", i, y.BudgetTokens, x.BudgetTokens)
				}
				for k := range x.Endpoints {
					if x.Endpoints[k] != y.Endpoints[k] {
						r.Fatalf("after call %d: %+v, alone %+v", i, y.Endpoints[k], x.Endpoints[k])
					}
				}
			}
		})
		if failure != nil {
			panic(failure)
		}
	})
}
