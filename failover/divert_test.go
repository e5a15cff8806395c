package failover_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

// room is advice on an endpoint elsewhere that takes a share of what fails at home.
func room(share float64) coord.Advice {
	a := allWell
	a.Sigma = coord.ShareOf(share)
	return a
}

// diversion is a call whose first try goes to a, of endpoints a, b and c.
type diversion struct {
	a, b, c coord.Advice
	down    []string
	went    []string
	ok      bool
	tokens  float64 // spent
}

// check makes the call: it is diverted at once and at no cost, and where it is not,
// it tells who refused it, or how often it was tried.
func (d diversion) check(t *testing.T, arrange func(*failover.Config)) {
	t.Helper()
	c, s := inCluster("a", "b", "c")
	c.Retry.BaseDelay, c.Budget = time.Second, retry.BudgetConfig{Ratio: -1, Burst: 10}
	arrange(&c)
	var from, to string
	c.Hooks.Diverted = func(_ context.Context, _, f, t string) { from, to = f, t }
	g := group(t, c)
	advise(s, "a", d.a)
	advise(s, "b", d.b)
	advise(s, "c", d.c)
	before := g.Explain().BudgetTokens
	start := time.Now()
	went, err := call(t, g, d.down...)
	if !slices.Equal(went, d.went) || (err == nil) != d.ok {
		t.Errorf("went to %q: %v; want %q, well %v", went, err, d.went, d.ok)
	}
	if spent := before - g.Explain().BudgetTokens; spent != d.tokens && d.a.Mode != coord.RetryNone {
		t.Errorf("%v tokens spent, want %v", spent, d.tokens)
	}
	diverted := d.tokens == 0 && (slices.Contains(went, "b") || slices.Contains(went, "c"))
	if diverted && (time.Since(start) > 0 || from != "a" || to != went[len(went)-1]) || !diverted && from != "" {
		t.Errorf("diverted from %q to %q after %v", from, to, time.Since(start))
	}
	var open *breaker.OpenError
	if len(d.went) == 0 && !d.ok && !errors.As(err, &open) {
		t.Errorf("refused by %v", err)
	}
	if len(d.went) > 0 && !d.ok {
		var e *retry.Error
		if !errors.As(err, &e) || e.Attempts != len(d.went) {
			t.Errorf("failed with %v", err)
		}
	}
}

// heard is advice by three stewards that are heard.
func heard(a coord.Advice) coord.Advice {
	a.Fresh, a.Lately, a.Planned = 3, true, true
	return a
}

// A call that fails or is dimmed at home makes one final attempt where there is
// room, the nearest first. Where there is none it stays.
func TestDiverted(t *testing.T) {
	dimmed, off, down := heard(dimmedOut), heard(retriesOff), []string{"a"}
	for name, d := range map[string]diversion{
		"all is well":                          {allWell, room(1), room(1), nil, []string{"a"}, true, 0},
		"fails at home":                        {allWell, room(1), room(1), down, []string{"a", "b"}, true, 0},
		"no room":                              {allWell, room(0), room(0), down, []string{"a", "a", "a"}, false, 2},
		"room further away only":               {allWell, room(0), room(1), down, []string{"a", "c"}, true, 0},
		"fails there too":                      {allWell, room(1), room(1), []string{"a", "b"}, []string{"a", "b"}, false, 0},
		"dimmed at home":                       {dimmed, room(1), room(1), nil, []string{"b"}, true, 0},
		"dimmed at home, no room":              {dimmed, room(0), room(0), nil, nil, false, 0},
		"dimmed at home, fails there":          {dimmed, room(1), room(1), []string{"b"}, []string{"b"}, false, 0},
		"retries are off at home":              {off, room(1), room(1), down, []string{"a", "b"}, true, 0},
		"retries are off at home, and no room": {off, room(0), room(0), down, []string{"a"}, false, 0},
		"the room is dimmed by now":            {allWell, dimmed, room(1), down, []string{"a", "c"}, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { d.check(t, func(*failover.Config) {}) })
		})
	}
}

// What fails at an endpoint that the cluster has found to be in trouble goes to
// another of its tier that has room; where the cluster finds nothing amiss a retry
// pays.
func TestSiblingsTakeOver(t *testing.T) {
	dimmed, off, down := heard(dimmedOut), heard(retriesOff), []string{"a"}
	for name, d := range map[string]diversion{
		"all is well":                {allWell, room(1), room(1), down, []string{"a", "b"}, true, 1},
		"in trouble":                 {off, room(1), room(1), down, []string{"a", "b"}, true, 0},
		"in trouble, room at c":      {off, room(0), room(1), down, []string{"a", "c"}, true, 0},
		"in trouble, no room":        {off, room(0), room(0), down, []string{"a"}, false, 0},
		"dimmed":                     {dimmed, room(1), room(1), down, []string{"b"}, true, 0},
		"dimmed, no room":            {dimmed, room(0), room(0), down, nil, false, 0},
		"in trouble, b is as well":   {off, dimmed, room(1), down, []string{"a", "c"}, true, 0},
		"in trouble, all the others": {off, dimmed, dimmed, down, []string{"a"}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { d.check(t, siblings) })
		})
	}
}

