package failover_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/coord"
)

// shared is a cluster that advises whatever a test publishes.
type shared struct{ service *coord.Service }

func (s shared) CoordService(string) *coord.Service { return s.service }

func group(tb testing.TB, c failover.Config) *failover.Group {
	tb.Helper()
	if len(c.Endpoints) == 0 {
		c.Endpoints = []failover.Endpoint{{Name: "a"}}
	}
	g, err := failover.New("svc", c)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

// BenchmarkHealthyCall compares a healthy call through a Group in a cluster with
// a bare gobreaker, in one run: the ratio is what counts.
func BenchmarkHealthyCall(b *testing.B) {
	ctx := context.Background()
	b.Run("murmuration", func(b *testing.B) {
		g := group(b, failover.Config{Cluster: shared{coord.NewService("svc")}})
		fn := func(context.Context, failover.Endpoint) error { return nil }
		b.ReportAllocs()
		for b.Loop() {
			_ = g.Do(ctx, fn)
		}
	})
	b.Run("murmuration-attempt-timeout", func(b *testing.B) {
		c := failover.Config{Cluster: shared{coord.NewService("svc")}}
		c.Retry.AttemptTimeout = time.Second
		g := group(b, c)
		fn := func(context.Context, failover.Endpoint) error { return nil }
		b.ReportAllocs()
		for b.Loop() {
			_ = g.Do(ctx, fn)
		}
	})
	b.Run("gobreaker", func(b *testing.B) {
		cb := gobreaker.NewCircuitBreaker[any](gobreaker.Settings{})
		fn := func() (any, error) { return nil, nil }
		b.ReportAllocs()
		for b.Loop() {
			_, _ = cb.Execute(fn)
		}
	})
	b.Run("gobreaker-rolling", func(b *testing.B) {
		cb := gobreaker.NewCircuitBreaker[any](gobreaker.Settings{Interval: 10 * time.Second, BucketPeriod: time.Second})
		fn := func() (any, error) { return nil, nil }
		b.ReportAllocs()
		for b.Loop() {
			_, _ = cb.Execute(fn)
		}
	})
}

// BenchmarkRefusedCall compares refusals, by the cluster and by the local
// breaker, with gobreaker's.
func BenchmarkRefusedCall(b *testing.B) {
	ctx := context.Background()
	fail := errors.New("down")
	b.Run("murmuration-dimmed", func(b *testing.B) {
		s := coord.NewService("svc")
		g := group(b, failover.Config{Cluster: shared{s}})
		s.Endpoint("a").Publish(coord.Advice{Phi: 0, Mode: coord.RetryNone, Tag: 1, Source: coord.SourceCluster})
		fn := func(context.Context, failover.Endpoint) error { return nil }
		b.ReportAllocs()
		for b.Loop() {
			if g.Do(ctx, fn) == nil {
				b.Fatal("not refused")
			}
		}
	})
	b.Run("murmuration-open", func(b *testing.B) {
		g := group(b, failover.Config{Cluster: shared{coord.NewService("svc")}})
		for range 10 {
			_ = g.Do(ctx, func(context.Context, failover.Endpoint) error { return fail })
		}
		fn := func(context.Context, failover.Endpoint) error { return nil }
		b.ReportAllocs()
		for b.Loop() {
			_ = g.Do(ctx, fn)
		}
	})
	b.Run("gobreaker", func(b *testing.B) {
		cb := gobreaker.NewCircuitBreaker[any](gobreaker.Settings{Timeout: time.Hour})
		for range 10 {
			_, _ = cb.Execute(func() (any, error) { return nil, fail })
		}
		fn := func() (any, error) { return nil, nil }
		b.ReportAllocs()
		for b.Loop() {
			if _, err := cb.Execute(fn); err == nil {
				b.Fatal("not refused")
			}
		}
	})
}
