package benchmarks

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/gossip"
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

// guarded returns the policies of failsafe-go that do what a Group does: retry with
// a budget, and within it a breaker with the rule of package breaker. Its breaker of
// consecutive failures is a tenth cheaper for a whole call and counts no ratio.
func guarded[R any](retries retrypolicy.Builder[R], failure func(R, error) bool) []failsafe.Policy[R] {
	b := circuitbreaker.NewBuilder[R]().WithFailureRateThreshold(.5, 20, 10*time.Second).WithDelay(10 * time.Second)
	if failure != nil {
		b = b.HandleIf(failure)
	}
	return []failsafe.Policy[R]{retries.WithBudget(budget.New()).Build(), b.Build()}
}

// subject is one side of a comparison: a call that has been made ready, and can be
// made by several goroutines at once.
type subject struct {
	name string
	make func(testing.TB) func()
}

// benchmark measures each subject on one goroutine, and on as many as there are
// processors.
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
	for _, s := range subjects {
		b.Run("parallel/"+s.name, func(b *testing.B) {
			call := s.make(b)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					call()
				}
			})
		})
	}
}
