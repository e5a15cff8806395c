package retry_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/race"
	"github.com/murmuration-go/murmuration/retry"
)

// ends runs a hedged call whose attempts end as told, the other one running until
// it is cancelled, and returns what was recovered and whether the call's goroutine
// went on.
func ends(t *testing.T, attempt int, how func()) (recovered any, wentOn bool) {
	t.Helper()
	running := 0
	var mu sync.Mutex
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			if running > 0 {
				t.Errorf("%d attempts are still running", running)
			}
		}()
		defer func() { recovered = recover() }()
		_ = retry.Do(t.Context(), hedged(), func(ctx context.Context) error {
			mu.Lock()
			running++
			mu.Unlock()
			defer func() {
				mu.Lock()
				running--
				mu.Unlock()
			}()
			if coord.AttemptNumber(ctx) == attempt {
				time.Sleep(15 * ms)
				how()
			}
			<-ctx.Done()
			time.Sleep(ms)
			return ctx.Err()
		})
		wentOn = true
	}()
	<-done
	return recovered, wentOn
}

// A panic reaches the caller's goroutine, whichever attempt it was, once the
// other has ended; and so does runtime.Goexit.
func TestPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boom := errors.New("boom")
		got, wentOn := ends(t, 1, func() { panic(boom) })
		if got != boom || wentOn {
			t.Errorf("a panic of the first attempt is recovered as %v", got)
		}
		got, wentOn = ends(t, 2, func() { panic(boom) })
		err, ok := got.(error)
		if !ok || wentOn || !errors.Is(err, boom) || !strings.Contains(err.Error(), "boom") || !strings.Contains(err.Error(), "race_test.go") {
			t.Errorf("a panic of the hedge is recovered as %v", got)
		}
		if got, _ := ends(t, 2, func() { panic("no error") }); !strings.HasPrefix(fmt.Sprint(got), "no error\n") || errors.Unwrap(got.(error)) != nil {
			t.Errorf("a panic of the hedge is recovered as %v", got)
		}
		for _, attempt := range []int{1, 2} {
			if got, wentOn := ends(t, attempt, runtime.Goexit); got != nil || wentOn {
				t.Errorf("attempt %d ended its goroutine: recovered %v, went on %v", attempt, got, wentOn)
			}
		}
	})
}

// drive makes a hedged call by hand, whose attempts take 50 ms.
func drive(ctx context.Context, p *retry.Policy, to func() retry.Route) retry.Call {
	c := retry.Begin(p)
	_, _, _ = retry.Hedged(ctx, &c, nil, to, func(context.Context, *retry.Call) (int, error) {
		time.Sleep(50 * ms)
		return 0, nil
	})
	return c
}

// A hedge that comes to nothing costs nothing: one that is decided on too late,
// and one that would not fit the deadline.
func TestHedgeIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedged()
		slow := func() retry.Route { time.Sleep(time.Second); return retry.Route{} }
		if c := drive(t.Context(), &p, slow); c.Number() != 1 || c.Sent() != 0 {
			t.Errorf("too late: attempt %d, %d sent", c.Number(), c.Sent())
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*ms)
		defer cancel()
		if c := drive(ctx, &p, func() retry.Route { return retry.Route{Latency: 90 * ms} }); c.Number() != 1 {
			t.Error("it was sent although what the endpoint takes does not fit")
		}
		if got := p.Budget.Stats(); got.Spent != 0 || got.Tokens != 10 {
			t.Errorf("%v tokens spent, %v left", got.Spent, got.Tokens)
		}
		ctx, cancel = context.WithTimeout(t.Context(), 100*ms)
		defer cancel()
		if c := drive(ctx, &p, func() retry.Route { return retry.Route{Latency: 89 * ms} }); c.Number() != 2 || c.Sent() != 1 {
			t.Errorf("it fits: attempt %d, %d sent beside the one that counts", c.Number(), c.Sent())
		}
	})
}

// With less than a token a coin decides, and the debt is repaid first; so the
// bound is that of retries.
func TestHedgesAreBoundedByTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedged()
		p.Budget = retry.NewBudget(retry.BudgetConfig{Ratio: .1, Burst: 2})
		hedges := 0
		for range 1000 {
			hedges += len(play(t.Context(), p, step{50 * ms, nil}).began) - 1
		}
		if hedges < 90 || hedges > 103 {
			t.Errorf("1000 slow calls were hedged %d times, want about 100", hedges)
		}
	})
}

