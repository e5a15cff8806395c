package gossip

import (
	"context"
	"slices"
	"testing"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/retry"
)

// One of four members has another policy. It learns that it is the odd one, the
// stewards name it, and once it has that of the rest all is well.
func TestPolicyDrift(t *testing.T) {
	a := join(t, Config{})
	all := []*cluster{a}
	for range 3 {
		all = append(all, join(t, Config{Seeds: []string{a.Addr()}, RequireSeeds: true}))
	}
	odd := all[3]
	groups := map[*cluster]*failover.Group{}
	use := func(m *cluster, attempts int) {
		t.Helper()
		g, err := failover.New("payments", failover.Config{
			Endpoints: []failover.Endpoint{{Name: "eu"}, {Name: "us", Priority: 1}}, Cluster: m.Cluster,
			Retry: retry.Policy{MaxAttempts: attempts},
		})
		if err != nil {
			t.Fatal(err)
		}
		groups[m] = g
	}
	for _, m := range all {
		m.waitMembers(t, len(all))
		use(m, 2)
	}
	use(odd, 5)
	call := func() {
		for _, g := range groups {
			if err := g.Do(t.Context(), func(context.Context, failover.Endpoint) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
	}
	name := odd.Health().Name
	poll(t, "all to know of the odd one", func() bool {
		call()
		named := 0
		for _, m := range all {
			d := m.Health().PolicyDrift
			if len(d) != 1 || d[0].Service != "payments" || d[0].Members != 1 || d[0].Own != (m == odd) || (d[0].OwnPolicy != d[0].Policy) != d[0].Own {
				return false
			}
			if slices.Equal(d[0].Odd, []string{name}) {
				named++
			}
		}
		return named == expected(len(all))
	})
	const line = "this member's policy for a service differs"
	if n := odd.log.count(line); n != 1 {
		t.Errorf("%d lines:\n%s", n, odd.log)
	}
	use(odd, 2)
	poll(t, "the end of the drift", func() bool {
		call()
		return !slices.ContainsFunc(all, func(m *cluster) bool { return m.Health().Drifting > 0 })
	})
	if n := odd.log.count(line); n != 1 {
		t.Errorf("%d lines:\n%s", n, odd.log)
	}
}
