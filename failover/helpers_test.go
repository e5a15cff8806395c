package failover_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

var errDown = errors.New("down")

func named(names ...string) (list []failover.Endpoint) {
	for _, n := range names {
		list = append(list, failover.Endpoint{Name: n})
	}
	return list
}

// siblings makes all endpoints home, of which the first gets all first tries, and
// each other one all that does not go to one before it.
func siblings(c *failover.Config) {
	for i := range c.Endpoints {
		c.Endpoints[i].Priority, c.Endpoints[i].Weight = 0, math.Pow(1e-30, float64(i))
	}
}

// quick is a configuration without waits and with a roomy budget, so that only
// the choice of endpoints is seen. The first endpoint is the nearest.
func quick(names ...string) failover.Config {
	c := failover.Config{Endpoints: named(names...), DrainOver: -1}
	for i := range c.Endpoints {
		c.Endpoints[i].Priority = i
	}
	c.Retry = retry.Policy{BaseDelay: -1}
	c.Budget = retry.BudgetConfig{Ratio: 10, Burst: 1e6}
	return c
}

// call makes one call that fails at the endpoints in down, and returns where it
// went.
func call(t *testing.T, g *failover.Group, down ...string) (went []string, err error) {
	t.Helper()
	err = g.Do(t.Context(), func(_ context.Context, e failover.Endpoint) error {
		went = append(went, e.Name)
		if slices.Contains(down, e.Name) {
			return errDown
		}
		return nil
	})
	return went, err
}

// wants makes one call and checks where it went and whether it went well.
func wants(t *testing.T, g *failover.Group, ok bool, went []string, down ...string) {
	t.Helper()
	got, err := call(t, g, down...)
	if !slices.Equal(got, went) || (err == nil) != ok {
		t.Errorf("went to %q: %v; want %q, well %v", got, err, went, ok)
	}
}

// trip opens an endpoint's local breaker.
func trip(g *failover.Group, endpoint string) {
	for range 10 {
		g.Report(endpoint, errDown)
	}
}

// advise publishes advice on an endpoint as a member's driver does.
func advise(s *coord.Service, endpoint string, a coord.Advice) {
	e := s.Endpoint(endpoint)
	e.Publish(a.Numbered(e.Advice()))
}

var (
	dimmedOut  = coord.Advice{Mode: coord.RetryNone, Source: coord.SourceCluster}
	retriesOff = coord.Advice{Phi: coord.PhiFull, Mode: coord.RetryNone, Source: coord.SourceCluster}
	allWell    = coord.Advice{Phi: coord.PhiFull, Fresh: 3, Lately: true, Planned: true}
)

// state is what Explain says of an endpoint.
func state(t *testing.T, g *failover.Group, endpoint string) failover.EndpointState {
	t.Helper()
	for _, e := range g.Explain().Endpoints {
		if e.Name == endpoint {
			return e
		}
	}
	t.Fatalf("no endpoint %q", endpoint)
	return failover.EndpointState{}
}

func opened(t *testing.T, g *failover.Group, endpoint string) bool {
	t.Helper()
	return state(t, g, endpoint).State == breaker.Open
}

// shared is a cluster that advises whatever a test publishes.
type shared struct{ service *coord.Service }

func (s shared) CoordService(string) *coord.Service { return s.service }

func group(tb testing.TB, c failover.Config) *failover.Group {
	tb.Helper()
	if len(c.Endpoints) == 0 {
		c.Endpoints = named("a")
	}
	g, err := failover.New("svc", c)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}
