package failover_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/internal/coord"
)

// ordered is allWell under an operator's order.
func ordered(o coord.Orders) coord.Advice { return o.Apply(allWell, allWell, coord.Now()) }

func an(kind coord.OverrideKind) *coord.Override {
	return &coord.Override{ID: "1f", Kind: kind, Author: "ada", Reason: "the deploy went wrong", Expires: time.Now().Add(time.Hour)}
}

// TestOperatorRoutes: calls move where an operator has them move, and back.
func TestOperatorRoutes(t *testing.T) {
	svc := coord.NewService("svc")
	c := quick("a", "b", "c")
	c.Cluster = shared{svc}
	g := group(t, c)
	wants(t, g, true, []string{"a"})
	advise(svc, "a", ordered(coord.Orders{Routing: an(coord.Drain)}))
	wants(t, g, true, []string{"b"})
	if s := state(t, g, "a"); !s.Drained || s.Routing == nil || s.Routing.Author != "ada" {
		t.Errorf("a: %+v", s)
	}
	advise(svc, "c", ordered(coord.Orders{Routing: an(coord.Prefer)}))
	wants(t, g, true, []string{"c"})
	if err := g.Update(c.Endpoints); err != nil { // ends no order
		t.Fatal(err)
	}
	wants(t, g, true, []string{"c"})
	advise(svc, "c", allWell)
	wants(t, g, true, []string{"b"})
	advise(svc, "a", allWell)
	if s := state(t, g, "a"); s.Drained || s.Routing != nil {
		t.Errorf("a: %+v", s)
	}
	var said []string
	for _, d := range g.Explain().Decisions {
		if d.Routing != nil {
			said = append(said, d.Endpoint+" "+d.Routing.Kind.String())
		}
	}
	if !slices.Equal(said, []string{"a drain", "c prefer"}) {
		t.Errorf("the log says %q", said)
	}

	g2 := group(t, c) // an order that was there before
	advise(svc, "b", ordered(coord.Orders{Routing: an(coord.Prefer)}))
	wants(t, g2, true, []string{"b"})
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	advise(svc, "b", allWell)
	wants(t, g2, true, []string{"a"})
}

// TestOperatorDrainsAll: orders that would leave no endpoint are not followed, but what the
// program has drained itself stays so.
func TestOperatorDrainsAll(t *testing.T) {
	svc := coord.NewService("svc")
	c := quick("a", "b", "c")
	c.Cluster = shared{svc}
	g := group(t, c)
	if err := g.Drain("a"); err != nil {
		t.Fatal(err)
	}
	drain := coord.Orders{Routing: an(coord.Drain)}
	for _, e := range []string{"b", "c"} {
		advise(svc, e, drain.Apply(coord.Advice{Phi: coord.PhiFull}, coord.Advice{}, 0))
	}
	wants(t, g, true, []string{"b"})
	wants(t, g, true, []string{"b", "c"}, "b")
	if state(t, g, "b").Drained || !state(t, g, "a").Drained {
		t.Error("it says otherwise")
	}
}

// TestOrderBeforeTheGroup: who starts under an order follows it from the first call on.
func TestOrderBeforeTheGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := coord.NewService("svc")
		svc.BeginWith(func(e *coord.Endpoint) coord.Advice {
			var o coord.Orders
			if e.Name() == "a" {
				o.Routing = an(coord.Drain)
			}
			return ordered(o)
		})
		c := quick("a", "b")
		c.Cluster, c.DrainOver = shared{svc}, 0
		g := group(t, c)
		for range 100 {
			wants(t, g, true, []string{"b"})
		}
	})
}

// TestSiblingsOfAForcedOpen: other endpoints of home take its calls at once, cluster or
// not.
func TestSiblingsOfAForcedOpen(t *testing.T) {
	svc := coord.NewService("svc")
	c := quick("a", "b", "c")
	siblings(&c)
	c.Endpoints[2].Priority = 1
	c.Cluster = shared{svc}
	g := group(t, c)
	for _, e := range []string{"b", "c"} {
		advise(svc, e, allWell)
	}
	advise(svc, "a", ordered(coord.Orders{Admission: an(coord.ForceOpen)}))
	for range 100 {
		wants(t, g, true, []string{"b"})
	}
}

// TestRetriesOffByOrder: there are no retries; but what fails is diverted where there is
// room, and the breaker of a process on its own decides as ever.
func TestRetriesOffByOrder(t *testing.T) {
	svc := coord.NewService("svc")
	c := quick("a", "b")
	c.Cluster = shared{svc}
	g := group(t, c)
	off := coord.Orders{Retries: an(coord.RetriesOff)}
	alone := func(endpoint string) {
		advise(svc, endpoint, off.Apply(coord.Advice{Phi: coord.PhiFull}, coord.Advice{}, coord.Now()))
	}
	alone("a")
	alone("b")
	went, err := call(t, g, "a")
	var refused *breaker.OpenError
	if !slices.Equal(went, []string{"a"}) || !errors.As(err, &refused) || !refused.Retry || refused.Source != breaker.SourceOperator || refused.Override.Kind != coord.RetriesOff {
		t.Fatalf("went to %q: %v", went, err)
	}
	trip(g, "a")
	wants(t, g, true, []string{"b"}, "a")
	if s := state(t, g, "a"); s.State != breaker.Open || s.Source != breaker.SourceLocal || s.Retries != breaker.RetryNone || s.RetriesOff == nil {
		t.Errorf("a: %+v", s)
	}
	spare := allWell
	spare.Sigma = 255
	advise(svc, "a", ordered(off))
	advise(svc, "b", off.Apply(spare, coord.Advice{}, coord.Now()))
	wants(t, group(t, c), true, []string{"a", "b"}, "a")
}

