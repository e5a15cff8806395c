package benchmarks

import (
	"math"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/race"
)

// ratios are the prices that must not rise: what ours takes over what theirs takes,
// each beyond its base if there is one, and the most allocations beyond that. The
// limits leave room for what machines differ in; README.md has what was measured.
var ratios = []struct {
	name               string
	subjects           []subject
	ours, theirs, base string
	calls              int // in a round
	limit, allocations float64
}{
	{"healthy call", healthy, "murmuration", "gobreaker", "", 20_000, 2.3, 0},
	{"healthy call", healthy, "murmuration", "gobreaker-rolling", "", 20_000, 2.1, 0},
	{"healthy call", healthy, "murmuration", "failsafe", "", 5_000, .65, 0},
	{"healthy call", healthy, "murmuration", "failsafe-simple-breaker", "", 5_000, .65, 0},
	{"call refused by the cluster", refused, "murmuration-dimmed", "gobreaker", "", 20_000, 1, 0},
	{"call refused by the local breaker", refused, "murmuration-open", "gobreaker", "", 20_000, 1, 0},
	{"retried call", retried, "murmuration", "failsafe", "", 2_000, .9, 6},
	{"HTTP over a stub", stubbed(), "murmuration", "failsafe", "base", 2_000, .9, 6},
	{"gRPC over a stub", unstarted(), "murmuration", "failsafe", "base", 2_000, 1, 4},
}

// TestRatios guards the price of the hot path as ratios to what others take, measured
// in turn in one run; of each side the best of many short rounds counts, for noise
// only ever adds. Where a ratio is too high it is measured for longer.
func TestRatios(t *testing.T) {
	if testing.Short() || race.Enabled {
		t.Skip("measures for some seconds, and not with the race detector")
	}
	for _, r := range ratios {
		sides := []func(){ready(t, r.subjects, r.ours), ready(t, r.subjects, r.theirs)}
		if r.base != "" {
			sides = append(sides, ready(t, r.subjects, r.base))
		}
		ns := []float64{math.Inf(1), math.Inf(1), math.Inf(1)}
		var ours, theirs float64
		for n := 0; n < 100 || n < 1000 && ours > r.limit*theirs; n++ {
			for i, call := range sides {
				ns[i] = min(ns[i], round(r.calls, call))
			}
			if ours, theirs = ns[0], ns[1]; r.base != "" {
				ours, theirs = ours-ns[2], theirs-ns[2]
			}
		}
		allocations := testing.AllocsPerRun(1000, sides[0])
		if r.base != "" {
			allocations -= testing.AllocsPerRun(1000, sides[2])
		}
		t.Logf("%s: %.0f ns, %s %.0f ns, ratio %.2f (limit %.2f), %.0f allocations (limit %.0f)",
			r.name, ours, r.theirs, theirs, ours/theirs, r.limit, allocations, r.allocations)
		if ours > r.limit*theirs {
			t.Errorf("%s: %.2f times %s; the limit is %.2f", r.name, ours/theirs, r.theirs, r.limit)
		}
		if allocations > r.allocations {
			t.Errorf("%s: %.0f allocations; the limit is %.0f", r.name, allocations, r.allocations)
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
func round(calls int, call func()) float64 {
	start := time.Now()
	for range calls {
		call()
	}
	return float64(time.Since(start).Nanoseconds()) / float64(calls)
}
