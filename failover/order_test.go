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

// TestOperatorDrainsAll: with every endpoint drained there is still one to call.
func TestOperatorDrainsAll(t *testing.T) {
	svc := coord.NewService("svc")
	c := quick("a", "b")
	c.Cluster = shared{svc}
	g := group(t, c)
	for _, e := range []string{"a", "b"} {
		advise(svc, e, ordered(coord.Orders{Routing: an(coord.Drain)}))
	}
	wants(t, g, true, []string{"a"})
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
