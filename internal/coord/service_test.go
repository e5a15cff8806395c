package coord

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestCheckName(t *testing.T) {
	for _, tc := range []struct {
		name, fault string
	}{
		{"payments", ""},
		{"zahlungen-ü", ""},
		{strings.Repeat("x", MaxName), ""},
		{"", "empty"},
		{strings.Repeat("x", MaxName+1), "65 bytes"},
		{"a\xff", "UTF-8"},
	} {
		err := CheckName(tc.name)
		if (err == nil) != (tc.fault == "") || err != nil && !strings.Contains(err.Error(), tc.fault) {
			t.Errorf("CheckName(%q) is %v, want a mention of %q", tc.name, err, tc.fault)
		}
	}
}

func TestEndpointsAreCapped(t *testing.T) {
	s := NewService("svc")
	for i := range MaxEndpoints {
		name := fmt.Sprint(i)
		e := s.Endpoint(name)
		if e == nil || e.Name() != name || s.Endpoint(name) != e {
			t.Fatalf("endpoint %d is not there, or not the same twice", i)
		}
	}
	if s.Endpoint("one more") != nil || s.Endpoint("") != nil {
		t.Error("an endpoint too many, or without a name, was made")
	}
	if got := len(s.Endpoints()); got != MaxEndpoints {
		t.Errorf("%d endpoints, want %d", got, MaxEndpoints)
	}
	var none *Service
	if none.Endpoint("a") != nil || none.Burns() != 0 {
		t.Error("a nil service has something")
	}
	none.RefuseWith(nil)
}

func TestAttachMakesOneOfAKind(t *testing.T) {
	type key struct{}
	s := NewService("svc")
	var made int
	var got [8]any
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() { got[i] = s.Attach(key{}, func() any { made++; return &made }) })
	}
	wg.Wait()
	if made != 1 {
		t.Fatalf("made %d times", made)
	}
	for _, v := range got {
		if v != &made {
			t.Errorf("got %v", v)
		}
	}
	if other := s.Attach("other", func() any { return 2 }); other != 2 {
		t.Errorf("under another key there is %v", other)
	}
}

// The share of the stipend is a share of the largest membership lately seen,
// nothing to a newcomer, and never more to one who has lost the others.
func TestWidth(t *testing.T) {
	s := NewService("svc")
	for _, step := range []struct {
		at      time.Duration
		members int
		want    int
	}{
		{0, 1, 0}, // alone from the start
		{time.Minute, 1, 0},
		{2 * time.Minute, 3, 0}, // in company, but only just
		{2*time.Minute + 4*time.Second, 3, 0},
		{2*time.Minute + 5*time.Second, 3, 3},
		{5 * time.Minute, 10, 10},
		{8 * time.Minute, 4, 10},
		{13 * time.Minute, 4, 10}, // the span before counts too
		{24 * time.Minute, 4, 4},
		{2 * time.Hour, 1, 4}, // alone: the share stays
		{4 * time.Hour, 1, 4},
		{5 * time.Hour, 6, 6},
	} {
		s.SetLoad(step.at, 7, step.members)
		if got := s.Width(step.at); got != step.want {
			t.Errorf("at %v, with %d members, the width is %d, want %d", step.at, step.members, got, step.want)
		}
	}
	if s.Load() != 7 {
		t.Errorf("load is %d, want 7", s.Load())
	}
}

type nilable struct{ service *Service }

func (n *nilable) CoordService(string) *Service { return n.service }

type byValue struct{ service *Service }

func (v byValue) CoordService(string) *Service { return v.service }

func TestNilPointerIsNoCluster(t *testing.T) {
	s := NewService("svc")
	for _, tc := range []struct {
		cluster Cluster
		present bool
		want    *Service
	}{
		{nil, false, nil},
		{(*nilable)(nil), false, nil},
		{&nilable{s}, true, s},
		{&nilable{nil}, true, nil}, // closed, or too many services
		{byValue{s}, true, s},
	} {
		if Present(tc.cluster) != tc.present || Resolve(tc.cluster, "svc") != tc.want {
			t.Errorf("%#v: present %v", tc.cluster, Present(tc.cluster))
		}
	}
}

