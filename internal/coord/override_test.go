package coord_test

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/murmuration-go/murmuration/internal/coord"
)

var issued = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// TestWhichOrderCounts: what is said of the endpoint counts before what is said of its
// service, and of the same the later; orders of different sorts go together.
func TestWhichOrderCounts(t *testing.T) {
	on := func(id, endpoint string, kind coord.OverrideKind, after time.Duration) *coord.Override {
		return &coord.Override{ID: id, Service: "svc", Endpoint: endpoint, Kind: kind, Issued: issued.Add(after)}
	}
	service := on("1", "", coord.ForceOpen, time.Hour)
	early := on("2", "a", coord.ForceClosed, 0)
	late := on("3", "a", coord.Freeze, time.Minute)
	drain := on("4", "a", coord.Drain, 0)
	prefer := on("5", "a", coord.Prefer, time.Second)
	retries := on("6", "", coord.RetriesOff, 0)
	foreign := &coord.Override{ID: "7", Service: "other", Kind: coord.ForceOpen, Issued: issued.Add(2 * time.Hour)}
	all := []*coord.Override{service, early, late, drain, prefer, retries, foreign}
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.Permutation(all).Draw(t, "orders")
		if o := coord.OrdersOn(all, "svc", "a"); o != (coord.Orders{Admission: late, Retries: retries, Routing: prefer}) {
			t.Fatalf("on a: %+v", o)
		}
		if o := coord.OrdersOn(all, "svc", "b"); o != (coord.Orders{Admission: service, Retries: retries}) {
			t.Fatalf("on b: %+v", o)
		}
		if o := coord.OrdersOn(all, "third", "a"); o != (coord.Orders{}) {
			t.Fatalf("on another service: %+v", o)
		}
	})
}

// TestOrdersApplied: an operator overrules the cluster, each order what it is about and
// nothing else.
func TestOrdersApplied(t *testing.T) {
	advice := coord.Advice{Phi: coord.PhiOf(.25), Mode: coord.RetryRatio, Source: coord.SourceCluster, Sigma: 100, Fresh: 3, Evidence: coord.Evidence{Outcomes: 9}}
	frozen := coord.Advice{Phi: coord.PhiOf(.5), Mode: coord.RetryAll, Sigma: 7}
	x := func(kind coord.OverrideKind) *coord.Override { return &coord.Override{Kind: kind} }
	for _, tc := range []struct {
		orders coord.Orders
		phi    float64
		mode   coord.Mode
		sigma  coord.Share
		source coord.Source
	}{
		{coord.Orders{}, .25, coord.RetryRatio, 100, coord.SourceCluster},
		{coord.Orders{Admission: x(coord.ForceClosed)}, 1, coord.RetryAll, 100, coord.SourceOperator},
		{coord.Orders{Admission: x(coord.ForceOpen)}, 0, coord.RetryNone, 0, coord.SourceOperator},
		{coord.Orders{Admission: x(coord.Freeze)}, .5, coord.RetryAll, 7, coord.SourceOperator},
		{coord.Orders{Retries: x(coord.RetriesOff)}, .25, coord.RetryRatio, 100, coord.SourceCluster},
		{coord.Orders{Admission: x(coord.ForceClosed), Retries: x(coord.RetriesOff)}, 1, coord.RetryAll, 100, coord.SourceOperator},
		{coord.Orders{Routing: x(coord.Drain)}, .25, coord.RetryRatio, 100, coord.SourceCluster},
	} {
		a := tc.orders.Apply(advice, frozen, time.Second)
		if a.Phi != coord.PhiOf(tc.phi) || a.Mode != tc.mode || a.Sigma != tc.sigma || a.Source != tc.source || a.Fresh != 3 || a.Routing != tc.orders.Routing {
			t.Errorf("%+v: %+v", tc.orders, a)
		}
		if op := tc.source == coord.SourceOperator; (a.Override != nil) != op || op != (a.AsOf == time.Second) || op == (a.Evidence.Outcomes == 9) {
			t.Errorf("%+v: decided by %+v", tc.orders, a)
		}
		off := tc.orders.Retries != nil
		if want := map[bool]coord.Mode{false: tc.mode, true: coord.RetryNone}[off]; a.RetryMode() != want || off != (a.RetriesOffAt == time.Second) {
			t.Errorf("%+v: retries %v since %v", tc.orders, a.RetryMode(), a.RetriesOffAt)
		}
		if a.Takes(0) && tc.phi < 1 || a.Ordered() != (tc.orders.Admission != nil) {
			t.Errorf("%+v: takes %v, ordered %v", tc.orders, a.Takes(0), a.Ordered())
		}
	}
	// Where nothing of the cluster is in force there is nothing to pin but the breaker.
	well := coord.Advice{Phi: coord.PhiFull, Sigma: 9, Source: coord.SourceLocal}
	freeze := coord.Orders{Admission: x(coord.Freeze)}
	if a := freeze.Apply(advice, well, time.Second); a.InForce() || !a.Frozen || !a.Ordered() || a.Override == nil || a.AsOf != time.Second || a.Sigma != 9 {
		t.Errorf("frozen while all was well: %+v", a)
	}
	off := coord.Orders{Retries: x(coord.RetriesOff)}
	if a := off.Apply(coord.Advice{Phi: coord.PhiFull, Sigma: 255}, well, 0); a.InForce() || !a.Takes(.5) || a.RetryMode() != coord.RetryNone {
		t.Errorf("without retries: %+v", a)
	}
}

