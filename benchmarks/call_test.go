package benchmarks

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/sony/gobreaker/v2"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/gossip"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

var errDown = errors.New("down")

// cluster joins two members over loopback and returns the first.
func cluster(tb testing.TB) *gossip.Cluster {
	tb.Helper()
	var seeds []string
	var first *gossip.Cluster
	for range 2 {
		c, err := gossip.Join(context.Background(), gossip.Config{
			Cluster: "benchmark", Bind: "127.0.0.1:0", Seeds: seeds, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = c.Close() })
		seeds = append(seeds, c.Addr())
		if first == nil {
			first = c
		}
	}
	return first
}

func group(tb testing.TB, c failover.Config) *failover.Group {
	tb.Helper()
	c.Endpoints = []failover.Endpoint{{Name: "primary"}}
	g, err := failover.New("svc", c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = g.Close() })
	return g
}

// subject is one side of a comparison: a call that has been made ready.
type subject struct {
	name string
	make func(testing.TB) func()
}

var healthy = []subject{
	{"murmuration", func(tb testing.TB) func() {
		g := group(tb, failover.Config{Cluster: cluster(tb)})
		ctx, fn := context.Background(), func(context.Context, failover.Endpoint) error { return nil }
		return func() { _ = g.Do(ctx, fn) }
	}},
	{"murmuration-attempt-timeout", func(tb testing.TB) func() {
		g := group(tb, failover.Config{Cluster: cluster(tb), Retry: retry.Policy{AttemptTimeout: time.Second}})
		ctx, fn := context.Background(), func(context.Context, failover.Endpoint) error { return nil }
		return func() { _ = g.Do(ctx, fn) }
	}},
	{"murmuration-breaker-only", func(tb testing.TB) func() {
		b := breaker.New("primary", breaker.Config{Service: "svc", Cluster: cluster(tb)})
		ctx, fn := context.Background(), func(context.Context) error { return nil }
		return func() { _ = b.Do(ctx, fn) }
	}},
	{"gobreaker", func(testing.TB) func() {
		cb := gobreaker.NewCircuitBreaker[any](gobreaker.Settings{})
		fn := func() (any, error) { return nil, nil }
		return func() { _, _ = cb.Execute(fn) }
	}},
	{"gobreaker-rolling", func(testing.TB) func() {
		cb := gobreaker.NewCircuitBreaker[any](gobreaker.Settings{Interval: 10 * time.Second, BucketPeriod: time.Second})
		fn := func() (any, error) { return nil, nil }
		return func() { _, _ = cb.Execute(fn) }
	}},
	{"failsafe-breaker", func(testing.TB) func() {
		x := failsafe.With[any](circuitbreaker.NewWithDefaults[any]())
		fn := func() error { return nil }
		return func() { _ = x.Run(fn) }
	}},
	{"failsafe-retry-breaker", func(testing.TB) func() {
		x := failsafe.With[any](retrypolicy.NewWithDefaults[any](), circuitbreaker.NewWithDefaults[any]())
		fn := func() error { return nil }
		return func() { _ = x.Run(fn) }
	}},
}

var refused = []subject{
	{"murmuration-dimmed", func(tb testing.TB) func() {
		// A snapshot as a stalled endpoint gets it, kept in force.
		s := stalled{coord.NewService("svc")}
		g := group(tb, failover.Config{Cluster: s})
		s.Service.Endpoint("primary").Publish(coord.Advice{Mode: coord.RetryNone, Tag: 1, Source: coord.SourceCluster})
		ctx, fn := context.Background(), func(context.Context, failover.Endpoint) error { return nil }
		return mustRefuse(tb, func() error { return g.Do(ctx, fn) })
	}},
	{"murmuration-open", func(tb testing.TB) func() {
		g := group(tb, failover.Config{Breaker: breaker.Config{OpenTimeout: time.Hour}})
		for range 20 {
			_ = g.Do(context.Background(), func(context.Context, failover.Endpoint) error { return errDown })
		}
		ctx, fn := context.Background(), func(context.Context, failover.Endpoint) error { return nil }
		return mustRefuse(tb, func() error { return g.Do(ctx, fn) })
	}},
	{"gobreaker", func(tb testing.TB) func() {
		cb := gobreaker.NewCircuitBreaker[any](gobreaker.Settings{Timeout: time.Hour})
		for range 10 {
			_, _ = cb.Execute(func() (any, error) { return nil, errDown })
		}
		fn := func() (any, error) { return nil, nil }
		return mustRefuse(tb, func() error { _, err := cb.Execute(fn); return err })
	}},
	{"failsafe-breaker", func(tb testing.TB) func() {
		cb := circuitbreaker.NewWithDefaults[any]()
		cb.Open()
		x := failsafe.With[any](cb)
		fn := func() error { return nil }
		return mustRefuse(tb, func() error { return x.Run(fn) })
	}},
}

type stalled struct{ Service *coord.Service }

func (s stalled) CoordService(string) *coord.Service { return s.Service }

func mustRefuse(tb testing.TB, call func() error) func() {
	return func() {
		if call() == nil {
			tb.Fatal("not refused")
		}
	}
}

func benchmark(b *testing.B, subjects []subject) {
	for _, s := range subjects {
		b.Run(s.name, func(b *testing.B) {
			call := s.make(b)
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
		})
	}
}

// BenchmarkHealthyCall is a call that succeeds, with all the bookkeeping and
// nothing else.
func BenchmarkHealthyCall(b *testing.B) { benchmark(b, healthy) }

// BenchmarkRefusedCall is a call that is turned away.
func BenchmarkRefusedCall(b *testing.B) { benchmark(b, refused) }
