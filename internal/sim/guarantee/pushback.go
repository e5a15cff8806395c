package guarantee

import (
	"time"

	"github.com/murmuration-go/murmuration/internal/law"
	"github.com/murmuration-go/murmuration/internal/sim"
)

// longest is how long an endpoint is let alone at most.
const longest = 30 * time.Second

// ends is when a pushback ends that is decided at a time, 0 if there is none.
func ends(asOf, pushback time.Duration) time.Duration {
	if pushback == 0 {
		return 0
	}
	return asOf + min(pushback, longest)
}

// pushback checks until when a member's retries to an endpoint wait. By G3 that is
// the second latest end by fresh verdicts of its stewards (give or take a tick, but
// never later), and nobody waits for what one broken member has made up. By G4 it
// does not move without two fresh verdicts. And it is thirty seconds at most.
func (c *Checker) pushback(w *sim.World, m *sim.Member, p place, now time.Duration, a *sim.Advice) {
	b := c.books[m]
	c.check(w, "G3", a.Until <= now+longest, "%s: retries wait for %v", m.Name, a.Until-now)
	s := w.Service(p.service).Servers[p.endpoint]
	c.check(w, "G3", a.Until == 0 || s.PushedBack > 0 || !m.Honest() || c.liarsOfLate(w) > 1,
		"%s: retries wait for %v for an endpoint that has never asked for it, with %d member(s) broken", m.Name, a.Until-now, liars(w))

	var first, second time.Duration
	fresh := 0
	for _, e := range b.heard[p] {
		if !e.fresh(now) {
			continue
		}
		fresh++
		if first < e.until {
			first, second = e.until, first
		} else {
			second = max(second, e.until)
		}
	}
	if fresh < 2 || len(b.members) < 2 {
		c.check(w, "G4", a.Until <= b.advised[p].until,
			"%s: retries wait for %v with fewer than two fresh verdicts, not for %v as before", m.Name, a.Until-now, b.advised[p].until-now)
		return
	}
	c.check(w, "G3", a.Until <= second,
		"%s: retries wait for %v; the second of its stewards' fresh verdicts is %v", m.Name, a.Until-now, second-now)
	c.check(w, "G3", second <= now || second-a.Until < law.Tick,
		"%s: retries wait for %v only; the second of its stewards' fresh verdicts is %v", m.Name, max(a.Until-now, 0), second-now)
}

// liarsOfLate are the members that are broken, or were so lately that what they
// have said of a pushback may still last.
func (c *Checker) liarsOfLate(w *sim.World) int {
	n := 0
	for _, at := range c.lied {
		if w.Now()-at < longest+10*time.Second {
			n++
		}
	}
	return max(n, liars(w))
}
