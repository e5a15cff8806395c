package benchmarks

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/sony/gobreaker/v2"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/race"
)

// TestMemory measures what 10,000 services hold on the heap, each after a first call,
// and how much more with further endpoints. A member takes part in a cluster with 256
// of them; the other member of it, which is a steward of them too, is in this process.
// No service has a goroutine of its own.
func TestMemory(t *testing.T) {
	if testing.Short() || race.Enabled {
		t.Skip("waits for a cluster; the race detector takes memory of its own")
	}
	const services, takingPart, more = 10_000, 256, 7
	var within, beyond, without [2]float64
	for i, endpoints := range []int{1, 1 + more} {
		c := cluster(t)
		within[i] = each(t, takingPart, 2*time.Second, func(n int) any { return used(t, c, n, endpoints) })
		beyond[i] = each(t, services-takingPart, 0, func(n int) any { return used(t, c, takingPart+n, endpoints) })
		without[i] = each(t, services, 0, func(n int) any { return used(t, nil, n, endpoints) })
	}
	for _, row := range []struct {
		name  string
		bytes [2]float64
	}{{"in a cluster", within}, {"beyond those that take part", beyond}, {"without a cluster", without}} {
		one, further := row.bytes[0], (row.bytes[1]-row.bytes[0])/more
		t.Logf("%s: %.0f B a service with one endpoint, %.0f B each further endpoint", row.name, one, further)
		if one > 16<<10 || further > 8<<10 {
			t.Errorf("%s: that is more than 16 KiB and 8 KiB", row.name)
		}
	}
	t.Logf("gobreaker: %.0f B each", each(t, services, 0, func(int) any {
		return gobreaker.NewCircuitBreaker[any](gobreaker.Settings{Interval: 10 * time.Second, BucketPeriod: time.Second})
	}))
	t.Logf("failsafe-go's retry, budget and breaker: %.0f B each", each(t, services, 0, func(int) any {
		return failsafe.With(guarded(retrypolicy.NewBuilder[any](), nil)...)
	}))
}

// used is the group of the n-th service, after a first call.
func used(t *testing.T, c failover.Cluster, n, endpoints int) *failover.Group {
	config := failover.Config{Cluster: c}
	for i := range endpoints {
		config.Endpoints = append(config.Endpoints, failover.Endpoint{Name: fmt.Sprint("endpoint", i)})
	}
	g, err := failover.New(fmt.Sprint("service", n), config)
	if err != nil {
		t.Fatal(err)
	}
	_ = g.Do(context.Background(), func(context.Context, failover.Endpoint) error { return nil })
	return g
}

// each is what each of n things holds on the heap after a while.
func each(t *testing.T, n int, while time.Duration, build func(int) any) float64 {
	before, goroutines := heap(), runtime.NumGoroutine()
	things := make([]any, n)
	for i := range things {
		things[i] = build(i)
	}
	time.Sleep(while)
	if more := runtime.NumGoroutine() - goroutines; more > 20 { // those of the cluster come and go
		t.Errorf("%d things have %d goroutines", n, more)
	}
	held := float64(heap()) - float64(before)
	runtime.KeepAlive(things)
	return held / float64(n)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC() // what finalizers and pools still held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
