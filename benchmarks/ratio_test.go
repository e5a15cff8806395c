package benchmarks

import (
	"math"
	"testing"
	"time"
)

// TestRatios guards the price of the hot path as ratios to gobreaker, measured
// in turn in one run; of each side the best of many short rounds counts, for
// noise only ever adds.
func TestRatios(t *testing.T) {
	if testing.Short() {
		t.Skip("measures for a few seconds")
	}
	for _, c := range []struct {
		name     string
		subjects []subject
		ours     string
		limit    float64
	}{
		{"healthy", healthy, "murmuration", 2},
		{"refused by the cluster", refused, "murmuration-dimmed", 1},
		{"refused by the local breaker", refused, "murmuration-open", 1},
	} {
		ours, theirs := ready(t, c.subjects, c.ours), ready(t, c.subjects, "gobreaker")
		best := [2]float64{math.Inf(1), math.Inf(1)}
		for range 60 {
			for i, call := range []func(){ours, theirs} {
				best[i] = min(best[i], round(call))
			}
		}
		ratio := best[0] / best[1]
		t.Logf("%s: %.1f ns, gobreaker %.1f ns, ratio %.2f (limit %.0f)", c.name, best[0], best[1], ratio, c.limit)
		if ratio > c.limit {
			t.Errorf("%s: %.2f times gobreaker; the limit is %.0f", c.name, ratio, c.limit)
		}
		if n := testing.AllocsPerRun(1000, ours); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

func ready(t *testing.T, subjects []subject, name string) func() {
	t.Helper()
	for _, s := range subjects {
		if s.name == name {
			return s.make(t)
		}
	}
	t.Fatalf("no subject %q", name)
	return nil
}

// round is the time of one call, in nanoseconds, averaged over a short round.
func round(call func()) float64 {
	const calls = 20_000
	start := time.Now()
	for range calls {
		call()
	}
	return float64(time.Since(start).Nanoseconds()) / calls
}
