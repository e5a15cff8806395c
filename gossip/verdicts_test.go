package gossip

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/wire"
)

func TestDisagreements(t *testing.T) {
	full := coord.Advice{Phi: coord.PhiFull, Fresh: 3}
	dim := coord.Advice{Phi: coord.PhiOf(.1), Mode: coord.RetryNone, Fresh: 3}
	for _, test := range []struct {
		name   string
		advice coord.Advice
		phi    float64
		mode   coord.Mode
		stale  bool
		want   int
	}{
		{"the same", full, 1, coord.RetryAll, false, 0},
		{"dim alone", full, .9, coord.RetryAll, false, 1},
		{"no retries alone", full, 1, coord.RetryRatio, false, 1},
		{"not fresh", full, .1, coord.RetryNone, true, 0},
		{"a step further", dim, .19, coord.RetryNone, false, 0},
		{"a step behind", dim, .055, coord.RetryNone, false, 0},
		{"far ahead", dim, .25, coord.RetryNone, false, 1},
		{"far behind", dim, .01, coord.RetryNone, false, 1},
		{"full while others dim", dim, 1, coord.RetryAll, false, 1},
		{"nothing in force", coord.Advice{Phi: coord.PhiFull, Fresh: 1}, .1, coord.RetryNone, false, 0},
	} {
		var s standing
		v := node.Verdict{Origin: wire.Origin{Member: "m"}, Row: &wire.VerdictRow{Phi: coord.PhiOf(test.phi), Mode: test.mode}, Fresh: !test.stale}
		s.add("svc", "a", &test.advice, &v)
		var h Health
		s.tell(&h)
		if h.Disagree != test.want || len(h.Disagreements) != test.want {
			t.Errorf("%s: %d disagree: %+v", test.name, h.Disagree, h.Disagreements)
		}
		for _, d := range h.Disagreements {
			if d.Service != "svc" || d.Endpoint != "a" || d.Steward != "m" || d.Says.Retries != test.mode.String() || d.InForce.Retries != test.advice.Mode.String() {
				t.Errorf("%s: %+v", test.name, d)
			}
		}
	}
}

func TestStanding(t *testing.T) {
	var h Health
	new(standing).tell(&h)
	if h.VerdictAgeP50 != 0 || h.VerdictAgeP99 != 0 || h.Disagree != 0 {
		t.Errorf("of no verdicts: %+v", h)
	}
	var s standing
	advice := coord.Advice{Phi: coord.PhiFull, Fresh: 2}
	for i := 200; i > 0; i-- {
		v := node.Verdict{
			Origin: wire.Origin{Member: fmt.Sprintf("m%03d", i)}, Row: &wire.VerdictRow{Phi: 1},
			Age: time.Duration(i) * time.Millisecond, Fresh: true,
		}
		s.add("svc", "a", &advice, &v)
	}
	s.tell(&h)
	if h.VerdictAgeP50 != 100*time.Millisecond || h.VerdictAgeP99 != 198*time.Millisecond {
		t.Errorf("percentiles of 1 to 200 ms: %v, %v", h.VerdictAgeP50, h.VerdictAgeP99)
	}
	if h.Disagree != 200 || len(h.Disagreements) != mostShown || h.Disagreements[0].Steward != "m001" {
		t.Errorf("%d of %d disagreements are shown, from %q on", len(h.Disagreements), h.Disagree, h.Disagreements[0].Steward)
	}
}

func TestSplitIsSuspected(t *testing.T) {
	for _, test := range []struct {
		members, missing int
		want             bool
	}{{1, 0, false}, {1, 1, false}, {1, 2, true}, {2, 1, false}, {6, 2, true}, {7, 2, false}, {60, 40, true}, {75, 25, true}, {76, 25, false}} {
		s := situation{members: test.members, missing: test.missing}
		if got := s.split(); got != test.want {
			t.Errorf("%d missing beside %d members: %v", test.missing, test.members, got)
		}
	}
}

func TestEndpoints(t *testing.T) {
	joined := make(chan *Cluster, 1)
	m, err := Join(t.Context(), Config{Cluster: "test", Bind: "127.0.0.1:0", Hooks: Hooks{Joined: func(c *Cluster) { joined <- c }}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	if c := <-joined; c != m {
		t.Error("another cluster was told of")
	}
	if all := m.Endpoints(); len(all) != 0 {
		t.Errorf("endpoints of nobody: %+v", all)
	}
	why := coord.Evidence{Steward: "m1", State: "dim", Reporters: 3, Failures: 9, Outcomes: 10}
	m.CoordService("b").Endpoint("x").Publish(coord.Advice{
		Phi: 1, Mode: coord.RetryNone, Source: coord.SourceCluster, Fresh: 3, AsOf: coord.Now(), Evidence: why, Sigma: 255,
	})
	m.CoordService("a").Endpoint("y").Publish(coord.Advice{Phi: coord.PhiFull, Fresh: 2, AsOf: coord.Now(), Evidence: why, Sigma: 255})
	m.CoordService("a").Endpoint("x").Publish(coord.Advice{Phi: coord.PhiFull})
	all := m.Endpoints()
	for i := range all {
		if e := &all[i]; e.DecidedBy == "cluster" {
			if e.Age < 0 || e.Age > time.Minute {
				t.Errorf("evidence is %v old", e.Age)
			}
			e.Age = 0
		}
	}
	want := []Endpoint{
		{Service: "a", Name: "x", Opinion: Opinion{1, "all"}, DecidedBy: "local"},
		{Service: "a", Name: "y", Opinion: Opinion{1, "all"}, DecidedBy: "local", Spill: 1, Fresh: 2},
		{Service: "b", Name: "x", Opinion: opinion(1, coord.RetryNone), DecidedBy: "cluster", Fresh: 3, Evidence: why},
	}
	if !slices.Equal(all, want) {
		t.Errorf("endpoints %+v, want %+v", all, want)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if all := m.Endpoints(); all != nil {
		t.Errorf("endpoints of a closed cluster: %+v", all)
	}
}
