package peers

import (
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// newProxy returns a client whose sweeps are at whole tens of seconds after
// sim.Start, the first after ten.
func newProxy(endpoints int) *envoy {
	c := newEnvoy(sim.Start, env(endpoints)).(*envoy)
	c.sweepAt = sim.Start + envoyInterval
	return c
}

// to makes a first try and returns where it went.
func to(c sim.Client, now time.Duration, o sim.Outcome) int {
	a := &sim.Attempt{N: 1}
	c.Admit(now, a)
	c.End(now, a, o, 0)
	return a.Endpoint
}

func TestEnvoyEjects(t *testing.T) {
	c := newProxy(2)
	at := func(seconds float64) time.Duration {
		return sim.Start + time.Duration(seconds*float64(time.Second))
	}
	expect := func(seconds float64, want int, o sim.Outcome) {
		t.Helper()
		if got := to(c, at(seconds), o); got != want {
			t.Errorf("after %v s it goes to %d, want %d", seconds, got, want)
		}
	}
	times(4, func() { expect(0, 0, sim.Failed) })
	expect(0, 0, sim.OK) // a row no more
	times(4, func() { expect(1, 0, sim.TimedOut) })
	expect(1, 0, sim.Failed) // the fifth in a row
	expect(1, 1, sim.OK)

	// The other host is not ejected as well: one at a time.
	times(20, func() { expect(2, 1, sim.Failed) })
	expect(30.9, 1, sim.OK)
	expect(39.9, 1, sim.OK) // 30 s are over, but no sweep came
	expect(40, 0, sim.OK)

	// Out again, now for 60 s.
	times(5, func() { expect(45, 0, sim.Failed) })
	expect(100, 1, sim.OK)
	expect(109.9, 1, sim.OK)
	expect(110, 0, sim.OK)

	// Each sweep that finds it in makes the next ejection one shorter: 120 and
	// 130 lower the two to none, and so it is 30 s again.
	expect(135, 0, sim.OK)
	times(5, func() { expect(135, 0, sim.Failed) })
	expect(169.9, 1, sim.OK)
	expect(170, 0, sim.OK)
}

// TestEnvoyLongestEjection: a host that fails whenever it is in is out for 30 s
// more each time, up to 300 s.
func TestEnvoyLongestEjection(t *testing.T) {
	c := newProxy(2)
	var outs []time.Duration
	out, since := false, sim.Start
	for now := sim.Start; len(outs) < 12; now += time.Second {
		for range 5 {
			if host := to(c, now, sim.Failed); (host == 1) != out {
				if out {
					outs = append(outs, now-since)
				}
				out, since = host == 1, now
			}
		}
		if c.hosts[0].ejected && !out {
			out, since = true, now
		}
	}
	for i, got := range outs {
		want := min(time.Duration(i+1)*30*time.Second, 300*time.Second)
		if got < want || got >= want+10*time.Second {
			t.Errorf("ejection %d took %v, want %v and up to 10 s more", i+1, got, want)
		}
	}
	if got := c.hosts[0].ejections; got != 11 {
		t.Errorf("it is to recover from %d ejections, want 11: one more than counts", got)
	}
}

// TestEnvoyPanics: an only endpoint is ejected, and gets everything all the
// same.
func TestEnvoyPanics(t *testing.T) {
	c := newProxy(1)
	for i := range 100 {
		if !c.Admit(sim.Start, &sim.Attempt{N: 1}) {
			t.Fatalf("attempt %d was refused", i)
		}
		c.End(sim.Start, &sim.Attempt{N: 1}, sim.Failed, 0)
	}
	if !c.hosts[0].ejected {
		t.Error("it is not ejected")
	}
}

// TestEnvoyMaxEjected: of 20 hosts two may be out, and the others share what
// came for them.
func TestEnvoyMaxEjected(t *testing.T) {
	c := newProxy(20)
	fail := func(host int) {
		for range 5 {
			a := &sim.Attempt{N: 1}
			c.Admit(sim.Start, a)
			a.Endpoint = host
			c.End(sim.Start, a, sim.Failed, 0)
		}
	}
	fail(0)
	fail(0) // out already
	fail(7)
	fail(8)
	if c.ejected != 2 || c.hosts[8].ejected {
		t.Errorf("%d hosts are out, want 2", c.ejected)
	}
	seen := map[int]int{}
	for range 36 {
		seen[to(c, sim.Start, sim.OK)]++
	}
	for host := range 20 {
		want := 2
		if host == 0 || host == 7 {
			want = 0
		}
		if seen[host] != want {
			t.Errorf("host %d got %d attempts, want %d", host, seen[host], want)
		}
	}
}

// TestEnvoyCountsExactly: failures of a host that is out do nothing, and once it
// is back it takes five again.
func TestEnvoyCountsExactly(t *testing.T) {
	c := newProxy(1)
	for range 23 {
		to(c, sim.Start, sim.Failed)
	}
	if c.hosts[0].ejections != 1 {
		t.Errorf("ejected %d times", c.hosts[0].ejections)
	}
	now := sim.Start + 30*time.Second
	times(4, func() { to(c, now, sim.Failed) })
	if c.hosts[0].ejected {
		t.Error("ejected after four failures")
	}
	to(c, now, sim.Failed)
	if !c.hosts[0].ejected || c.hosts[0].ejections != 2 {
		t.Error("not ejected after five")
	}
}

func TestEnvoyRetryBudget(t *testing.T) {
	for _, c := range []struct{ inFlight, want int }{{0, 3}, {15, 3}, {19, 3}, {20, 4}, {100, 20}, {104, 20}, {105, 21}} {
		p := newProxy(1)
		times(c.inFlight, func() { p.Admit(sim.Start, &sim.Attempt{N: 1}) })
		if got := granted(t, p, sim.Start, sim.Failed); got != c.want {
			t.Errorf("%d in flight: %d retries at once, want %d", c.inFlight, got, c.want)
		}
	}
	// A retry's place is free again at its end, however that comes.
	p := newProxy(1)
	for range 100 {
		call(p, sim.Start, 0, sim.Failed)
		call(p, sim.Start, 0, sim.Failed, sim.TimedOut, sim.OK)
	}
	if p.retries != 0 || p.inFlight != 0 {
		t.Errorf("%d retries and %d attempts in flight after all", p.retries, p.inFlight)
	}
}

// TestEnvoySweepsApart: proxies do not sweep in step.
func TestEnvoySweepsApart(t *testing.T) {
	e := env(2)
	first := 0
	for range 1000 {
		c := newEnvoy(sim.Start, e).(*envoy)
		if c.sweepAt < sim.Start+5*time.Second {
			first++
		}
		if c.sweepAt < sim.Start || c.sweepAt >= sim.Start+10*time.Second {
			t.Fatalf("first sweep after %v", c.sweepAt-sim.Start)
		}
	}
	if first < 400 || first > 600 {
		t.Errorf("%d of 1000 sweep within 5 s, want half", first)
	}
}
