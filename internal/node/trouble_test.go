package node_test

import (
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// TestHealthyErrors: 5 % errors, fast or slow, never dim.
func TestHealthyErrors(t *testing.T) {
	for _, how := range []outcome{refuses, swallows} {
		s := newSim(1, 12, 1000, 400, time.Second)
		s.failing = func(int) outcome {
			if s.rng.Float64() < .05 {
				return how
			}
			return served
		}
		s.run(s.now + 3*time.Minute)
		if s.trips > 0 {
			t.Errorf("%d: dimmed %d times at 5 %% errors", how, s.trips)
		}
	}
}

// TestHardDown: instant refusals cost no time and are not dimmed, but retries
// are off since they do not help; all is well as soon as the server is.
func TestHardDown(t *testing.T) {
	s := newSim(1, 12, 1000, 400, time.Second)
	s.run(s.now + 10*time.Second)
	s.failing = func(int) outcome { return refuses }
	s.run(s.now + 10*time.Second)
	if s.trips > 0 {
		t.Error("dimmed on refusals")
	}
	for _, m := range s.members {
		if a := m.ep.Advice(); a.Mode != coord.RetryNone {
			t.Errorf("%s: retries %v while everything is refused", m.name(), a.Mode)
		}
	}
	s.failing = nil
	from := s.second()
	s.run(s.now + 20*time.Second)
	if r := s.recovered(from); r != 0 {
		t.Errorf("recovered after %d s, want at once", r)
	}
	if n := s.restricted(); n > 0 {
		t.Errorf("%d members still restricted 20 s later", n)
	}
}

// TestBrokenPath: one member whose own path is broken dims nobody.
func TestBrokenPath(t *testing.T) {
	for _, n := range []int{3, 10, 50} {
		s := newSim(2, n, 1000, 400, time.Second)
		s.failing = func(member int) outcome {
			if member == 0 {
				return swallows
			}
			return served
		}
		s.run(s.now + time.Minute)
		if s.trips > 0 {
			t.Errorf("n=%d: one member's broken path dimmed the endpoint %d times", n, s.trips)
		}
	}
}

// TestLyingSteward: a steward that always says "closed to all" or "all is well"
// neither dims a healthy endpoint nor holds a stalled one open.
func TestLyingSteward(t *testing.T) {
	for _, lie := range []struct {
		name  string
		phi   coord.Phi
		mode  coord.Mode
		state wire.State
	}{
		{"closed to all", 1, coord.RetryNone, wire.Dim},
		{"all is well", coord.PhiFull, coord.RetryAll, wire.Closed},
	} {
		t.Run(lie.name, func(t *testing.T) {
			s := newSim(3, 12, 1000, 800, time.Second)
			liar := s.stewards()[0]
			s.tamper = func(from, _ *simMember, data []byte) []byte {
				m, err := wire.Decode(data)
				if err != nil || m.Verdicts == nil || m.Verdicts.Origin.Member != liar.name() || from != liar {
					return data
				}
				for i := range m.Verdicts.Rows {
					r := &m.Verdicts.Rows[i]
					r.Phi, r.Mode, r.State = lie.phi, lie.mode, lie.state
				}
				lied, err := wire.AppendVerdicts(nil, m.Verdicts)
				if err != nil {
					t.Fatal(err)
				}
				return lied
			}
			s.run(s.now + 30*time.Second)
			if s.trips > 0 {
				t.Errorf("dimmed %d times while healthy", s.trips)
			}
			from := s.second()
			s.stall(10 * time.Second)
			s.run(s.now + 5*time.Second)
			if n := s.restricted(); n < len(s.members)-1 {
				t.Errorf("only %d of %d members act on the stall", n, len(s.members))
			}
			s.run(s.now + 65*time.Second)
			if r := s.recovered(from + 10); r < 0 || r > 25 {
				t.Errorf("recovered in %d s", r)
			}
			t.Logf("goodput %.3f, recovered in %d s", s.goodput(from, from+70), s.recovered(from+10))
		})
	}
}

// TestLyingReporter: one member whose reports are wrong trips no healthy
// endpoint and holds no stalled one open.
func TestLyingReporter(t *testing.T) {
	lies := map[string]func(*wire.ReportRow){
		"demand":   func(r *wire.ReportRow) { r.Totals.Demand *= 1000 },
		"failures": func(r *wire.ReportRow) { r.Totals.FailSlow = 50 * r.Totals.Demand },
		"successes": func(r *wire.ReportRow) {
			r.Totals.OK, r.Tagged.OK, r.Tagged.Sent = 50*r.Totals.Demand, 50*r.Totals.Demand, 50*r.Totals.Demand
		},
		"slow": func(r *wire.ReportRow) {
			r.Totals.OKLatency, r.Tagged.OKLatency = 1000*time.Second*time.Duration(r.Totals.OK), 1000*time.Second*time.Duration(r.Tagged.OK)
		},
		"sent":    func(r *wire.ReportRow) { r.Tagged.Sent = 1000 * r.Totals.Demand },
		"nothing": func(r *wire.ReportRow) { r.Totals, r.Tagged = coord.Totals{}, coord.TagCounts{} },
	}
	sizes := []int{3, 5, 12, 50}
	if testing.Short() {
		sizes = sizes[:2]
	}
	for name, lie := range lies {
		for _, n := range sizes {
			s := newSim(5, n, 1000, 800, time.Second)
			s.tamper = func(from, _ *simMember, data []byte) []byte {
				m, err := wire.Decode(data)
				if err != nil || m.Report == nil || from != s.members[0] {
					return data
				}
				for i := range m.Report.Rows {
					lie(&m.Report.Rows[i])
				}
				lied, err := wire.AppendReport(nil, m.Report)
				if err != nil {
					return data
				}
				return lied
			}
			s.run(s.now + 30*time.Second)
			if s.trips > 0 {
				t.Errorf("%s, n=%d: dimmed %d times while healthy", name, n, s.trips)
			}
			from := s.second()
			s.stall(10 * time.Second)
			s.run(s.now + 4*time.Second)
			if r := s.restricted(); r < n {
				t.Errorf("%s, n=%d: %d members act on the stall", name, n, r)
			}
			s.run(s.now + 66*time.Second)
			if r := s.recovered(from + 10); r < 0 || r > 30 {
				t.Errorf("%s, n=%d: recovered in %d s", name, n, r)
			}
		}
	}
}

// TestCrashes: a member, then a steward, crash in mid-incident and a new member
// joins; the others carry on.
func TestCrashes(t *testing.T) {
	for seed := range uint64(3) {
		s := newSim(seed, 12, 500, 400, time.Second)
		s.run(s.now + 15*time.Second)
		from := s.second()
		s.stall(10 * time.Second)
		s.run(s.now + 3*time.Second)
		s.kill(s.stewards()[1], 8*time.Second)
		s.run(s.now + time.Second)
		for _, m := range s.members {
			if !m.dead && m != s.stewards()[0] && m != s.stewards()[2] {
				s.kill(m, 8*time.Second)
				break
			}
		}
		s.run(s.now + time.Second)
		s.join()
		s.run(s.now + 65*time.Second)
		r := s.recovered(from + 10)
		t.Logf("seed %d: goodput %.3f, recovered in %d s", seed, s.goodput(from, from+70), r)
		if r < 0 || r > 20 || s.retriesDimmed > 0 {
			t.Errorf("seed %d: recovered in %d s, %d retries while dimmed", seed, r, s.retriesDimmed)
		}
	}
}

// TestSplit: both sides of a split go on deciding, and nothing breaks when it
// heals.
func TestSplit(t *testing.T) {
	s := newSim(1, 20, 1000, 800, time.Second)
	s.run(s.now + 15*time.Second)
	s.network = func(a, b *simMember) bool { return (a.index < 12) == (b.index < 12) }
	s.after(8*time.Second, func() {
		for side := range 2 {
			var names []string
			for _, m := range s.members {
				if (m.index < 12) == (side == 0) {
					names = append(names, m.name())
				}
			}
			roster := node.NewRoster(names)
			for _, m := range s.members {
				if (m.index < 12) == (side == 0) {
					m.node.SetMembers(roster)
				}
			}
		}
	})
	from := s.second()
	s.stall(10 * time.Second)
	s.run(s.now + 40*time.Second)
	s.network = nil
	s.tellMembers()
	s.run(s.now + 40*time.Second)
	r := s.recovered(from + 10)
	t.Logf("goodput %.3f, recovered in %d s", s.goodput(from, from+70), r)
	if r < 0 || r > 35 {
		t.Errorf("recovered in %d s", r)
	}
}

// TestLoss: one in ten messages is lost.
func TestLoss(t *testing.T) {
	s := newSim(1, 12, 500, 400, time.Second)
	s.loss = .1
	s.run(s.now + 30*time.Second)
	if s.trips > 0 {
		t.Errorf("dimmed %d times while healthy", s.trips)
	}
	from := s.second()
	s.stall(10 * time.Second)
	s.run(s.now + 70*time.Second)
	if r := s.recovered(from + 10); r < 0 || r > 20 {
		t.Errorf("recovered in %d s", r)
	}
}