// TestFreeze: where nothing of the cluster is in force each process's breaker stays as it
// is: one that is open refuses, and one that is closed does not trip.
func TestFreeze(t *testing.T) {
	svc := coord.NewService("svc")
	c := quick("a", "b")
	c.Cluster = shared{svc}
	g := group(t, c)
	trip(g, "a")
	freeze := func(endpoint string) {
		alone := coord.Advice{Phi: coord.PhiFull}
		o := coord.Orders{Admission: an(coord.Freeze)}
		advise(svc, endpoint, o.Apply(alone, alone, coord.Now()))
	}
	freeze("a")
	freeze("b")
	wants(t, g, true, []string{"b"})
	for range 20 {
		wants(t, g, false, []string{"b", "b", "b"}, "b")
	}
	wants(t, g, true, []string{"b"})
	if a, b := state(t, g, "a"), state(t, g, "b"); a.State != breaker.Open || b.State != breaker.Closed || b.Override == nil {
		t.Errorf("a: %+v\nb: %+v", a, b)
	}
	for _, e := range []string{"a", "b"} {
		advise(svc, e, coord.Advice{Phi: coord.PhiFull})
	}
	if a, b := state(t, g, "a"), state(t, g, "b"); a.State != breaker.Open || b.State != breaker.Closed {
		t.Errorf("afterwards a: %+v\nb: %+v", a, b)
	}
}

// TestOperatorDrainIsGentle: calls move over some seconds, to the drained endpoint's
// stead and back.
func TestOperatorDrainIsGentle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := coord.NewService("svc")
		c := quick("a", "b")
		c.Cluster, c.DrainOver = shared{svc}, 0
		g := group(t, c)
		at := func() (n int) {
			for range 1000 {
				if went, err := call(t, g); err == nil && went[0] == "a" {
					n++
				}
			}
			return n
		}
		for _, way := range []struct {
			advice coord.Advice
			want   []int
		}{
			{ordered(coord.Orders{Routing: an(coord.Drain)}), []int{1000, 750, 500, 250, 0}},
			{allWell, []int{0, 250, 500, 750, 1000}},
		} {
			advise(svc, "a", way.advice)
			for i, want := range way.want {
				if n := at(); n < want-80 || n > want+80 {
					t.Errorf("%d of 1000 calls go to a after %d quarters, want %d", n, i, want)
				}
				time.Sleep(2500 * time.Millisecond)
			}
		}
	})
}

// TestOperatorCloses: what an operator forces open gets nothing; its calls go where the
// cluster says that there is room, and with no plan to the next endpoint. The refusal
// says whose order it was, and why.
func TestOperatorCloses(t *testing.T) {
	svc := coord.NewService("svc")
	c := quick("a", "b")
	c.Cluster = shared{svc}
	g := group(t, c)
	open := coord.Orders{Admission: an(coord.ForceOpen)}
	advise(svc, "a", open.Apply(coord.Advice{Phi: coord.PhiFull}, coord.Advice{}, coord.Now()))
	wants(t, g, true, []string{"b"})
	advise(svc, "a", ordered(open))
	_, err := call(t, g)
	var refused *breaker.OpenError
	if !errors.As(err, &refused) || refused.Source != breaker.SourceOperator || refused.Override.Author != "ada" || refused.Age < 0 {
		t.Fatalf("%+v", err)
	}
	for _, part := range []string{"operator", "force-open", "ada", "the deploy went wrong", "svc/a"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
	if s := state(t, g, "a"); s.State != breaker.Open || s.Override == nil || s.Source != breaker.SourceOperator {
		t.Errorf("a: %+v", s)
	}
	spare := allWell
	spare.Sigma = 255
	advise(svc, "b", spare)
	wants(t, g, true, []string{"b"})
}

// TestOperatorKeepsClosed: what an operator forces closed is called, whatever this
// process's breaker or the cluster would have.
func TestOperatorKeepsClosed(t *testing.T) {
	svc := coord.NewService("svc")
	c := quick("a", "b")
	c.Cluster = shared{svc}
	g := group(t, c)
	closed := coord.Orders{Admission: an(coord.ForceClosed)}
	advise(svc, "a", closed.Apply(dimmedOut, coord.Advice{}, coord.Now()))
	trip(g, "a")
	wants(t, g, true, []string{"a"})
	if s := state(t, g, "a"); s.State != breaker.Closed || s.Source != breaker.SourceOperator || s.Override == nil {
		t.Errorf("a: %+v", s)
	}
}
