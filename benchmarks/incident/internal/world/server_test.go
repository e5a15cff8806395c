package world

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// plan is a scenario on a server of 100 requests a second, with the fault at 1 s.
func plan(t *testing.T, id string) *Plan {
	t.Helper()
	l, err := Find(id)
	if err != nil {
		t.Fatal(err)
	}
	return &Plan{Scenario: l[0], Members: 10, Capacity: 100, Load: .8, Onset: sec, Seed: 1}
}

func at(seconds float64) time.Duration { return time.Duration(seconds * float64(sec)) }

func near(a, b time.Duration) bool { return (a - b).Abs() < time.Millisecond }

// TestWork: a request takes what the capacity of the moment makes of it, and one
// waits for those before it.
func TestWork(t *testing.T) {
	for _, x := range []struct {
		scenario string
		arrive   []float64
		done     []float64
	}{
		{"S1", []float64{0, 0, 0, .5}, []float64{.01, .02, .03, .51}},
		{"S1", []float64{.995, 2, 6}, []float64{7.005, 7.015, 7.025}}, // from 1 to 7 s nothing is worked on
		{"S3", []float64{2, 2, 10.995}, []float64{2.02, 2.04, 11.0075}},
		{"S6", []float64{6, 6}, []float64{6 + .01/.3, 6 + .02/.3}},
	} {
		s := NewServer(plan(t, x.scenario), 0)
		for i, a := range x.arrive {
			done, err := s.take(at(a))
			if err != nil || !near(done, at(x.done[i])) {
				t.Errorf("%s: what arrives at %v is done at %v (%v), want %v", x.scenario, a, done, err, x.done[i])
			}
		}
		if len(s.Arrived()) != len(x.arrive) {
			t.Errorf("%s: %d arrivals noted", x.scenario, len(s.Arrived()))
		}
	}
}

// TestAbandonedWorkIsDone: a server that stalls works off afterwards what came
// meanwhile, whoever still waits for it.
func TestAbandonedWorkIsDone(t *testing.T) {
	s := NewServer(plan(t, "S1"), 0)
	for i := range 480 { // 80 a second for 6 s
		_, _ = s.take(at(1 + float64(i)/80))
	}
	if done, _ := s.take(at(7)); !near(done, at(7+4.81)) {
		t.Errorf("the backlog is done at %v", done)
	}
}

func TestFates(t *testing.T) {
	fates := func(id string, zone int) (ok, refused, failed, lost int) {
		s := NewServer(plan(t, id), zone)
		for i := range 1000 {
			done, err := s.take(at(1.5 + float64(i)/100))
			switch {
			case errors.Is(err, errRefused):
				refused++
			case errors.Is(err, errFailed):
				failed++
			case done < 0:
				lost++
			default:
				ok++
			}
		}
		return ok, refused, failed, lost
	}
	within := func(n, want int) bool { return n > want-60 && n < want+60 }
	if ok, refused, _, _ := fates("S2", 0); refused < 940 || ok+refused != 1000 { // it is back at 11 s
		t.Errorf("S2 refuses %d", refused)
	}
	if _, _, failed, _ := fates("S4-30", 0); !within(failed, 285) {
		t.Errorf("S4-30 fails %d", failed)
	}
	if _, refused, _, _ := fates("S4-60u", 0); !within(refused, 570) {
		t.Errorf("S4-60u refuses %d", refused)
	}
	if _, _, _, lost := fates("S4-60b", 0); !within(lost, 570) {
		t.Errorf("S4-60b loses %d", lost)
	}
	if ok, _, _, _ := fates("F1b", 1); ok != 1000 {
		t.Errorf("zone B takes %d while A is a hole", ok)
	}
}

// TestShortQueue: it refuses what would wait longer than a tenth of a second.
func TestShortQueue(t *testing.T) {
	s := NewServer(plan(t, "S3r"), 0)
	taken := 0
	for range 100 {
		if _, err := s.take(0); err == nil {
			taken++
		}
	}
	if taken != 11 { // one is worked on
		t.Errorf("%d are taken", taken)
	}
	if _, err := s.take(at(.2)); err != nil {
		t.Error("refused although nothing waits")
	}
}

// TestArrivals: the seed fixes the traffic, which has the rate that was asked for.
func TestArrivals(t *testing.T) {
	p := plan(t, "S11")
	p.Capacity, p.Members = 1000, 4
	before, during := 0, 0
	for m := range p.Members {
		l := p.Arrivals(m)
		if !slices.Equal(l, p.Arrivals(m)) || !slices.IsSorted(l) {
			t.Fatal("the same seed gives other traffic")
		}
		for _, d := range l {
			switch {
			case d < p.Onset:
				before++
			case d < p.End():
				during++
			}
		}
	}
	if before < 700 || before > 900 || during < 17500 || during > 18500 {
		t.Errorf("%d calls in a second at 800/s, %d in 12 s at 1500/s", before, during)
	}
	other := *p
	other.Seed = 2
	if slices.Equal(p.Arrivals(0), other.Arrivals(0)) || slices.Equal(p.Arrivals(0), p.Arrivals(1)) {
		t.Error("other seeds or members have the same traffic")
	}
}

// TestZones: demand and capacity are shared out as in the simulator.
func TestZones(t *testing.T) {
	p := plan(t, "F1r")
	p.Capacity, p.Members = 1000, 30
	demand := [2]float64{}
	for m := range p.Members {
		demand[p.Home(m)] += p.Demand(m, 0)
	}
	if p.CapacityOf(0) != 600 || p.CapacityOf(1) != 400 || !near(at(demand[0]), at(480)) || !near(at(demand[1]), at(200)) {
		t.Errorf("capacity %v and %v, demand %v", p.CapacityOf(0), p.CapacityOf(1), demand)
	}
	if p.CapacityAt(0, at(2)) != 0 || p.CapacityAt(1, at(2)) != 400 || p.CapacityAt(0, p.End()) != 600 {
		t.Error("the capacity does not follow the fault")
	}
}

// TestScenarios: names are unique, unknown ones are all told, and scaling keeps a
// scenario's shape.
func TestScenarios(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range All {
		if seen[s.ID] {
			t.Errorf("there are two %s", s.ID)
		}
		seen[s.ID] = true
		half := s.Scaled(.5)
		for f := range 20 {
			d := s.Fault * time.Duration(f) / 20
			if a, b := s.At(0, d), half.At(0, d/2); a.Down() != b.Down() || a.Share-b.Share > 1e-6 {
				t.Errorf("%s is %+v at %v, and scaled %+v", s.ID, a, d, b)
			}
		}
		if s.At(0, -1) != well || s.At(0, s.Fault) != well {
			t.Errorf("%s is not well outside of its fault", s.ID)
		}
	}
	if _, err := Find("S1,S98,S99"); err == nil || err.Error() != "there is no scenario S98, S99; see -list" {
		t.Errorf("the error is %v", err)
	}
}
