package benchmarks

import (
	"context"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/sony/gobreaker/v2"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

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
	{"failsafe-simple-breaker", func(testing.TB) func() {
		x := failsafe.With[any](retrypolicy.NewBuilder[any]().WithBudget(budget.New()).Build(), circuitbreaker.NewWithDefaults[any]())
		fn := func() error { return nil }
		return func() { _ = x.Run(fn) }
	}},
	{"failsafe", func(testing.TB) func() {
		x := failsafe.With(guarded(retrypolicy.NewBuilder[any](), nil)...)
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

// retried are calls whose first attempt fails and whose second succeeds, with no
// wait in between. No budget runs out and no breaker opens, though half of all
// attempts fail, so that it is the same call each time; in a cluster the verdict
// would soon be that retries are to stop.
var retried = []subject{
	{"murmuration", func(tb testing.TB) func() {
		g := group(tb, failover.Config{
			Retry:   retry.Policy{BaseDelay: -1},
			Budget:  retry.BudgetConfig{Ratio: 2},
			Breaker: breaker.Config{FailureRatio: .9, ConsecutiveFailures: -1},
		})
		ctx := context.Background()
		fn := func(ctx context.Context, _ failover.Endpoint) error { return failFirst(retry.Previous(ctx) == 0) }
		return mustSucceed(tb, func() error { return g.Do(ctx, fn) })
	}},
	{"murmuration-retry-budget", func(tb testing.TB) func() {
		p := retry.Policy{BaseDelay: -1, Budget: retry.NewBudget(retry.BudgetConfig{Ratio: 2})}
		ctx := context.Background()
		fn := func(ctx context.Context) error { return failFirst(retry.Previous(ctx) == 0) }
		return mustSucceed(tb, func() error { return retry.Do(ctx, p, fn) })
	}},
	{"failsafe", func(tb testing.TB) func() {
		x := failsafe.With[any](
			retrypolicy.NewBuilder[any]().WithBudget(budget.NewBuilder().WithMaxRate(1).Build()).Build(),
			circuitbreaker.NewBuilder[any]().WithFailureRateThreshold(.9, 20, 10*time.Second).Build(),
		)
		fn := func(e failsafe.Execution[any]) error { return failFirst(e.Attempts() == 1) }
		return mustSucceed(tb, func() error { return x.RunWithExecution(fn) })
	}},
	{"failsafe-retry-budget", func(tb testing.TB) func() {
		x := failsafe.With[any](retrypolicy.NewBuilder[any]().WithBudget(budget.NewBuilder().WithMaxRate(1).Build()).Build())
		fn := func(e failsafe.Execution[any]) error { return failFirst(e.Attempts() == 1) }
		return mustSucceed(tb, func() error { return x.RunWithExecution(fn) })
	}},
}

func failFirst(first bool) error {
	if first {
		return errDown
	}
	return nil
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

func mustSucceed(tb testing.TB, call func() error) func() {
	return func() {
		if err := call(); err != nil {
			tb.Error(err)
		}
	}
}

// BenchmarkHealthyCall is a call that succeeds, with all the bookkeeping and
// nothing else.
func BenchmarkHealthyCall(b *testing.B) { benchmark(b, healthy) }

// BenchmarkRefusedCall is a call that is turned away.
func BenchmarkRefusedCall(b *testing.B) { benchmark(b, refused) }

// BenchmarkRetriedCall is a call that succeeds at the second attempt.
func BenchmarkRetriedCall(b *testing.B) { benchmark(b, retried) }