// TestReopened: after an order that held it down phi doubles each second, and no further
// than the cluster has it.
func TestReopened(t *testing.T) {
	x := &coord.Override{Kind: coord.ForceOpen}
	for _, tc := range []struct {
		from, cluster float64
		want          []float64
	}{
		{0, 1, []float64{1. / 32, 1. / 16, .125, .25, .5, 1, 1}},
		{.3, 1, []float64{.3, .6, 1, 1}},
		{0, .2, []float64{1. / 32, 1. / 16, .125, .2, .2}},
		{.5, .1, []float64{.1, .1}},
	} {
		advice := coord.Advice{Phi: coord.PhiOf(tc.cluster), Source: coord.SourceCluster}
		for s, want := range tc.want {
			a, over := advice.Reopened(coord.PhiOf(tc.from), x, time.Minute, time.Minute+time.Duration(s)*time.Second)
			if d := a.Phi.Float() - want; d > .001 || d < -.001 || over != (a.Phi == advice.Phi) || over == a.Ordered() || over != (want == tc.cluster) {
				t.Errorf("from %v, %d s later: %v, over %v; want %v", tc.from, s, a.Phi.Float(), over, want)
			}
		}
	}
}

// TestOverrideKinds: every kind has a name that can be read back.
func TestOverrideKinds(t *testing.T) {
	for k := coord.OverrideKind(0); k < 20; k++ {
		b, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		var back coord.OverrideKind
		if err := json.Unmarshal(b, &back); (err == nil) != k.Valid() || k.Valid() && back != k {
			t.Errorf("%s: %v, %v", b, back, err)
		}
	}
}

// TestWatchRouting: who watches is told of a change of an order about the way, and of
// nothing else, until he has had enough.
func TestWatchRouting(t *testing.T) {
	s := coord.NewService("svc")
	told := 0
	stop := s.WatchRouting(func() { told++ })
	e := s.Endpoint("a")
	drain := &coord.Override{Kind: coord.Drain}
	for i, tc := range []struct {
		a    coord.Advice
		want int
	}{
		{coord.Advice{Phi: coord.PhiFull}, 0},
		{coord.Advice{Phi: 9, Routing: drain}, 1},
		{coord.Advice{Phi: 10, Routing: drain}, 1},
		{coord.Advice{Phi: 10}, 2},
	} {
		if e.Publish(tc.a.Numbered(e.Advice())); told != tc.want {
			t.Errorf("told %d times after number %d", told, i)
		}
	}
	stop()
	if e.Publish(coord.Advice{Phi: coord.PhiFull, Routing: drain}); told != 2 {
		t.Error("told afterwards")
	}
	var none *coord.Service
	none.WatchRouting(nil)()
}
