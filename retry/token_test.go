package retry_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

// TestTokenSource: hooks are told where the budget took what an attempt costs.
func TestTokenSource(t *testing.T) {
	type source = retry.TokenSource
	for _, tc := range []struct {
		name   string
		tokens float64 // that the budget starts with
		want   []source
	}{
		{"held", 2, []source{retry.TokenFree, retry.TokenHeld, retry.TokenHeld}},
		{"none left", 1, []source{retry.TokenFree, retry.TokenHeld}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []source
			p := retry.Policy{BaseDelay: -1, Budget: retry.NewBudget(retry.BudgetConfig{Burst: tc.tokens, Ratio: 1e-9})}
			p.Hooks.AttemptStart = func(ctx context.Context, a retry.Attempt) context.Context {
				got = append(got, a.Token)
				return ctx
			}
			_ = retry.Do(t.Context(), p, func(context.Context) error { return errDown })
			if !slices.Equal(got, tc.want) {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}

	// With a part of a token a retry is paid by a coin and a debt; and what others lend
	// while it waits pays for it as well.
	debts, awaited := 0, 0
	for range 200 {
		p := retry.Policy{BaseDelay: -1, MaxAttempts: 2, Budget: retry.NewBudget(retry.BudgetConfig{Burst: 1, Ratio: .5})}
		p.Hooks.AttemptStart = func(ctx context.Context, a retry.Attempt) context.Context {
			if a.Token == retry.TokenDebt {
				debts++
			}
			return ctx
		}
		for range 2 { // the first takes the token, the second has a half
			_ = retry.Do(t.Context(), p, func(context.Context) error { return errDown })
		}
	}
	if debts < 50 || debts > 150 {
		t.Errorf("%d of 200 retries with half a token went into debt", debts)
	}
	synctest.Test(t, func(t *testing.T) {
		cl := newCluster()
		cl.service.OpenLoans(true)
		cl.service.WakeForLoans(func() {
			if p := cl.service.Purse(); p != nil {
				p.Borrow(0, coord.TokenUnit)
			}
		})
		p := retry.Policy{MaxAttempts: 2, Budget: retry.NewBudget(retry.BudgetConfig{Service: "svc", Cluster: cl, Ratio: 1e-9})}
		p.Hooks.AttemptStart = func(ctx context.Context, a retry.Attempt) context.Context {
			if a.Token == retry.TokenAwaited {
				awaited++
			}
			return ctx
		}
		for range 2 {
			_ = retry.Do(t.Context(), p, func(context.Context) error { return errDown })
		}
	})
	if awaited != 1 {
		t.Errorf("%d retries were paid by what came during the wait", awaited)
	}
}
