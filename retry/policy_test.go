package retry_test

import (
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

// A default and the same number given tell the same, and functions tell nothing.
func TestPolicyText(t *testing.T) {
	for _, c := range []struct {
		text   string
		policy []retry.Policy
	}{
		{"attempts 3 backoff 10ms to 2s timeout 0s hedge never", []retry.Policy{
			{}, {MaxAttempts: 3, BaseDelay: 10 * time.Millisecond, MaxDelay: 2 * time.Second},
			{Budget: retry.NewBudget(retry.BudgetConfig{}), Retryable: func(error) bool { return false }},
		}},
		{"attempts 1 backoff 0s to 0s timeout 1s hedge never", []retry.Policy{
			{MaxAttempts: -1, BaseDelay: -1, AttemptTimeout: time.Second}, {MaxAttempts: 1, BaseDelay: -2, AttemptTimeout: time.Second},
		}},
		{"attempts 3 backoff 10ms to 2s timeout 0s hedge after p95", []retry.Policy{{Hedge: &retry.Hedge{}}}},
		{"attempts 3 backoff 10ms to 2s timeout 0s hedge after 30ms", []retry.Policy{{Hedge: &retry.Hedge{Delay: 30 * time.Millisecond}}}},
	} {
		for _, p := range c.policy {
			if got := p.String(); got != c.text {
				t.Errorf("%q, want %q", got, c.text)
			}
		}
	}
}

func TestBudgetTellsItsPolicy(t *testing.T) {
	tell := func(c retry.BudgetConfig) uint32 {
		s := coord.NewService("svc")
		c.Service, c.Cluster = "svc", &oneService{service: s}
		retry.NewBudget(c)
		return s.Policy()
	}
	plain := tell(retry.BudgetConfig{})
	if plain == 0 || plain != tell(retry.BudgetConfig{Ratio: .1, Stipend: 10, Hooks: retry.BudgetHooks{Made: func(string, *retry.Budget) {}}}) {
		t.Error("defaults tell something else than the same numbers")
	}
	for _, c := range []retry.BudgetConfig{{Ratio: .2}, {Burst: 1}, {Stipend: -1}, {MaxMembers: 9}} {
		if tell(c) == plain {
			t.Errorf("ratio %v, burst %v, stipend %v, members %d tell nothing", c.Ratio, c.Burst, c.Stipend, c.MaxMembers)
		}
	}
}
