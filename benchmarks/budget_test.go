package benchmarks

import (
	"testing"

	"github.com/failsafe-go/failsafe-go/budget"
	"golang.org/x/time/rate"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/ledger"
)

// budgets are what asking for a retry costs: a first try is counted, and a retry is
// granted. A rate limiter knows nothing of first tries; that of x/time is one a
// retry would ask.
var budgets = []subject{
	{"murmuration", func(tb testing.TB) func() {
		a := ledger.NewAccount(coord.Now(), ledger.Rules{Ratio: 2}, nil)
		return func() {
			a.Earn(coord.RetryAll)
			if _, answer := a.Take(coord.Now(), ledger.Want{Now: true}, .5); answer != ledger.Yes {
				tb.Error("not granted")
			}
		}
	}},
	{"murmuration-first-try", func(testing.TB) func() { // nearly every call, and the bucket is full
		a := ledger.NewAccount(coord.Now(), ledger.Rules{}, nil)
		return func() { a.Earn(coord.RetryAll) }
	}},
	{"failsafe", func(tb testing.TB) func() {
		b := budget.NewBuilder().WithMaxRate(1).Build().(concurrencyBudget)
		return func() {
			b.RecordExecution()
			if !b.TryAcquirePermit() {
				tb.Error("not granted")
			}
			b.ReleasePermit()
			b.ReleaseExecution()
		}
	}},
	{"failsafe-first-try", func(testing.TB) func() {
		b := budget.New().(concurrencyBudget)
		return func() {
			b.RecordExecution()
			b.ReleaseExecution()
		}
	}},
	{"rate-limiter", func(tb testing.TB) func() {
		l := rate.NewLimiter(1e12, 1e9)
		return func() {
			if !l.Allow() {
				tb.Error("not granted")
			}
		}
	}},
}

// concurrencyBudget is what a retry policy of failsafe-go does with its budget.
type concurrencyBudget interface {
	RecordExecution()
	TryAcquirePermit() bool
	ReleasePermit()
	ReleaseExecution()
}

// BenchmarkBudget is a first try and a retry as the budget alone sees them.
func BenchmarkBudget(b *testing.B) { benchmark(b, budgets) }