// As many calls are diverted as there is room for, and all that could be count as
// need.
func TestShareIsKept(t *testing.T) {
	c, s := inCluster("a", "b")
	g := group(t, c)
	advise(s, "a", retriesOff)
	advise(s, "b", room(.3))
	const n = 4000
	diverted := 0
	for range n {
		if went, _ := call(t, g, "a"); slices.Contains(went, "b") {
			diverted++
		}
	}
	if got, want := float64(diverted)/n, coord.ShareOf(.3).Float(); math.Abs(got-want) > 5*math.Sqrt(want*(1-want)/n) {
		t.Errorf("%.3f of the calls were diverted, want %.3f", got, want)
	}
	a, b := s.Endpoint("a").Sample(), s.Endpoint("b").Sample()
	if a.Flow.Need != n || a.Flow.Sent != n || b.Flow.Sent != uint64(diverted) || b.Totals.Demand != 0 || b.Totals.Retries != 0 {
		t.Errorf("counted %+v at home, %+v elsewhere", a, b)
	}
	if a.Place.Away || !b.Place.Away {
		t.Errorf("located at %+v and %+v", a.Place, b.Place)
	}
}

// What may not be sent again is not diverted, nor is what has no time left.
func TestNotDiverted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := inCluster("a", "b")
		g := group(t, c)
		advise(s, "a", allWell)
		advise(s, "b", room(1))
		went := 0
		err := g.Do(t.Context(), func(context.Context, failover.Endpoint) error {
			went++
			return retry.Permanent(errDown)
		})
		if went != 1 || !errors.Is(err, errDown) {
			t.Errorf("a permanent error: %d attempts, %v", went, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		went = 0
		err = g.Do(ctx, func(ctx context.Context, _ failover.Endpoint) error {
			went++
			<-ctx.Done()
			return errDown
		})
		if went != 1 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("no time left: %d attempts, %v", went, err)
		}
		if got := s.Endpoint("a").Sample().Flow.Need; got != 0 {
			t.Errorf("%d calls count as need", got)
		}
	})
}

// A member whose own breaker has opened stays at home until two stewards have seen
// others fare well since then; that they find nothing amiss is not enough. Then it
// moves itself.
func TestOwnPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Minute)
		c, s := inCluster("a", "b")
		g := group(t, c)
		well := allWell
		well.Well = coord.Now()
		well.WellFrom = well.Well
		advise(s, "a", well)
		advise(s, "b", allWell)
		trip(g, "a")
		time.Sleep(3 * time.Second) // the condition must hold for a while
		trip(g, "a")
		if !opened(t, g, "a") {
			t.Fatal("the breaker is not open")
		}
		stays := func(when string) {
			t.Helper()
			if went, err := call(t, g); len(went) > 0 || !errors.Is(err, breaker.ErrOpen) || s.Endpoint("a").OwnPathBroken() {
				t.Errorf("%s: went to %q, %v", when, went, err)
			}
		}
		stays("before the stewards have spoken")
		time.Sleep(time.Second)
		advise(s, "a", well)
		stays("who have found nothing amiss and seen nobody succeed")
		again := well
		again.Well = coord.Now()
		again.WellFrom = again.Well
		advise(s, "a", again)
		stays("who see others succeed again: these may have failed when it did")
		well.Well = coord.Now()
		advise(s, "a", well)
		wants(t, g, true, []string{"b"})
		if !s.Endpoint("a").OwnPathBroken() {
			t.Error("its own path is not told to be broken")
		}
		advise(s, "a", coord.Advice{Phi: coord.PhiFull}) // nobody is heard any more: as alone
		wants(t, g, true, []string{"b"})
	})
}

// A hedge at home does not keep a call at home: when both have failed it makes its
// attempt elsewhere, and counts as need.
func TestHedgedCallIsDiverted(t *testing.T) {
	for name, sigma := range map[string]float64{"room": 1, "no room": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := inCluster("a", "b")
				c.Retry.Hedge = &retry.Hedge{Delay: 10 * ms}
				g := group(t, c)
				advise(s, "a", allWell)
				advise(s, "b", room(sigma))
				went, from, _, err := hedgedCall(t.Context(), g, map[string]answer{"a": {15 * ms, errDown}, "b": {takes: ms}})
				want := []string{"a", "a", "b"}
				if sigma == 0 {
					want[2] = "a"
				}
				if !slices.Equal(went, want) || sigma > 0 && (err != nil || from != "b") {
					t.Errorf("went to %q, answered by %q: %v; want %q", went, from, err, want)
				}
				if need := s.Endpoint("a").Sample().Flow.Need; need != 1 {
					t.Errorf("counts as the need of %d calls", need)
				}
			})
		})
	}
}

