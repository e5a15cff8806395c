package failover_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/coord"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestUpdateKeepsTheBreakersOfThoseWhoStay(t *testing.T) {
	g := group(t, quick("a", "b", "c"))
	trip(g, "a")
	trip(g, "b")
	// a moves to the end, b leaves, d joins.
	list := []failover.Endpoint{{Name: "c", URL: "http://c2"}, {Name: "d", Priority: 1}, {Name: "a", Priority: 2, Weight: 3}}
	if err := g.Update(list); err != nil {
		t.Fatal(err)
	}
	if !opened(t, g, "a") || opened(t, g, "d") || state(t, g, "a").Weight != 3 {
		t.Errorf("after the update: %+v", g.Explain().Endpoints)
	}
	_ = g.Do(t.Context(), func(_ context.Context, e failover.Endpoint) error {
		if e.Name != "c" || e.URL != "http://c2" {
			t.Errorf("called %+v", e)
		}
		return nil
	})
	if err := g.Update(named("b")); err != nil || opened(t, g, "b") {
		t.Errorf("b came back as it was when it left: %v", err)
	}
}

func TestFaultyUpdateChangesNothing(t *testing.T) {
	g := group(t, quick("a", "b"))
	for _, list := range [][]failover.Endpoint{nil, named("c", "c"), {{Name: "c", Weight: -1}}} {
		if err := g.Update(list); err == nil {
			t.Errorf("%v was taken", list)
		}
	}
	if got := len(g.Explain().Endpoints); got != 2 {
		t.Errorf("%d endpoints", got)
	}
	wants(t, g, true, []string{"a"})
}

func TestDrain(t *testing.T) {
	g := group(t, quick("a", "b", "c"))
	if err := g.Drain("x"); err == nil || !strings.Contains(err.Error(), `"x"`) {
		t.Errorf("draining a stranger: %v", err)
	}
	for range 2 { // twice is no different
		if err := g.Drain("a"); err != nil {
			t.Fatal(err)
		}
	}
	wants(t, g, true, []string{"b"})
	wants(t, g, false, []string{"b", "c", "b"}, "b", "c")
	trip(g, "b")
	wants(t, g, true, []string{"c"})
	if err := g.Drain("b"); err != nil {
		t.Fatal(err)
	}
	if err := g.Drain("c"); err == nil {
		t.Error("the last endpoint was drained")
	}
	trip(g, "c")
	wants(t, g, false, nil) // a stays out of use
	if err := g.Update(named("a", "c")); err != nil || state(t, g, "a").Drained {
		t.Errorf("an update did not end the drain: %v", err)
	}
}

