package retry_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

// verdict is a refusal that holds for all members.
type verdict struct{ refusal }

func (verdict) ByVerdict() bool { return true }

// local is a refusal by a breaker of this process.
type local struct{ refusal }

func (local) ByVerdict() bool { return false }

// previous returns the numbers that the attempts of a call would send.
func previous(ctx context.Context, attempts int) (numbers []int) {
	p := retry.Policy{MaxAttempts: attempts, BaseDelay: -1}
	_ = retry.Do(ctx, p, func(ctx context.Context) error {
		numbers = append(numbers, retry.Previous(ctx))
		return errDown
	})
	return numbers
}

func TestNumberOfEarlierAttempts(t *testing.T) {
	ctx := t.Context()
	with := retry.WithPrevious
	for _, tc := range []struct {
		name string
		ctx  context.Context
		want []int
	}{
		{"nothing told", ctx, []int{0, 1, 2}},
		{"none before", with(ctx, 0), []int{0, 1, 2}},
		{"two before", with(ctx, 2), []int{2, 3, 4}},
		{"up to ten", with(ctx, 9), []int{9, 10, 10}},
		{"clamped", with(ctx, 1<<40), []int{10, 10, 10}},
		{"negative", with(ctx, -3), []int{0, 1, 2}},
		{"the larger one counts", with(with(ctx, 2), 1), []int{2, 3, 4}},
		{"whichever comes first", with(with(ctx, 1), 2), []int{2, 3, 4}},
		{"values below are found", context.WithValue(with(ctx, 1), verdict{}, "x"), []int{1, 2, 3}},
		{"values above too", with(context.WithValue(ctx, verdict{}, "x"), 1), []int{1, 2, 3}},
	} {
		if got := previous(tc.ctx, 3); !slices.Equal(got, tc.want) {
			t.Errorf("%s: attempts tell %v, want %v", tc.name, got, tc.want)
		}
	}
	if retry.Previous(ctx) != 0 || retry.Previous(with(ctx, 3)) != 3 {
		t.Error("a request that is being served does not have its number")
	}
}

// A call within an attempt of another one is a tier of its own.
func TestNestedCallsAdd(t *testing.T) {
	var got [][]int
	p := retry.Policy{MaxAttempts: 2, BaseDelay: -1}
	_ = retry.Do(retry.WithPrevious(t.Context(), 1), p, func(ctx context.Context) error {
		got = append(got, previous(ctx, 2))
		return errDown
	})
	if len(got) != 2 || !slices.Equal(got[0], []int{1, 2}) || !slices.Equal(got[1], []int{2, 3}) {
		t.Errorf("attempts tell %v, want [[1 2] [2 3]]", got)
	}
}

// Of six tokens a call takes two for two retries, and four below a retry.
func TestRetriesBelowARetryCostDouble(t *testing.T) {
	b := retry.NewBudget(retry.BudgetConfig{Burst: 6, Ratio: -1})
	p := retry.Policy{Budget: b, BaseDelay: -1}
	for _, step := range []struct {
		ctx  context.Context
		left float64
	}{
		{retry.WithPrevious(t.Context(), 1), 2},
		{retry.WithPrevious(t.Context(), 0), 0},
	} {
		_ = retry.Do(step.ctx, p, func(context.Context) error { return errDown })
		if got := b.Tokens(); got != step.left {
			t.Fatalf("%v tokens are left, want %v", got, step.left)
		}
	}
	if got := b.Stats().Spent; got != 6 {
		t.Errorf("%v tokens spent, want 6", got)
	}
}

// A token of double price that was not used is given back whole.
func TestDoubleIsGivenBack(t *testing.T) {
	b := retry.NewBudget(retry.BudgetConfig{Burst: 6, Ratio: -1})
	n := 0
	_ = retry.Do(retry.WithPrevious(t.Context(), 1), retry.Policy{Budget: b, BaseDelay: -1}, func(context.Context) error {
		if n++; n > 1 {
			return refusal{}
		}
		return errDown
	})
	if got := b.Tokens(); n != 2 || got != 6 {
		t.Errorf("%v tokens are left after %d attempts, want 6 after 2", got, n)
	}
}

