package sim_test

import (
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// TestStewardsWhoDoNotUseIt: it is all the same whether the stewards use the
// service themselves. They hear of each other's decisions even while nothing
// changes for long; else none would know what is in force, and none would raise
// phi again.
func TestStewardsWhoDoNotUseIt(t *testing.T) {
	t.Parallel()
	for _, lasts := range []time.Duration{10 * time.Second, time.Minute} {
		for seed := range uint64(2) {
			c := newCluster(seed, 20, 500, -1, sim.Network{})
			users := c.others()
			for _, m := range c.Stewards(0) {
				m.Abstain()
			}
			c.calls(users, 400)
			c.Run(20 * time.Second)
			from := c.Second()
			c.stall(lasts)
			c.Run(5 * time.Second)
			if n := c.count().Dimmed; n < len(users) {
				t.Errorf("seed %d: only %d of %d users are dimmed", seed, n, len(users))
			}
			c.Run(lasts + 35*time.Second)
			if r := c.recovered(from + int(lasts/time.Second)); r < 0 || r > 13 {
				t.Errorf("seed %d: recovered in %d s from a stall of %v", seed, r, lasts)
			}
			if n := c.count().Restricted; n > 0 {
				t.Errorf("seed %d: %d members are still restricted", seed, n)
			}
		}
	}
}

// others are the members that are no stewards.
func (c *cluster) others() (l []*sim.Member) {
	steward := map[*sim.Member]bool{}
	for _, m := range c.Stewards(0) {
		steward[m] = true
	}
	for _, m := range c.Live() {
		if !steward[m] {
			l = append(l, m)
		}
	}
	return l
}

// calls lets members make so many calls a second, all together, at random.
func (c *cluster) calls(members []*sim.Member, load float64) {
	rng := c.FaultRand()
	gap := time.Duration(rng.ExpFloat64() / load * float64(time.Second))
	c.World.After(gap, func() {
		c.calls(members, load)
		c.Begin(0, members[rng.IntN(len(members))])
	})
}

// TestOneBusyOneBroken: a member whose path is broken and that makes nearly all
// of the calls cuts itself off, by the cluster's advice or its own breaker, and
// nobody of those that call once in a while.
func TestOneBusyOneBroken(t *testing.T) {
	t.Parallel()
	c := newCluster(3, 4, 1000, -1, sim.Network{})
	c.server().Fate = func(m *sim.Member) sim.Fate {
		if m.Index == 0 {
			return sim.Swallowed
		}
		return sim.Queued
	}
	rng := c.FaultRand()
	wanted, refused := make([]int, 4), make([]int, 4)
	var call func(m *sim.Member, every time.Duration)
	call = func(m *sim.Member, every time.Duration) {
		c.World.After(every+time.Duration(rng.Int64N(int64(every/4))), func() { call(m, every) })
		was := c.count().Refused
		c.Begin(0, m)
		wanted[m.Index]++
		refused[m.Index] += c.count().Refused - was
	}
	call(c.Members()[0], 5*ms)
	for _, m := range c.Members()[1:] {
		c.World.After(20*time.Second, func() { call(m, 15*time.Second) })
	}
	c.Run(5 * time.Minute)
	t.Logf("wanted %v, refused %v", wanted, refused)
	for i := range wanted {
		if i == 0 && refused[i] < wanted[i]/8 {
			t.Errorf("only %d of %d calls of the broken member were refused", refused[i], wanted[i])
		}
		if i > 0 && (refused[i] > 0 || wanted[i] < 15) {
			t.Errorf("%d of %d calls of member %d were refused", refused[i], wanted[i], i)
		}
	}
}

// TestNewStewards: two of three stewards are replaced in mid-incident, by members
// that take over where those left off: load does not jump to full, however long it
// takes until they are missed.
func TestNewStewards(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]func(*sim.World, *sim.Member){
		"noticed after 2 s": func(w *sim.World, m *sim.Member) { w.CrashNoticed(m, 2*time.Second) },
		"crash":             (*sim.World).Crash,
		"departure":         (*sim.World).Leave,
	} {
		for seed := range uint64(3) {
			c := newCluster(seed, 12, 500, 400, sim.Network{})
			c.Run(15 * time.Second)
			from := c.Second()
			c.stall(20 * time.Second)
			c.Run(8 * time.Second)
			for _, m := range c.Stewards(0)[:2] {
				gone(c.World, m)
			}
			at := c.Second()
			c.Run(11 * time.Second)
			peak := c.server().Peak(at+1, at+10, func(int) float64 { return 500 })
			c.Run(50 * time.Second)
			r := c.recovered(from + 20)
			t.Logf("%s, seed %d: at most %.2f of the capacity arrived at a stalled server; recovered in %d s", name, seed, peak, r)
			if peak > .3 {
				t.Errorf("%s, seed %d: %.2f of the capacity arrives at a stalled server", name, seed, peak)
			}
			if r < 0 || r > 20 {
				t.Errorf("%s, seed %d: recovered in %d s", name, seed, r)
			}
		}
	}
}
