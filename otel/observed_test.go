package otel_test

import (
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/gossip"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

func join(t *testing.T, c gossip.Config) *gossip.Cluster {
	t.Helper()
	c.Cluster, c.Bind, c.Logger = "test", "127.0.0.1:0", slog.New(slog.DiscardHandler)
	m, err := gossip.Join(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// What is observed of the cluster is what its Health tells when metrics are collected.
func TestObservedOfTheCluster(t *testing.T) {
	l := newLab(t)
	other := join(t, gossip.Config{})
	hooks, met := l.Gossip(), make(chan struct{}, 1)
	hooks.MembersChanged = func(n int) {
		if n == 2 {
			met <- struct{}{}
		}
	}
	m := join(t, gossip.Config{Seeds: []string{other.Addr()}, Hooks: hooks})
	<-met
	for tick := time.NewTicker(10 * time.Millisecond); m.Health().PacketsIn == 0 || m.Health().PacketsOut == 0; {
		<-tick.C
	}
	svc := m.CoordService("svc")
	svc.Endpoint("a").Publish(coord.Advice{
		Phi: coord.PhiOf(.2), Mode: coord.RetryNone, Source: coord.SourceCluster, Fresh: 3, Sigma: coord.ShareOf(.2),
	})
	svc.Endpoint("https://user:secret@b.example/x").Publish(coord.Advice{Phi: coord.PhiFull, Fresh: 3, Sigma: coord.ShareOf(.2)})

	got := l.metrics()
	for key, want := range map[string]string{
		"cluster.member.count{}":                         "2 {member}",
		"cluster.member.missing{}":                       "0 {member}",
		"cluster.trust{}":                                "1 1",
		"cluster.disagreement{}":                         "0 {verdict}",
		"cluster.own_path{}":                             "0 {endpoint}",
		"cluster.verdict.age{quantile=0.5}":              "0 s",
		"cluster.verdict.age{quantile=0.99}":             "0 s",
		"cluster.mode{mode=alone}":                       "0 1",
		"cluster.mode{mode=degraded}":                    "0 1",
		"cluster.mode{mode=coordinated}":                 "1 1",
		"cluster.drop{reason=stranger}":                  "0 {message}",
		"cluster.drop{reason=not-decrypted}":             "0 {message}",
		"endpoint.phi{endpoint=a service=svc}":           "0.2 1", // 13107 of 65535
		"endpoint.phi{endpoint=b.example service=svc}":   "1 1",
		"endpoint.spill{endpoint=a service=svc}":         "0 1",   // a dimmed endpoint takes nobody's calls
		"endpoint.spill{endpoint=b.example service=svc}": "0.2 1", // 51 of 255
	} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
	for _, key := range []string{
		"cluster.io{network.io.direction=receive}", "cluster.io{network.io.direction=transmit}",
		"cluster.packet{network.io.direction=receive}", "cluster.packet{network.io.direction=transmit}",
	} {
		if v := got[key]; v == "" || strings.HasPrefix(v, "0 ") {
			t.Errorf("%s is %q", key, v)
		}
	}
	for key := range got {
		if strings.Contains(key, "secret") {
			t.Errorf("a secret is told: %s", key)
		}
	}

	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	got = l.metrics()
	if got["cluster.mode{mode=alone}"] != "1 1" || got["endpoint.phi{endpoint=a service=svc}"] != "" {
		t.Errorf("of a closed cluster: %v", got)
	}
}

// Where members have different policies it is told how many have another than most, and
// of services where they have the same nothing.
func TestObservedDrift(t *testing.T) {
	l := newLab(t)
	a := join(t, gossip.Config{})
	b := join(t, gossip.Config{Seeds: []string{a.Addr()}, Hooks: l.Gossip()})
	a.CoordService("svc").TellPolicy("budget", "a")
	b.CoordService("svc").TellPolicy("budget", "b")
	got := l.metrics()
	for tick := time.NewTicker(10 * time.Millisecond); got["policy.drift{service=svc}"] == ""; got = l.metrics() {
		<-tick.C
		for _, m := range []*gossip.Cluster{a, b} {
			for _, service := range []string{"svc", "same"} {
				e := m.CoordService(service).Endpoint("e")
				e.Wanted(0)
				e.Send(e.Advice(), time.Second, false, 0).End(coord.Success, time.Millisecond)
			}
		}
	}
	if n := got["policy.drift{service=svc}"]; n != "1 {member}" {
		t.Errorf("%q differ", n)
	}
	if n, ok := got["policy.drift{service=same}"]; ok {
		t.Errorf("%q differ of a service without policies", n)
	}
}

// Budgets of one service are told together, and only as long as they are there.
func TestObservedBudgets(t *testing.T) {
	l := newLab(t)
	budgets := func(n int) (all []*retry.Budget) {
		for range n {
			all = append(all, retry.NewBudget(retry.BudgetConfig{Service: "svc", Burst: 2, Hooks: l.Budget()}))
		}
		return all
	}
	kept := budgets(3)
	if got := l.metrics()["budget.level{service=svc}"]; got != "6 {token}" {
		t.Errorf("three budgets hold %q", got)
	}
	for range 3 { // more than are kept, but those that are gone make room
		budgets(400)
		runtime.GC()
	}
	if got := l.metrics()["budget.level{service=svc}"]; got != "6 {token}" {
		t.Errorf("with those that are gone they hold %q", got)
	}
	last := budgets(1)
	if got := l.metrics()["budget.level{service=svc}"]; got != "8 {token}" {
		t.Errorf("four budgets hold %q", got)
	}
	runtime.KeepAlive(kept)
	runtime.KeepAlive(last)
}

// However many services a process makes, each instrument keeps within its bound, what is
// beyond it is counted together, and the cluster counts those it does not serve.
func TestTenThousandServices(t *testing.T) {
	if testing.Short() {
		t.Skip("makes ten thousand groups")
	}
	const services, served = 10_000, 256
	l := newLab(t)
	m := join(t, gossip.Config{Hooks: l.Gossip()})
	for i := range services {
		g, err := failover.New(fmt.Sprintf("svc-%d", i), failover.Config{
			Endpoints: []failover.Endpoint{{Name: "a"}}, Cluster: m, Hooks: l.Failover(),
			Retry: retry.Policy{Hooks: l.Retry()}, Budget: retry.BudgetConfig{Hooks: l.Budget()}, Breaker: breaker.Config{Hooks: l.Breaker()},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Do(t.Context(), answers()); err != nil {
			t.Fatal(err)
		}
	}
	series, calls := map[string]int{}, 0
	got := l.metrics()
	for key, value := range got {
		name, _, _ := strings.Cut(key, "{")
		series[name]++
		if name == "client.call.duration" {
			var n int
			if _, err := fmt.Sscanf(value, "%d:", &n); err != nil {
				t.Fatal(err)
			}
			calls += n
		}
	}
	for name, n := range series {
		if n > 501 {
			t.Errorf("%s has %d series", name, n)
		}
	}
	if calls != services {
		t.Errorf("%d calls are counted of %d", calls, services)
	}
	// Several parts of a group ask for its service.
	if drop := got["cluster.drop{reason=too-many-services}"]; drop == "" || strings.HasPrefix(drop, "0 ") {
		t.Errorf("%q services are counted as refused, of %d", drop, services-served)
	}
}