// Without a given delay, it is what 95 % of first attempts take: of those that
// succeeded, and of those that were cut off by a hedge, which would have taken
// longer than they did.
func TestHedgeAfterTheObservedTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedged()
		p.Hedge = &retry.Hedge{}
		p.Budget = retry.NewBudget(retry.BudgetConfig{Ratio: 1, Burst: 1e6})
		for i := range 65 {
			if got := play(t.Context(), p, step{20 * ms, nil}, step{time.Second, nil}); len(got.began) > 1 {
				t.Fatalf("call %d was hedged", i)
			}
		}
		got := play(t.Context(), p, step{80 * ms, nil}, step{time.Second, nil})
		if !slices.Equal(got.began, []time.Duration{0, 20 * ms}) {
			t.Errorf("attempts at %v, want the hedge after 20 ms", got.began)
		}
		// Every tenth is slow, and its hedge wins: the delay rises towards where
		// one in twenty is hedged, which is beyond what the others take.
		late := 0
		for i := range 4000 {
			first := step{20 * ms, nil}
			if i%10 == 0 {
				first.takes = 500 * ms
			}
			if got = play(t.Context(), p, first, step{20 * ms, nil}); i >= 3000 && got.took > 60*ms {
				late++
			}
		}
		if late < 20 {
			t.Errorf("%d of a hundred slow calls waited long for their hedge; the delay did not rise", late)
		}
	})
}

func TestShortestObservedDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedged()
		p.Hedge = &retry.Hedge{}
		for range 65 {
			play(t.Context(), p, step{ms / 10, nil})
		}
		if got := play(t.Context(), p, step{50 * ms, nil}); len(got.began) < 2 || got.began[1] != ms {
			t.Errorf("attempts at %v, want the hedge after 1 ms", got.began)
		}
		p.Hedge = &retry.Hedge{Delay: ms / 4} // as it is given
		if got := play(t.Context(), p, step{50 * ms, nil}); len(got.began) < 2 || got.began[1] != ms/4 {
			t.Errorf("attempts at %v, want the hedge after .25 ms", got.began)
		}
	})
}

// closer is a value that must be closed.
type closer struct{ closed int }

func (c *closer) Close() error { c.closed++; return nil }

// A success that nobody sees is closed, what came with an error is not, as ever.
func TestLosingValueIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range []struct {
			first error
			want  [2]int
		}{{nil, [2]int{1, 0}}, {errDown, [2]int{0, 0}}} {
			var made [2]closer
			got, err := retry.Value(t.Context(), hedged(), func(ctx context.Context) (*closer, error) {
				n := coord.AttemptNumber(ctx)
				if n == 1 {
					time.Sleep(50 * ms) // deaf, and succeeds although it has lost
					return &made[0], tc.first
				}
				return &made[1], nil
			})
			if err != nil || got != &made[1] || [2]int{made[0].closed, made[1].closed} != tc.want {
				t.Errorf("got %p, %v; closed %+v", got, err, made)
			}
		}
	})
}

// The hooks of both attempts are told, and a hedge is told by how long it came
// after the first.
func TestHooksOfAHedge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []string
		tell := func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, fmt.Sprintf(format, args...))
		}
		p := hedged()
		p.Hooks = retry.Hooks{
			AttemptStart: func(ctx context.Context, a retry.Attempt) context.Context {
				tell("begin %d %v", a.Number, a.HedgedAfter)
				return ctx
			},
			AttemptEnd: func(ctx context.Context, a retry.Attempt, err error) {
				tell("end %d %v %v %v", a.Number, a.HedgedAfter, err, context.Cause(ctx))
			},
			CallEnd: func(_ context.Context, c retry.CallInfo) { tell("call %d %v %v", c.Attempts, c.Err, c.Took) },
		}
		play(t.Context(), p, step{50 * ms, nil}, step{5 * ms, nil})
		if want := []string{
			"begin 1 0s", "begin 2 10ms", "end 2 10ms <nil> <nil>",
			"end 1 0s context canceled " + retry.ErrSuperseded.Error(), "call 2 <nil> 15ms",
		}; !slices.Equal(told, want) {
			t.Errorf("told\n%q, want\n%q", told, want)
		}
	})
}

// What a call allocates: without a Hedge as ever, the Policy alone; with one and
// fast enough, no goroutine.
func TestHedgeAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	ctx := t.Context()
	for _, tc := range []struct {
		name  string
		hedge *retry.Hedge
		most  float64
	}{{"none", nil, 1}, {"learning", &retry.Hedge{}, 12}, {"fast", &retry.Hedge{Delay: time.Hour}, 12}} {
		p := hedged()
		p.Hedge = tc.hedge
		if n := testing.AllocsPerRun(500, func() { _ = retry.Do(ctx, p, func(context.Context) error { return nil }) }); n > tc.most {
			t.Errorf("%s: %v allocations, want %v at most", tc.name, n, tc.most)
		}
	}
}
