package retry_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/murmuration-go/murmuration/retry"
)

// fields lists the fields that a joined error complains of.
func fields(err error) (names []string) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			names = append(names, fields(e)...)
		}
		return names
	}
	var e *retry.ConfigError
	if errors.As(err, &e) {
		names = append(names, e.Field)
	}
	return names
}

func TestPolicyFaults(t *testing.T) {
	for _, tc := range []struct {
		policy retry.Policy
		want   []string
	}{
		{retry.Policy{}, nil},
		{retry.Policy{MaxAttempts: -1, BaseDelay: -1}, nil},
		{retry.Policy{AttemptTimeout: -1, MaxDelay: -1}, []string{"Policy.AttemptTimeout", "Policy.MaxDelay"}},
		{retry.Policy{BaseDelay: 2, MaxDelay: 1}, []string{"Policy.BaseDelay"}},
		{retry.Policy{Hedge: &retry.Hedge{}, AttemptTimeout: 1}, nil},
		{retry.Policy{Hedge: &retry.Hedge{Delay: 1}, MaxAttempts: 2, AttemptTimeout: 2}, nil},
		{retry.Policy{Hedge: &retry.Hedge{Delay: -1}, MaxAttempts: 1}, []string{"Policy.Hedge.Delay", "Policy.Hedge"}},
		{retry.Policy{Hedge: &retry.Hedge{Delay: 2}, AttemptTimeout: 2}, []string{"Policy.Hedge.Delay"}},
	} {
		if got := fields(tc.policy.Validate()); !slices.Equal(got, tc.want) {
			t.Errorf("%+v: faults in %q, want %q", tc.policy, got, tc.want)
		}
	}
}

func TestBudgetFaults(t *testing.T) {
	long := strings.Repeat("x", 65)
	for _, tc := range []struct {
		config retry.BudgetConfig
		want   []string
	}{
		{retry.BudgetConfig{}, nil},
		{retry.BudgetConfig{Ratio: -1, Burst: -1, Stipend: math.Inf(-1)}, nil},
		{retry.BudgetConfig{Cluster: (*oneService)(nil)}, nil}, // a nil pointer is no cluster
		{retry.BudgetConfig{Cluster: newCluster()}, []string{"BudgetConfig.Service"}},
		{retry.BudgetConfig{Service: long, Ratio: math.NaN(), Burst: math.Inf(1), Stipend: 1e7, MaxMembers: -2},
			[]string{"BudgetConfig.Service", "BudgetConfig.Ratio", "BudgetConfig.Burst", "BudgetConfig.Stipend", "BudgetConfig.MaxMembers"}},
	} {
		err := tc.config.Validate()
		if got := fields(err); !slices.Equal(got, tc.want) {
			t.Errorf("faults in %q, want %q", got, tc.want)
		}
		for _, name := range tc.want {
			if !strings.Contains(err.Error(), "retry: "+name+" ") {
				t.Errorf("%q does not name %s", err, name)
			}
		}
		func() {
			defer func() {
				if got := recover(); (got != nil) != (tc.want != nil) {
					t.Errorf("NewBudget with faults in %q panicked with %v", tc.want, got)
				}
			}()
			retry.NewBudget(tc.config)
		}()
	}
}
