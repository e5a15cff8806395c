package node_test

import (
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// TestStewardsWhoDoNotUseIt: it is all the same whether the stewards use the
// service themselves. They hear of each other's decisions even while nothing
// changes for long; else none would know what is in force, and none would raise
// phi again.
func TestStewardsWhoDoNotUseIt(t *testing.T) {
	for _, lasts := range []time.Duration{10 * time.Second, time.Minute} {
		for seed := range uint64(2) {
			s := newSim(seed, 20, 500, 400, time.Second)
			steward := map[int]bool{}
			for _, m := range s.stewards() {
				steward[m.index] = true
			}
			s.users = func(member int) bool { return !steward[member] }
			s.run(s.now + 20*time.Second)
			from := s.second()
			s.stall(lasts)
			s.run(s.now + lasts + 40*time.Second)
			if r := s.recovered(from + int(lasts/time.Second)); r < 0 || r > 13 {
				t.Errorf("seed %d: recovered in %d s from a stall of %v", seed, r, lasts)
			}
			if n := s.restricted(); n > 0 {
				t.Errorf("seed %d: %d members are still restricted", seed, n)
			}
		}
	}
}

// TestOneBusyOneBroken: a member whose path is broken and that makes nearly all
// of the calls dims itself, and nobody of those that call once in a while.
func TestOneBusyOneBroken(t *testing.T) {
	s := newSim(3, 4, 1000, 1e-3, time.Second) // arrivals are made here instead
	s.failing = func(member int) outcome {
		if member == 0 {
			return swallows
		}
		return served
	}
	wanted, dimmed := make([]int, len(s.members)), make([]int, len(s.members))
	var call func(m *simMember, every time.Duration)
	call = func(m *simMember, every time.Duration) {
		s.after(every+s.spread(every/4), func() { call(m, every) })
		wanted[m.index]++
		a := m.ep.Advice()
		m.ep.Wanted(s.rng.Uint32())
		if a.Phi < coord.PhiFull && coord.Phi(s.rng.Uint32()) >= a.Phi {
			dimmed[m.index]++
			return
		}
		s.send(m, a, 1, s.second())
	}
	call(s.members[0], 5*time.Millisecond)
	for _, m := range s.members[1:] {
		s.after(20*time.Second, func() { call(m, 15*time.Second) })
	}
	s.run(s.now + 5*time.Minute)
	t.Logf("wanted %v, dimmed %v", wanted, dimmed)
	for i := range s.members {
		if i == 0 && dimmed[i] < wanted[i]/8 {
			t.Errorf("only %d of %d calls of the broken member were dimmed", dimmed[i], wanted[i])
		}
		if i > 0 && (dimmed[i] > 0 || wanted[i] < 15) {
			t.Errorf("%d of %d calls of member %d were dimmed", dimmed[i], wanted[i], i)
		}
	}
}

// TestNewStewards: two of three stewards are replaced in mid-incident, by members
// that take over where those left off: load does not jump to full.
func TestNewStewards(t *testing.T) {
	for seed := range uint64(3) {
		s := newSim(seed, 12, 500, 400, time.Second)
		s.run(s.now + 15*time.Second)
		from := s.second()
		s.stall(20 * time.Second)
		s.run(s.now + 8*time.Second)
		gone := s.stewards()[:2]
		s.kill(gone[0], 2*time.Second)
		s.kill(gone[1], 2*time.Second)
		at := s.second()
		s.run(s.now + 10*time.Second)
		if p := s.peak(at+1, at+9); p > .3 {
			t.Errorf("seed %d: %.2f of the capacity arrives at a stalled server", seed, p)
		}
		s.run(s.now + 50*time.Second)
		if r := s.recovered(from + 20); r < 0 || r > 20 {
			t.Errorf("seed %d: recovered in %d s", seed, r)
		}
	}
}