func TestPhi(t *testing.T) {
	for _, tc := range []struct {
		f    float64
		want Phi
	}{{1, PhiFull}, {2, PhiFull}, {math.NaN(), PhiFull}, {0, 0}, {-1, 0}, {.5, 32768}, {1. / 65535, 1}} {
		if got := PhiOf(tc.f); got != tc.want {
			t.Errorf("PhiOf(%v) is %d, want %d", tc.f, got, tc.want)
		}
	}
	for p := range PhiFull {
		if PhiOf(p.Float()) != p {
			t.Fatalf("%d does not come back", p)
		}
	}
}

func TestPublish(t *testing.T) {
	s := NewService("svc")
	e := s.Endpoint("a")
	down := errors.New("down")
	s.RefuseWith(func(service, endpoint string, a *Advice) error {
		return fmt.Errorf("%s/%s %w", service, endpoint, down)
	})
	s.RefuseWith(func(string, string, *Advice) error { return nil }) // too late

	for i, step := range []struct {
		advice  Advice
		inForce bool
		burns   uint64
	}{
		{Advice{Phi: PhiFull, Fresh: 3}, false, 0},
		{Advice{Phi: PhiFull, Mode: RetryRatio}, true, 0},
		{Advice{Phi: PhiFull, Mode: RetryNone}, true, 1},
		{Advice{Phi: 100, Mode: RetryNone, Tag: 1}, true, 1}, // the same trouble
		{Advice{Phi: PhiFull, Tag: 2}, false, 1},
		{Advice{Phi: 100, Mode: RetryNone, Tag: 3}, true, 2},
		{Advice{Phi: PhiFull, Tag: 4, Source: SourceOperator}, true, 2}, // held open by order
	} {
		e.Publish(step.advice)
		a := e.Advice()
		if a.InForce() != step.inForce || s.Burns() != step.burns || a.Coordinated() != (step.advice.Fresh >= 2) {
			t.Errorf("step %d: in force %v, burns %d, coordinated %v", i, a.InForce(), s.Burns(), a.Coordinated())
		}
		if dims := a.Phi < PhiFull; errors.Is(a.Refusal, down) != dims {
			t.Errorf("step %d: the refusal is %v", i, a.Refusal)
		}
	}
}

func TestAttemptNumber(t *testing.T) {
	ctx := context.Background()
	if n := AttemptNumber(ctx); n != 1 {
		t.Errorf("a bare context is of attempt %d", n)
	}
	if n := AttemptNumber(WithAttempt(WithAttempt(ctx, 2), 3)); n != 3 {
		t.Errorf("got attempt %d, want 3", n)
	}
}

// A call within a hedge is told from a hedge, and from one of its own.
func TestWhoseHedge(t *testing.T) {
	ctx := context.Background()
	if IsHedge(WithAttempt(ctx, 2), ctx) || !IsHedge(WithAttempt(WithHedge(ctx), 2), ctx) {
		t.Error("a hedge is not told from a retry")
	}
	inner := WithHedge(ctx)
	if IsHedge(WithAttempt(inner, 2), inner) {
		t.Error("a retry within a hedge is taken for a hedge")
	}
	if !IsHedge(WithHedge(inner), inner) {
		t.Error("a hedge within a hedge is taken for a retry")
	}
}

// However many calls wait for a loan, what is asked at one time is bounded, and is
// asked once.
func TestLoansAskedAreBounded(t *testing.T) {
	s := NewService("svc")
	if s.AskLoan() || s.LoansAsked() != 0 {
		t.Error("asks while there is nobody to ask")
	}
	s.OpenLoans(true)
	for _, calls := range []int{0, 1, 16, 17, 1000} {
		for range calls {
			if !s.AskLoan() {
				t.Fatal("does not ask")
			}
		}
		if first, then := s.LoansAsked(), s.LoansAsked(); first != min(calls, 16) || then != 0 {
			t.Errorf("of %d calls %d ask, and then %d", calls, first, then)
		}
	}
}
