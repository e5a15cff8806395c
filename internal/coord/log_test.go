package coord

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestLogKeepsTheLast(t *testing.T) {
	var l Log
	for i := range 3*MaxDecisions + 7 {
		l.Add(Decision{Endpoint: fmt.Sprint(i)})
		kept := l.Decisions()
		first := max(i+1-MaxDecisions, 0)
		if len(kept) != i+1-first || kept[0].Endpoint != fmt.Sprint(first) || kept[len(kept)-1].Endpoint != fmt.Sprint(i) {
			t.Fatalf("after %d: %d from %s to %s", i+1, len(kept), kept[0].Endpoint, kept[len(kept)-1].Endpoint)
		}
	}
	var none *Log
	none.Add(Decision{})
	if none.Decisions() != nil {
		t.Error("a nil log keeps something")
	}
}

// Advice that changes nothing of what is done is no decision, and a log takes many
// writers.
func TestDecisionsOfAdvice(t *testing.T) {
	s := NewService("svc")
	e := s.Endpoint("a")
	why := Evidence{Steward: "m1", State: "dim", Failures: 3, Outcomes: 4}
	for _, a := range []Advice{
		{Phi: PhiFull, Fresh: 2},
		{Phi: PhiFull, Fresh: 3, Sigma: 7},
		{Phi: PhiFull, Mode: RetryNone, Source: SourceCluster, AsOf: Now(), Evidence: why},
		{Phi: PhiOf(.2), Mode: RetryNone, Source: SourceCluster, Tag: 1, AsOf: Now(), Evidence: why},
		{Phi: PhiOf(.2), Mode: RetryNone, Source: SourceCluster, Tag: 1, AsOf: Now()},
		{Phi: PhiFull, Tag: 2},
	} {
		e.Publish(a)
	}
	var got []string
	for _, d := range s.Log().Decisions() {
		b, err := json.Marshal(d)
		if err != nil || d.At.IsZero() || d.Age < 0 {
			t.Errorf("%+v, %v", d, err)
		}
		var back Decision
		if err := json.Unmarshal(b, &back); err != nil || back.Source != d.Source || back.Retries != d.Retries {
			t.Errorf("%s came back as %+v, %v", b, back, err)
		}
		got = append(got, fmt.Sprintf("%s %v %s %.1f %v %d/%d", d.Endpoint, d.Source, d.State, d.Phi, d.Retries, d.Evidence.Failures, d.Evidence.Outcomes))
		if text := string(b); !strings.Contains(text, `"source":"`+d.Source.String()+`"`) || !strings.Contains(text, `"retries":"`+d.Retries.String()+`"`) {
			t.Errorf("as JSON: %s", text)
		}
	}
	want := "a cluster closed 1.0 none 3/4, a cluster dimmed 0.2 none 3/4, a local closed 1.0 all 0/0"
	if strings.Join(got, ", ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, ", "), want)
	}

	for _, bad := range []string{`{"source":"nobody"}`, `{"retries":"some"}`, `{"retries":2}`} {
		if err := json.Unmarshal([]byte(bad), new(Decision)); err == nil {
			t.Errorf("%s was read", bad)
		}
	}

	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 200 {
				s.Log().Add(Decision{Endpoint: fmt.Sprint(i)})
				_ = s.Log().Decisions()
			}
		})
	}
	wg.Wait()
	if n := len(s.Log().Decisions()); n != MaxDecisions {
		t.Errorf("%d are kept", n)
	}
}

// Whoever is refused by advice finds in the log what decided it.
func TestDecisionsAreToldFirst(t *testing.T) {
	s := NewService("svc")
	e := s.Endpoint("a")
	const rounds = 20_000
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := uint64(1); n <= rounds; n++ {
			phi := PhiOf(.2)
			if n%2 == 0 {
				phi = PhiFull
			}
			e.Publish(Advice{Phi: phi, Mode: RetryNone, Source: SourceCluster, Tag: n, Evidence: Evidence{Outcomes: n}})
		}
	})
	for followed := uint64(0); followed < rounds; {
		followed = e.Advice().Evidence.Outcomes
		log := s.Log().Decisions()
		if followed > 0 && (len(log) == 0 || log[len(log)-1].Evidence.Outcomes < followed) {
			t.Fatalf("decision %d is followed and not told", followed)
		}
	}
	wg.Wait()
}