func TestWhatDiscouragesTheTierAbove(t *testing.T) {
	empty := func() *retry.Budget { return retry.NewBudget(retry.BudgetConfig{Burst: -1, Ratio: -1}) }
	off := func() *retry.Budget {
		cl := newCluster()
		cl.service.Endpoint("a").Publish(coord.Advice{Phi: coord.PhiFull, Mode: coord.RetryNone})
		return retry.NewBudget(retry.BudgetConfig{Service: "svc", Cluster: cl})
	}
	second := func(err error) func(int) error {
		return func(n int) error {
			if n > 1 {
				return err
			}
			return errDown
		}
	}
	always := func(err error) func(int) error { return func(int) error { return err } }
	for _, tc := range []struct {
		name   string
		budget *retry.Budget
		answer func(attempt int) error
		want   bool
	}{
		{"success", nil, always(nil), false},
		{"success in the end", nil, second(nil), false},
		{"attempts used up", nil, always(errDown), false},
		{"permanent", nil, always(retry.Permanent(errDown)), false},
		{"no budget", empty(), always(errDown), true},
		{"no budget, but no retry wanted", empty(), always(retry.Permanent(errDown)), false},
		{"retries off", off(), always(errDown), true},
		{"refused", nil, always(refusal{}), false},
		{"refused by a local breaker", nil, always(local{}), false},
		{"refused by verdict", nil, always(verdict{}), true},
		{"retry refused by a local breaker", nil, second(local{}), false},
		{"retry refused by verdict", nil, second(verdict{}), true},
		{"told so", nil, always(retry.After(errDown, -1)), true},
		{"told so at last", nil, second(retry.After(errDown, -1)), true},
		{"told to wait", nil, second(retry.After(errDown, time.Nanosecond)), false},
	} {
		ctx := retry.WithPrevious(t.Context(), 0)
		n := 0
		p := retry.Policy{MaxAttempts: 2, BaseDelay: -1, Budget: tc.budget}
		err := retry.Do(ctx, p, func(context.Context) error { n++; return tc.answer(n) })
		if got := retry.Discouraged(ctx); got != tc.want {
			t.Errorf("%s: discouraged %v, want %v (%v)", tc.name, got, tc.want, err)
		}
	}
}

// What the group gives as the reason of a retry that cannot be is judged too.
func TestRouteThatIsOff(t *testing.T) {
	p := retry.Policy{BaseDelay: -1}
	for _, tc := range []struct {
		off  error
		want bool
	}{{nil, true}, {verdict{}, true}, {local{}, false}, {errors.New("by order"), false}} {
		ctx := retry.WithPrevious(t.Context(), 0)
		c := retry.Begin(&p)
		if c.Next(ctx, errDown, retry.Route{Mode: retry.ModeNone, Off: tc.off}) || retry.Discouraged(ctx) != tc.want {
			t.Errorf("off by %v: discouraged %v, want %v", tc.off, retry.Discouraged(ctx), tc.want)
		}
	}
}

// A client that has gone is told nothing.
func TestGoneIsNotDiscouraged(t *testing.T) {
	ctx, cancel := context.WithCancel(retry.WithPrevious(t.Context(), 0))
	_ = retry.Do(ctx, retry.Policy{}, func(context.Context) error { cancel(); return retry.After(errDown, -1) })
	if retry.Discouraged(ctx) {
		t.Error("discouraged by a call that the caller ended")
	}
}

// However a request's contexts are nested, its server hears of it.
func TestDiscourageReachesTheServer(t *testing.T) {
	outer := retry.WithPrevious(t.Context(), 0)
	inner := retry.WithPrevious(outer, 1)
	_ = retry.Do(inner, retry.Policy{BaseDelay: -1, MaxAttempts: 2}, func(ctx context.Context) error {
		if retry.Previous(ctx) == 2 { // within the retry
			retry.Discourage(ctx)
		}
		return errDown
	})
	if !retry.Discouraged(outer) || !retry.Discouraged(inner) {
		t.Errorf("outer %v, inner %v; want both", retry.Discouraged(outer), retry.Discouraged(inner))
	}
	if fresh := retry.WithPrevious(t.Context(), 0); retry.Discouraged(fresh) {
		t.Error("another request is discouraged as well")
	}

	retry.Discourage(t.Context()) // nobody is being served
	_ = retry.Do(t.Context(), retry.Policy{BaseDelay: -1}, func(ctx context.Context) error {
		retry.Discourage(ctx)
		if retry.Discouraged(ctx) {
			t.Error("discouraged, and there is nobody to tell")
		}
		return errDown
	})
}

func TestTiersCostNothingWhileHealthy(t *testing.T) {
	p := retry.Policy{Budget: retry.NewBudget(retry.BudgetConfig{})}
	fn := func(context.Context) error { return nil }
	allocs := func(ctx context.Context) float64 {
		return testing.AllocsPerRun(500, func() { _ = retry.Do(ctx, p, fn) })
	}
	plain := allocs(t.Context())
	for n := range 2 {
		if got := allocs(retry.WithPrevious(t.Context(), n)); got != plain {
			t.Errorf("under a request with number %d a call allocates %v times, otherwise %v", n, got, plain)
		}
	}
	ctx := t.Context()
	if n := testing.AllocsPerRun(500, func() { ctx = retry.WithPrevious(t.Context(), 1) }); n != 1 {
		t.Errorf("a request's context takes %v allocations, want 1", n)
	}
	_ = ctx
}