// A call that is refused at one endpoint of its home and fails at the other is one
// call in need, and draws once.
func TestNeedIsCountedOnceACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := inCluster("a", "b", "c")
		siblings(&c)
		c.Endpoints[2].Priority = 1
		c.Retry.MaxAttempts = 1
		g := group(t, c)
		for _, e := range []string{"a", "b"} {
			advise(s, e, allWell)
		}
		advise(s, "c", room(.5))
		trip(g, "a")
		time.Sleep(3 * time.Second) // the condition must hold for a while
		trip(g, "a")
		const n = 4000
		diverted := 0
		for range n {
			if went, _ := call(t, g, "b"); slices.Contains(went, "c") {
				diverted++
			}
		}
		if need := s.Endpoint("a").Sample().Flow.Need + s.Endpoint("b").Sample().Flow.Need; need != n {
			t.Errorf("%d calls count as the need of %d", n, need)
		}
		if got, want := float64(diverted)/n, coord.ShareOf(.5).Float(); math.Abs(got-want) > 5*math.Sqrt(want*(1-want)/n) {
			t.Errorf("%.3f of the calls were diverted, want %.3f", got, want)
		}
	})
}

// Where a half-open breaker has its probe already, a diverted call is refused: it
// turns to the next endpoint with room, and without one goes on as if there had
// been none.
func TestDivertedCallIsRefusedByAHalfOpenBreaker(t *testing.T) {
	dimmed := dimmedOut
	dimmed.Fresh, dimmed.Lately, dimmed.Planned = 3, true, true
	for name, tc := range map[string]struct {
		a, c coord.Advice
		went []string
		ok   bool
	}{
		"fails at home":            {allWell, room(1), []string{"a", "c"}, true},
		"dimmed at home":           {dimmed, room(1), []string{"c"}, true},
		"fails at home, no room":   {allWell, room(0), []string{"a", "a", "a"}, false},
		"dimmed at home, no room":  {dimmed, room(0), nil, false},
		"fails at home, c refuses": {allWell, dimmed, []string{"a", "a", "a"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := inCluster("a", "b", "c")
				c.Breaker.OpenTimeout = time.Second
				var to []string
				c.Hooks.Diverted = func(_ context.Context, _, _, there string) { to = append(to, there) }
				g := group(t, c)
				advise(s, "a", allWell)
				advise(s, "b", room(1))
				trip(g, "b")
				time.Sleep(3 * time.Second) // the condition must hold for a while
				trip(g, "b")
				time.Sleep(2 * time.Second)
				answer, done := make(chan struct{}), make(chan error)
				go func() {
					done <- g.Do(t.Context(), func(_ context.Context, e failover.Endpoint) error {
						if e.Name == "a" {
							return errDown
						}
						<-answer
						return nil
					})
				}()
				synctest.Wait()
				if !slices.Equal(to, []string{"b"}) || state(t, g, "b").State != breaker.HalfOpen {
					t.Fatalf("diverted to %q, and b is %v", to, state(t, g, "b").State)
				}
				to = nil
				advise(s, "a", tc.a)
				advise(s, "c", tc.c)
				went, err := call(t, g, "a")
				if !slices.Equal(went, tc.went) || (err == nil) != tc.ok {
					t.Errorf("went to %q: %v; want %q, well %v", went, err, tc.went, tc.ok)
				}
				var open *breaker.OpenError
				if errors.As(err, &open) != (len(tc.went) == 0) || open != nil && open.Endpoint != "a" {
					t.Errorf("ended by the refusal %v", open)
				}
				if tc.ok != slices.Equal(to, []string{"c"}) || !tc.ok && len(to) > 0 {
					t.Errorf("told to be diverted to %q", to)
				}
				close(answer)
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// What fails at one endpoint of a tier does not all fall upon the same other.
func TestSiblingsShareRetries(t *testing.T) {
	c := quick("a", "b", "c", "d")
	for i := range c.Endpoints {
		c.Endpoints[i].Priority = 0
	}
	c.Breaker = breaker.Config{MinRequests: -1, ConsecutiveFailures: 1e6}
	g := group(t, c)
	retried := map[string]int{}
	const calls = 4000
	for range calls {
		if went, _ := call(t, g, "a"); len(went) > 1 {
			retried[went[1]]++
		}
	}
	for _, name := range []string{"b", "c", "d"} {
		if n := retried[name]; n < calls/4/3*3/5 || n > calls/4/3*7/5 {
			t.Errorf("%d of %d retries went to %s: %v", n, calls/4, name, retried)
		}
	}
}
