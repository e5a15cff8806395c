package failover_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

func TestNearestFirst(t *testing.T) {
	list := []failover.Endpoint{
		{Name: "far", Zone: "us"},
		{Name: "near, second", Zone: "eu", Priority: 1},
		{Name: "anywhere"},
		{Name: "near", Zone: "eu"},
		{Name: "far, second", Zone: "us", Priority: 2},
	}
	for zone, want := range map[string][]string{
		"eu": {"anywhere", "near", "near, second", "far", "far, second"},
		"us": {"far", "anywhere", "far, second", "near", "near, second"},
		"ap": {"anywhere", "far", "near", "near, second", "far, second"},
		"":   {"far", "anywhere", "near", "near, second", "far, second"},
	} {
		g := group(t, failover.Config{Endpoints: list, Zone: zone})
		var got []string
		for _, e := range g.Explain().Endpoints {
			got = append(got, e.Name)
		}
		if !slices.Equal(got, want) || g.Explain().Zone != zone {
			t.Errorf("zone %q: %q, want %q", zone, got, want)
		}
	}
}

// A cluster that knows the zone lends it to a group that does not.
func TestZoneOfTheCluster(t *testing.T) {
	c := quick("a")
	c.Cluster = zoned{shared{coord.NewService("svc")}}
	if got := group(t, c).Explain().Zone; got != "eu" {
		t.Errorf("the zone is %q, want the cluster's", got)
	}
	c.Zone = "us"
	if got := group(t, c).Explain().Zone; got != "us" {
		t.Errorf("the zone is %q, want its own", got)
	}
	c.Zone, c.Cluster = "", (*nilZoned)(nil)
	if got := group(t, c).Explain().Zone; got != "" {
		t.Errorf("a nil cluster lent the zone %q", got)
	}
}

type zoned struct{ shared }

func (zoned) Zone() string { return "eu" }

type nilZoned struct{ zone string }

func (n *nilZoned) Zone() string                       { return n.zone }
func (n *nilZoned) CoordService(string) *coord.Service { panic("asked a nil cluster") }

// First tries are shared out by weight among the nearest endpoints only.
func TestWeights(t *testing.T) {
	const n = 20_000
	g := group(t, failover.Config{Zone: "eu", Endpoints: []failover.Endpoint{
		{Name: "a", Zone: "eu"}, // weighs 1
		{Name: "b", Zone: "eu", Weight: 2.5},
		{Name: "c", Zone: "eu", Weight: .5},
		{Name: "second", Zone: "eu", Priority: 1, Weight: 100},
		{Name: "far", Zone: "us", Weight: 100},
	}})
	got := map[string]int{}
	for range n {
		_ = g.Do(t.Context(), func(_ context.Context, e failover.Endpoint) error { got[e.Name]++; return nil })
	}
	for name, share := range map[string]float64{"a": .25, "b": .625, "c": .125, "second": 0, "far": 0} {
		if f := float64(got[name]) / n; math.Abs(f-share) > 6*math.Sqrt(share*(1-share)/n) {
			t.Errorf("%s got %v of the calls, want %v", name, f, share)
		}
	}
}

func TestRetryPrefersTheUntried(t *testing.T) {
	g := group(t, quick("a", "b", "c"))
	wants(t, g, true, []string{"a"})
	wants(t, g, true, []string{"a", "b"}, "a")
	wants(t, g, true, []string{"a", "b", "c"}, "a", "b")
	wants(t, g, false, []string{"a", "b", "c"}, "a", "b", "c")

	four := quick("a", "b")
	four.Retry.MaxAttempts = 4
	wants(t, group(t, four), false, []string{"a", "b", "a", "a"}, "a", "b")
	wants(t, group(t, quick("a")), false, []string{"a", "a", "a"}, "a")
}

// An endpoint whose local breaker is open is passed over: no token, no wait.
func TestOpenBreakerIsPassedOver(t *testing.T) {
	c := quick("a", "b", "c")
	c.Budget = retry.BudgetConfig{Burst: -1, Ratio: -1} // no retries at all
	g := group(t, c)
	trip(g, "a")
	wants(t, g, true, []string{"b"})
	wants(t, g, false, []string{"b"}, "b")
	trip(g, "b")
	wants(t, g, true, []string{"c"})

	// A retry passes it over as well, and costs its one token.
	c = quick("a", "b", "c")
	c.Budget = retry.BudgetConfig{Burst: 3, Ratio: -1}
	g = group(t, c)
	trip(g, "b")
	wants(t, g, true, []string{"a", "c"}, "a")
	if got := g.Explain().BudgetTokens; got != 2 {
		t.Errorf("%v tokens are left, want 2", got)
	}
}

func TestSixtyFourEndpoints(t *testing.T) {
	c := quick()
	for i := range failover.MaxEndpoints {
		c.Endpoints = append(c.Endpoints, failover.Endpoint{Name: string(rune('A' + i)), Priority: i})
	}
	g := group(t, c)
	for _, e := range c.Endpoints[:63] {
		trip(g, e.Name)
	}
	wants(t, g, true, []string{c.Endpoints[63].Name})
	trip(g, c.Endpoints[63].Name)
	wants(t, g, false, nil)
}
