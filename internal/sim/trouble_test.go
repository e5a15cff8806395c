package sim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/sim"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// TestHealthyErrors: 5 % errors, fast or slow, never dim.
func TestHealthyErrors(t *testing.T) {
	t.Parallel()
	for _, how := range []sim.Fate{sim.Rejected, sim.Swallowed} {
		c := newCluster(1, 12, 1000, 400, sim.Network{})
		c.server().Fate = func(*sim.Member) sim.Fate {
			if c.FaultRand().Float64() < .05 {
				return how
			}
			return sim.Queued
		}
		c.Run(3 * time.Minute)
		if n := c.count().Trips; n > 0 {
			t.Errorf("%v: dimmed %d times at 5 %% errors", how, n)
		}
	}
}

// TestHardDown: instant refusals cost no time and are not dimmed, but retries
// are off since they do not help; all is well as soon as the server is.
func TestHardDown(t *testing.T) {
	t.Parallel()
	c := newCluster(1, 12, 1000, 400, sim.Network{})
	c.Run(10 * time.Second)
	c.server().Fate = func(*sim.Member) sim.Fate { return sim.Rejected }
	c.Run(10 * time.Second)
	if c.count().Trips > 0 {
		t.Error("dimmed on refusals")
	}
	for _, m := range c.Members() {
		if a := m.Advice(0, 0); a.Mode != coord.RetryNone {
			t.Errorf("%s: retries %v while everything is refused", m.Name, a.Mode)
		}
	}
	c.server().Fate = nil
	from := c.Second()
	c.Run(20 * time.Second)
	if r := c.recovered(from); r != 0 {
		t.Errorf("recovered after %d s, want at once", r)
	}
	if n := c.count().Restricted; n > 0 {
		t.Errorf("%d members still restricted 20 s later", n)
	}
}

// TestBrokenPath: one member whose own path is broken dims nobody.
func TestBrokenPath(t *testing.T) {
	t.Parallel()
	for _, n := range []int{3, 10, 50} {
		c := newCluster(2, n, 1000, 400, sim.Network{})
		c.server().Fate = func(m *sim.Member) sim.Fate {
			if m.Index == 0 {
				return sim.Swallowed
			}
			return sim.Queued
		}
		c.Run(time.Minute)
		if trips := c.count().Trips; trips > 0 {
			t.Errorf("n=%d: one member's broken path dimmed the endpoint %d times", n, trips)
		}
	}
}

// TestLyingSteward: a steward that always says "closed to all" or "all is well"
// neither dims a healthy endpoint nor holds a stalled one open.
func TestLyingSteward(t *testing.T) {
	t.Parallel()
	for name, lie := range map[string]func(*wire.VerdictRow){"closed to all": sim.ClosedToAll, "all is well": sim.AllIsWell} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(3, 12, 1000, 800, sim.Network{})
			c.Stewards(0)[0].LieInVerdicts(lie)
			c.Run(30 * time.Second)
			if n := c.count().Trips; n > 0 {
				t.Errorf("dimmed %d times while healthy", n)
			}
			from := c.Second()
			c.stall(10 * time.Second)
			c.Run(5 * time.Second)
			if n := c.count().Restricted; n < len(c.Members())-1 {
				t.Errorf("only %d of %d members act on the stall", n, len(c.Members()))
			}
			c.Run(65 * time.Second)
			r := c.recovered(from + 10)
			t.Logf("goodput %.3f, recovered in %d s", c.count().Goodput(from, from+70), r)
			if r < 0 || r > 25 {
				t.Errorf("recovered in %d s", r)
			}
		})
	}
}

