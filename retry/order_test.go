package retry_test

import (
	"context"
	"testing"

	"pgregory.net/rapid"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

// TestOrdersMintNothing: whatever operators order, and however often they change their
// minds, there are no more retries than first tries have earned (guarantee G1).
func TestOrdersMintNothing(t *testing.T) {
	kinds := []coord.OverrideKind{0, coord.Freeze, coord.ForceClosed, coord.ForceOpen, coord.RetriesOff, coord.Drain, coord.Prefer}
	rapid.Check(t, func(t *rapid.T) {
		const ratio, most, debt = .5, 2, 1
		cl := newCluster()
		e := cl.service.Endpoint("a")
		p := retry.Policy{MaxAttempts: 4, BaseDelay: -1, Budget: retry.NewBudget(retry.BudgetConfig{Service: "svc", Cluster: cl, Ratio: ratio, Burst: most})}
		attempts, calls := 0, 0
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if kind := rapid.SampledFrom(kinds).Draw(t, "order"); rapid.Bool().Draw(t, "changes") {
				a := coord.Advice{Phi: coord.Phi(rapid.Uint16Min(1).Draw(t, "phi")), Mode: coord.Mode(rapid.IntRange(0, 2).Draw(t, "mode")), Source: coord.SourceCluster}
				var o coord.Orders
				switch x := (&coord.Override{Kind: kind}); kind {
				case 0:
				case coord.RetriesOff:
					o.Retries = x
				case coord.Drain, coord.Prefer:
					o.Routing = x
				default:
					o.Admission = x
				}
				e.Publish(o.Apply(a, coord.Advice{Phi: coord.PhiFull}, coord.Now()).Numbered(e.Advice()))
			}
			calls++
			_ = retry.Do(t.Context(), p, func(context.Context) error { attempts++; return errDown })
		}
		if retries := attempts - calls; float64(retries) > ratio*float64(calls)+most+debt {
			t.Fatalf("%d retries of %d first tries", retries, calls)
		}
	})
}