// A call under way ends where it began, whatever becomes of the group.
func TestCallUnderWayGoesOn(t *testing.T) {
	g := group(t, quick("a", "b"))
	err := g.Do(t.Context(), func(_ context.Context, e failover.Endpoint) error {
		if err := g.Update(named("c")); err != nil {
			t.Error(err)
		}
		_ = g.Close()
		if e.Name == "a" {
			return errDown
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestClose(t *testing.T) {
	g := group(t, quick("a"))
	for range 2 {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}
	if went, err := call(t, g); len(went) > 0 || !errors.Is(err, failover.ErrClosed) {
		t.Errorf("went to %q: %v", went, err)
	}
	if len(g.Explain().Endpoints) != 1 {
		t.Error("a closed group explains nothing")
	}
	g.Report("a", errDown)
	g.Report("stranger", errDown)
}

// Everything at once, for the race detector.
func TestConcurrentUse(t *testing.T) {
	s := coord.NewService("svc")
	c := quick("a", "b", "c")
	c.Cluster = shared{s}
	c.Breaker.ConsecutiveFailures = 3
	c.Breaker.Hooks.StateChange = func(string, string, breaker.State, breaker.State) {}
	g := group(t, c)
	lists := [][]failover.Endpoint{named("a", "b"), named("b", "c", "d"), named("a", "c")}
	advice := []coord.Advice{allWell, retriesOff, {Phi: coord.PhiOf(.5), Mode: coord.RetryNone, Source: coord.SourceCluster}}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 400 {
				_ = g.Do(t.Context(), func(_ context.Context, e failover.Endpoint) error {
					if (i+w)%3 == 0 {
						return errDown
					}
					return nil
				})
			}
		})
	}
	wg.Go(func() {
		for i := range 200 {
			_ = g.Update(lists[i%len(lists)])
			_ = g.Drain("a")
			_ = g.Explain()
			g.Report("c", errDown)
		}
	})
	wg.Go(func() {
		for i := range 200 {
			advise(s, []string{"a", "b", "c"}[i%3], advice[i/3%3])
			s.SetLoad(coord.Now(), 10, 3)
			for _, e := range s.Endpoints() {
				e.Sample()
			}
		}
	})
	wg.Wait()
	names := []string{}
	for _, e := range g.Explain().Endpoints {
		names = append(names, e.Name)
	}
	if !slices.Equal(names, []string{"b", "c", "d"}) { // the list of the last update
		t.Errorf("the endpoints are %q", names)
	}
}

// An endpoint that is drained loses its calls bit by bit.
func TestDrainIsGentle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := quick("a", "b")
		c.DrainOver = 0
		g := group(t, c)
		share := func() float64 {
			const n = 1000
			at := 0
			for range n {
				went, err := call(t, g)
				if err != nil || len(went) != 1 {
					t.Fatalf("went to %q: %v", went, err)
				}
				if went[0] == "a" {
					at++
				}
			}
			return float64(at) / n
		}
		if err := g.Drain("a"); err != nil {
			t.Fatal(err)
		}
		if !state(t, g, "a").Drained {
			t.Error("not told to be drained")
		}
		for s, want := range []float64{1, .9, .8, .7, .6, .5, .4, .3, .2, .1, 0, 0} {
			if got := share(); got < want-.08 || got > want+.08 {
				t.Errorf("after %d s a has %.2f of the calls, want %.2f", s, got, want)
			}
			time.Sleep(time.Second)
		}
		if err := g.Update(c.Endpoints); err != nil || share() != 1 {
			t.Errorf("a is not back: %v", err)
		}
	})
}

// Endpoints are drained each in its own time: one that is drained again, or beside
// another, does not lose its calls any sooner.
func TestDrainsDoNotDisturbEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := quick("a", "b", "c")
		c.DrainOver = 0
		g := group(t, c)
		wants := func(when string, want ...float64) {
			t.Helper()
			const n = 4000
			got := map[string]float64{}
			for range n {
				went, err := call(t, g)
				if err != nil || len(went) != 1 {
					t.Fatalf("%s: went to %q: %v", when, went, err)
				}
				got[went[0]] += 1. / n
			}
			for i, e := range []string{"a", "b", "c"} {
				if got[e] < want[i]-.05 || got[e] > want[i]+.05 {
					t.Errorf("%s: %s has %.2f of the calls, want %.2f", when, e, got[e], want[i])
				}
			}
		}
		drain := func(e string) {
			t.Helper()
			if err := g.Drain(e); err != nil {
				t.Fatal(err)
			}
		}
		drain("a")
		time.Sleep(4 * time.Second)
		wants("before", .6, .4, 0)
		drain("a")
		wants("drained again", .6, .4, 0)
		drain("b")
		wants("another is drained too", .6, .4, 0)
		time.Sleep(4 * time.Second)
		drain("a")
		wants("later", .2, .4, .4)
		time.Sleep(2 * time.Second)
		wants("the first is drained", 0, .4, .6)
		drain("a")
		time.Sleep(4 * time.Second)
		wants("both are", 0, 0, 1)
		// Gone and back, an endpoint is in use, and a drain of it begins anew.
		for _, list := range [][]failover.Endpoint{c.Endpoints[1:], c.Endpoints} {
			if err := g.Update(list); err != nil {
				t.Fatal(err)
			}
		}
		wants("back", 1, 0, 0)
		drain("a")
		wants("drained anew", 1, 0, 0)
		time.Sleep(5 * time.Second)
		wants("half of it", .5, .5, 0)
		if err := g.Update(c.Endpoints); err != nil {
			t.Fatal(err)
		}
		wants("an update ends the drain", 1, 0, 0)
	})
}