// TestLyingReporter: one member whose reports are wrong trips no healthy
// endpoint and holds no stalled one open.
func TestLyingReporter(t *testing.T) {
	t.Parallel()
	sizes := []int{3, 5, 12, 50}
	if brief() {
		sizes = sizes[:2]
	}
	for _, lie := range sim.Lies() {
		for _, n := range sizes {
			t.Run(fmt.Sprintf("%s, %d members", lie.Name, n), func(t *testing.T) {
				t.Parallel()
				c := newCluster(5, n, 1000, 800, sim.Network{})
				c.Members()[0].LieInReports(lie.Report)
				c.Run(30 * time.Second)
				if trips := c.count().Trips; trips > 0 {
					t.Errorf("dimmed %d times while healthy", trips)
				}
				from := c.Second()
				c.stall(10 * time.Second)
				c.Run(4 * time.Second)
				if r := c.count().Restricted; r < n {
					t.Errorf("%d members act on the stall", r)
				}
				c.Run(66 * time.Second)
				if r := c.recovered(from + 10); r < 0 || r > 30 {
					t.Errorf("recovered in %d s", r)
				}
			})
		}
	}
}

// TestCrashes: a steward, then a member that is none, crash in mid-incident and a
// new member joins; the others carry on.
func TestCrashes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		c := newCluster(seed, 12, 500, 400, sim.Network{})
		c.Run(15 * time.Second)
		from := c.Second()
		c.stall(10 * time.Second)
		c.Run(3 * time.Second)
		stewards := c.Stewards(0)
		c.Crash(stewards[1])
		c.Run(time.Second)
		for _, m := range c.Live() {
			if m != stewards[0] && m != stewards[2] {
				c.Crash(m)
				break
			}
		}
		c.Run(time.Second)
		c.Join()
		c.Run(65 * time.Second)
		r := c.recovered(from + 10)
		t.Logf("seed %d: goodput %.3f, recovered in %d s", seed, c.count().Goodput(from, from+70), r)
		if r < 0 || r > 20 || c.retriesDimmed > 0 {
			t.Errorf("seed %d: recovered in %d s, %d retries while dimmed", seed, r, c.retriesDimmed)
		}
	}
}

// TestSplit: both sides of a split go on deciding, and nothing breaks when it
// heals.
func TestSplit(t *testing.T) {
	t.Parallel()
	c := newCluster(1, 20, 1000, 800, sim.Network{})
	c.Run(15 * time.Second)
	c.Split(func(m *sim.Member) bool { return m.Index >= 12 }, false)
	from := c.Second()
	c.stall(10 * time.Second)
	c.Run(40 * time.Second)
	c.Heal()
	c.Run(40 * time.Second)
	r := c.recovered(from + 10)
	t.Logf("goodput %.3f, recovered in %d s", c.count().Goodput(from, from+70), r)
	if r < 0 || r > 35 {
		t.Errorf("recovered in %d s", r)
	}
	if n := c.count().Restricted; n > 0 {
		t.Errorf("%d members are still restricted", n)
	}
}

// TestDemandFalls: demand falls while a dead endpoint is probed, as it does when
// users give up; when the endpoint is back, so is the traffic.
func TestDemandFalls(t *testing.T) {
	t.Parallel()
	for _, load := range []float64{300, 150, 40} {
		for seed := range uint64(2) {
			c := newCluster(seed, 12, 500, 400, sim.Network{})
			c.Run(15 * time.Second)
			c.stall(20 * time.Second)
			c.Run(8 * time.Second)
			c.SetLoad(0, load)
			c.Run(72 * time.Second)
			if r := c.recovered(35); r < 0 || r > 20 {
				t.Errorf("demand falls from 400 to %.0f, seed %d: recovered in %d s; %d of 12 members are still restricted", load, seed, r, c.count().Restricted)
			}
		}
	}
}

// TestLoss: one in ten messages is lost.
func TestLoss(t *testing.T) {
	t.Parallel()
	c := newCluster(1, 12, 500, 400, sim.Network{Loss: .1})
	c.Run(30 * time.Second)
	if n := c.count().Trips; n > 0 {
		t.Errorf("dimmed %d times while healthy", n)
	}
	from := c.Second()
	c.stall(10 * time.Second)
	c.Run(70 * time.Second)
	if r := c.recovered(from + 10); r < 0 || r > 20 {
		t.Errorf("recovered in %d s", r)
	}
}
