package retry_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

const ms = time.Millisecond

// deaf is an attempt that does not heed its context.
type deaf struct{ error }

// played is how a call went: when its attempts began, which numbers they had, and
// with what cause their contexts had ended when they returned.
type played struct {
	began   []time.Duration
	numbers []int
	causes  []error
	value   int // number of the attempt that the value is of
	took    time.Duration
	err     error
}

// play makes one call, whose n-th attempt goes as the n-th step says, each within
// the virtual time.
func play(ctx context.Context, p retry.Policy, steps ...step) (got played) {
	var mu sync.Mutex
	running := 0
	start := time.Now()
	got.value, got.err = retry.Value(ctx, p, func(ctx context.Context) (int, error) {
		n := coord.AttemptNumber(ctx)
		mu.Lock()
		running++
		i := len(got.began)
		got.began = append(got.began, time.Since(start))
		got.numbers = append(got.numbers, n)
		got.causes = append(got.causes, nil)
		mu.Unlock()
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			running--
			got.causes[i] = context.Cause(ctx)
		}()
		s := steps[min(n, len(steps))-1]
		if d, ok := s.err.(deaf); ok {
			time.Sleep(s.takes)
			return n, d.error
		}
		select {
		case <-time.After(s.takes):
			return n, s.err
		case <-ctx.Done():
			return n, ctx.Err()
		}
	})
	got.took = time.Since(start)
	if running > 0 {
		panic("the call has returned before its attempts")
	}
	return got
}

// hedged is a policy with a hedge after 10 ms, no waits and a budget of ten.
func hedged() retry.Policy {
	return retry.Policy{
		BaseDelay: -1,
		Budget:    retry.NewBudget(retry.BudgetConfig{Ratio: -1}),
		Hedge:     &retry.Hedge{Delay: 10 * ms},
	}
}

