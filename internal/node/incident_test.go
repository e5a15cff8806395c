package node_test

import (
	"testing"
	"time"
)

// incidents are scenarios with a bound on what the fleet makes of them. The
// bounds leave room for chance; the log tells the figures.
var incidents = []struct {
	name     string
	members  int
	capacity float64
	lasts    time.Duration // of the fault
	fault    func(*sim)
	goodput  float64 // at least, from the fault to 60 s after it
	recovery int     // seconds, at most
	peak     float64 // load over capacity after the trip, at most; 0 unchecked
}{
	{"stall, 12 members", 12, 1000, 10 * time.Second, func(s *sim) { s.stall(10 * time.Second) }, .72, 13, 1},
	{"stall, 100 members", 100, 1000, 10 * time.Second, func(s *sim) { s.stall(10 * time.Second) }, .72, 13, 1},
	{"short stall at a low rate", 12, 100, 6 * time.Second, func(s *sim) { s.stall(6 * time.Second) }, .75, 13, 1.2},
	{"half capacity, 12 members", 12, 1000, 30 * time.Second, halve, .76, 9, 0},
	{"half capacity, 100 members", 100, 1000, 30 * time.Second, halve, .76, 9, 0},
	{"surge, 12 members", 12, 1000, 60 * time.Second, surge, .68, 7, 0},
	{"surge, 100 members", 100, 1000, 60 * time.Second, surge, .68, 7, 0},
}

func halve(s *sim) {
	s.capacity /= 2
	s.after(30*time.Second, func() { s.capacity *= 2 })
}

func surge(s *sim) {
	s.load *= 1.5 / .8
	s.after(60*time.Second, func() { s.load /= 1.5 / .8 })
}

func TestIncidents(t *testing.T) {
	for _, c := range incidents {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && c.members > 12 {
				t.Skip("takes seconds")
			}
			t.Parallel()
			seeds := uint64(3)
			if testing.Short() {
				seeds = 1
			}
			for seed := range seeds {
				s := newSim(seed, c.members, c.capacity, .8*c.capacity, time.Second)
				s.run(s.now + 20*time.Second)
				if s.trips > 0 {
					t.Fatalf("seed %d: dimmed while healthy", seed)
				}
				from := s.second()
				firsts, attempts := s.firsts, s.attempts
				c.fault(s)
				s.run(s.now + c.lasts + 10*time.Second)
				amplification := float64(s.attempts-attempts) / float64(s.firsts-firsts)
				s.run(s.now + 50*time.Second)
				end := from + int(c.lasts/time.Second)
				goodput, recovery, peak := s.goodput(from, end+60), s.recovered(end), s.peak(from+4, end+60)
				t.Logf("seed %d: goodput %.3f, recovered in %d s, peak %.2f, amplification %.2f", seed, goodput, recovery, peak, amplification)
				if goodput < c.goodput || recovery < 0 || recovery > c.recovery || amplification > 1.05 || s.retriesDimmed > 0 || c.peak > 0 && peak > c.peak {
					t.Errorf("seed %d: out of bounds (%d retries while dimmed)", seed, s.retriesDimmed)
				}
			}
		})
	}
}

// TestIncidentsAreReproducible: the same seed gives the same history.
func TestIncidentsAreReproducible(t *testing.T) {
	history := func() (attempts, ok int) {
		s := newSim(7, 12, 500, 400, time.Second)
		s.run(s.now + 10*time.Second)
		s.stall(5 * time.Second)
		s.run(s.now + 20*time.Second)
		for _, n := range s.ok {
			ok += n
		}
		return s.attempts, ok
	}
	a1, ok1 := history()
	a2, ok2 := history()
	if a1 != a2 || ok1 != ok2 {
		t.Errorf("two runs of one seed differ: %d attempts and %d successes, %d and %d", a1, ok1, a2, ok2)
	}
}
