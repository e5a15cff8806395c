package failover_test

import (
	"slices"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

// tells is what a group of that configuration, changed, tells of its policy.
func tells(t *testing.T, change func(*failover.Config)) uint32 {
	t.Helper()
	s := coord.NewService("svc")
	c := quick("a", "b", "c")
	c.Cluster = shared{service: s}
	change(&c)
	group(t, c)
	return s.Policy()
}

func TestGroupsTellTheirPolicy(t *testing.T) {
	plain := tells(t, func(*failover.Config) {})
	for name, change := range map[string]func(*failover.Config){
		"the order of endpoints": func(c *failover.Config) { slices.Reverse(c.Endpoints) },
		"a name by its URL":      func(c *failover.Config) { c.Endpoints[0] = failover.Endpoint{URL: "a"} },
		"a URL":                  func(c *failover.Config) { c.Endpoints[0].URL = "http://elsewhere" },
		"a default given":        func(c *failover.Config) { c.Endpoints[1].Weight, c.Retry.MaxAttempts = 1, 3 },
		"the process's zone":     func(c *failover.Config) { c.Zone = "west" },
		"functions":              func(c *failover.Config) { c.Retry.Retryable = func(error) bool { return true } },
	} {
		if tells(t, change) != plain {
			t.Errorf("%s is no policy", name)
		}
	}
	for name, change := range map[string]func(*failover.Config){
		"zone":     func(c *failover.Config) { c.Endpoints[2].Zone = "west" },
		"priority": func(c *failover.Config) { c.Endpoints[2].Priority++ },
		"weight":   func(c *failover.Config) { c.Endpoints[2].Weight = 2 },
		"capacity": func(c *failover.Config) { c.Endpoints[2].Capacity = 100 },
		"internal": func(c *failover.Config) { c.Endpoints[2].Internal = true },
		"one less": func(c *failover.Config) { c.Endpoints = c.Endpoints[:2] },
		"drain":    func(c *failover.Config) { c.DrainOver = time.Second },
		"retries":  func(c *failover.Config) { c.Retry.MaxAttempts = 4 },
		"hedges":   func(c *failover.Config) { c.Retry.Hedge = &retry.Hedge{} },
		"budget":   func(c *failover.Config) { c.Budget.Ratio = 1 },
		"breaker":  func(c *failover.Config) { c.Breaker = breaker.Config{MinRequests: 7} },
	} {
		if tells(t, change) == plain {
			t.Errorf("%s makes no difference", name)
		}
	}
}

// After updates a group tells the same as one that began like that.
func TestUpdateTellsThePolicy(t *testing.T) {
	s := coord.NewService("svc")
	c := quick("a", "b", "c")
	c.Cluster = shared{service: s}
	g := group(t, c)
	was := s.Policy()
	for _, list := range [][]failover.Endpoint{named("d"), c.Endpoints[:2]} {
		if err := g.Update(list); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Policy(); got == was || got != tells(t, func(c *failover.Config) { c.Endpoints = c.Endpoints[:2] }) {
		t.Errorf("%x; it was %x", got, was)
	}
}