func TestHedgeTimelines(t *testing.T) {
	millis := func(n int) time.Duration { return time.Duration(n) * ms }
	fails := func(takes int, err error) step { return step{millis(takes), err} }
	well := func(takes int) step { return fails(takes, nil) }
	at := func(list ...int) (times []time.Duration) {
		for _, n := range list {
			times = append(times, millis(n))
		}
		return times
	}
	other, permanent := errors.New("other"), retry.Permanent(errDown)
	for _, tc := range []struct {
		name     string
		max      int
		deadline int // of the caller, in ms
		timeout  int // of an attempt, in ms
		steps    []step
		began    []time.Duration
		took     int // in ms
		value    int
		sent     int // by the Error; 0: none
		spent    float64
		is       error
	}{
		{name: "in time", steps: []step{well(9)}, began: at(0), took: 9, value: 1},
		{name: "the first wins", steps: []step{well(15), well(50)}, began: at(0, 10), took: 15, value: 1, spent: 1},
		{name: "the hedge wins", steps: []step{well(50), well(5)}, began: at(0, 10), took: 15, value: 2, spent: 1},
		{name: "a deaf loser is waited for", steps: []step{fails(50, deaf{}), well(5)}, began: at(0, 10), took: 50, value: 2, spent: 1},
		{name: "a deaf hedge too", steps: []step{well(15), fails(60, deaf{errDown})}, began: at(0, 10), took: 70, value: 1, spent: 1},
		{name: "the first fails", steps: []step{fails(15, errDown), well(20)}, began: at(0, 10), took: 30, value: 2, spent: 1},
		{name: "the hedge fails", steps: []step{well(30), fails(5, errDown)}, began: at(0, 10), took: 30, value: 1, spent: 1},
		{name: "both fail, then a retry", steps: []step{fails(15, errDown), fails(10, errDown), well(1)},
			began: at(0, 10, 20), took: 21, value: 3, spent: 2},
		{name: "all fail", steps: []step{fails(15, errDown), fails(1, errDown), fails(1, other)},
			began: at(0, 10, 15), took: 16, value: 3, sent: 3, spent: 2, is: other},
		{name: "the hedge is one of two", max: 2, steps: []step{fails(15, errDown), fails(10, other)},
			began: at(0, 10), took: 20, value: 2, sent: 2, spent: 1, is: other},
		{name: "the later error counts", max: 2, steps: []step{fails(25, errDown), fails(10, other)},
			began: at(0, 10), took: 25, value: 1, sent: 2, spent: 1, is: errDown},
		{name: "one attempt", max: -1, steps: []step{well(30)}, began: at(0), took: 30, value: 1},
		{name: "the hedge fails for good", steps: []step{well(50), fails(5, permanent)},
			began: at(0, 10), took: 15, value: 2, sent: 2, spent: 1, is: errDown},
		{name: "the first fails for good", steps: []step{fails(15, permanent), well(50)},
			began: at(0, 10), took: 15, value: 1, sent: 2, spent: 1, is: errDown},
		{name: "a success all the same", steps: []step{fails(50, deaf{}), fails(5, permanent)},
			began: at(0, 10), took: 50, value: 1, spent: 1},
		{name: "failed before the delay", steps: []step{fails(5, errDown), well(50)}, began: at(0, 5), took: 55, value: 2, spent: 1},
		{name: "the hedge is refused", steps: []step{well(30), fails(0, refusal{})}, began: at(0, 10), took: 30, value: 1},
		{name: "the hedge is refused and the first fails", steps: []step{fails(30, permanent), fails(0, refusal{})},
			began: at(0, 10), took: 30, value: 1, sent: 1, is: errDown},
		{name: "the first is refused", steps: []step{fails(15, refusal{}), fails(10, permanent)},
			began: at(0, 10), took: 20, value: 2, sent: 1, spent: 1, is: errDown},
		{name: "both are refused", steps: []step{fails(15, refusal{}), fails(10, refusal{})},
			began: at(0, 10), took: 20, value: 1, is: refusal{}},
		{name: "the first times out", timeout: 20, steps: []step{well(50), well(15)}, began: at(0, 10), took: 25, value: 2, spent: 1},
		{name: "both time out", timeout: 20, max: 2, steps: []step{well(50)},
			began: at(0, 10), took: 30, value: 2, sent: 2, spent: 1, is: context.DeadlineExceeded},
		{name: "deadline of both", deadline: 12, steps: []step{well(50)},
			began: at(0, 10), took: 12, sent: 2, spent: 1, is: context.DeadlineExceeded},
		{name: "deadline before the delay", deadline: 8, steps: []step{well(50)},
			began: at(0), took: 8, value: 1, sent: 1, is: context.DeadlineExceeded},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := hedged()
				p.MaxAttempts, p.AttemptTimeout = tc.max, millis(tc.timeout)
				ctx := t.Context()
				if tc.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, millis(tc.deadline))
					defer cancel()
				}
				got := play(ctx, p, tc.steps...)
				if !slices.Equal(got.began, tc.began) || got.took != millis(tc.took) {
					t.Errorf("attempts at %v, done after %v; want %v, %vms", got.began, got.took, tc.began, tc.took)
				}
				if got.value != tc.value && tc.value > 0 || (got.err != nil) != (tc.is != nil) || !errors.Is(got.err, tc.is) {
					t.Errorf("the value is of attempt %d, %v; want %d, %v", got.value, got.err, tc.value, tc.is)
				}
				var e *retry.Error
				if errors.As(got.err, &e) != (tc.sent > 0) || e != nil && e.Attempts != tc.sent {
					t.Errorf("the error is %#v; want one of %d attempts", got.err, tc.sent)
				}
				if got := p.Budget.Stats().Spent; got != tc.spent {
					t.Errorf("%v tokens spent, want %v", got, tc.spent)
				}
			})
		})
	}
}

// Whoever loses is cancelled, with a cause that says so; whoever fails by itself
// is not.
func TestLoserIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range []struct {
			steps []step
			lost  int // number of the attempt cancelled; 0 none
		}{
			{[]step{{50 * ms, nil}, {5 * ms, nil}}, 1},
			{[]step{{15 * ms, nil}, {50 * ms, nil}}, 2},
			{[]step{{15 * ms, errDown}, {20 * ms, nil}}, 0},
			{[]step{{30 * ms, nil}, {5 * ms, errDown}}, 0},
			{[]step{{50 * ms, nil}, {5 * ms, retry.Permanent(errDown)}}, 1},
		} {
			got := play(t.Context(), hedged(), tc.steps...)
			for i, cause := range got.causes {
				if superseded := errors.Is(cause, retry.ErrSuperseded); superseded != (i+1 == tc.lost) {
					t.Errorf("%v: the context of attempt %d ended by %v", tc.steps, i+1, cause)
				}
				if cause != nil && !errors.Is(cause, context.Canceled) {
					t.Errorf("%v is no cancellation", cause)
				}
			}
			if errors.Is(got.err, retry.ErrSuperseded) {
				t.Errorf("the caller is told %v", got.err)
			}
		}
	})
}

func TestHedgedCallIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, when := range []time.Duration{5 * ms, 15 * ms} {
			p := hedged()
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(when, cancel)
			got := play(ctx, p, step{time.Minute, nil})
			attempts := 1
			if when > 10*ms {
				attempts = 2
			}
			var e *retry.Error
			if !errors.As(got.err, &e) || e.Attempts != attempts || !errors.Is(got.err, context.Canceled) || got.took != when {
				t.Errorf("cancelled after %v: %v after %v", when, got.err, got.took)
			}
		}
	})
}

// Where there is to be no hedge nothing else changes.
func TestNoHedge(t *testing.T) {
	cl := newCluster()
	e := cl.service.Endpoint("a")
	restricted := func(m retry.Mode) func(*retry.Policy) {
		return func(p *retry.Policy) {
			e.Publish(coord.Advice{Phi: coord.PhiFull, Mode: m})
			p.Budget = retry.NewBudget(retry.BudgetConfig{Service: "svc", Cluster: cl, Burst: 5})
		}
	}
	for _, tc := range []struct {
		name   string
		change func(*retry.Policy)
		ctx    func(context.Context) context.Context
		hedged bool
	}{
		{name: "hedged", hedged: true},
		{name: "no budget, a given delay", change: func(p *retry.Policy) { p.Budget = nil }, hedged: true},
		{name: "no budget, no delay", change: func(p *retry.Policy) { p.Budget, p.Hedge = nil, &retry.Hedge{} }},
		{name: "nothing known", change: func(p *retry.Policy) { p.Hedge = &retry.Hedge{} }},
		{name: "negative", change: func(p *retry.Policy) { p.Hedge = &retry.Hedge{Delay: -1} }},
		{name: "an empty budget", change: func(p *retry.Policy) {
			p.Budget = retry.NewBudget(retry.BudgetConfig{Ratio: -1, Burst: -1})
		}},
		{name: "all well", change: restricted(retry.ModeAll), hedged: true},
		{name: "only what was earned", change: restricted(retry.ModeRatio)},
		{name: "retries off", change: restricted(retry.ModeNone)},
		{name: "marked", ctx: retry.WithoutHedge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, ctx := hedged(), t.Context()
				if tc.change != nil {
					tc.change(&p)
				}
				if tc.ctx != nil {
					ctx = tc.ctx(ctx)
				}
				before := p.Budget.Stats().Spent
				got := play(ctx, p, step{50 * ms, nil}, step{60 * ms, nil})
				if got.err != nil || got.value != 1 || got.took != 50*ms || len(got.began) > 1 != tc.hedged {
					t.Errorf("%+v; want it hedged %v", got, tc.hedged)
				}
				if spent := p.Budget.Stats().Spent - before; spent != 0 && !tc.hedged {
					t.Errorf("%v tokens spent for nothing", spent)
				}
			})
		})
	}
}

func TestHedgeBelowARetryCostsDouble(t *testing.T) {
	for previous, want := range []float64{3, 2} {
		synctest.Test(t, func(t *testing.T) {
			b := retry.NewBudget(retry.BudgetConfig{Ratio: -1, Burst: 4})
			p := retry.Policy{Budget: b, Hedge: &retry.Hedge{Delay: 10 * time.Millisecond}}
			err := retry.Do(retry.WithPrevious(t.Context(), previous), p, func(ctx context.Context) error {
				select {
				case <-time.After(time.Second):
				case <-ctx.Done():
				}
				return nil
			})
			if got := b.Tokens(); err != nil || got != want {
				t.Errorf("after %d attempts further up: %v tokens left, want %v; %v", previous, got, want, err)
			}
		})
	}
}
