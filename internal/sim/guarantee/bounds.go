package guarantee

import (
	"math"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/law"
	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/sim"
	"github.com/murmuration-go/murmuration/internal/wire"
)

const (
	maxMessage  = 1200
	probeWindow = 10 * time.Second
	probeRate   = 3.
	probeSlack  = 1.2 // demand may grow so far before probing follows
	round       = 1.5 / 65535
)

// Sent checks G5: while an endpoint answers nobody, and has not for long enough
// that the stewards must have found out and gone down to probing, first tries
// reach it about three times a second, on each side of a split.
//
// Members that have fewer than two fresh verdicts are left out: they are local.
// So is a cluster that was disturbed of late, one with several broken members, and
// an endpoint at which only two are at home: a restriction takes two, and of two
// members that call now and then each is for seconds the only one to report, whose
// word binds nobody else; and if one of two is broken the other one is alone. Nor is
// it looked at once bits have been flipped: of what a member passes on for others
// that makes other words, by which a steward may fall silent to some for good.
func (c *Checker) Sent(w *sim.World, m *sim.Member, service int, a *sim.Attempt) {
	if a.Diverted {
		return
	}
	if a.N > 1 {
		c.budget(w, service)
	}
	p := place{service, a.Endpoint}
	since, down := c.down[p]
	if !down || a.N > 1 || m.Node() == nil || m.Advice(service, a.Endpoint).Fresh < 2 {
		return
	}
	if atHome(w, p) < 3 || liars(w) > 1 || w.Garbled() {
		return
	}
	grace := 12*time.Second + 6*w.Timeout()
	if w.Now()-since < grace || w.Now()-c.calm < grace {
		delete(c.probes, p)
		return
	}
	l := c.probes[p]
	l = append(l, w.Now())
	for len(l) > 0 && w.Now()-l[0] > probeWindow {
		l = l[1:]
	}
	c.probes[p] = l
	mean := probeRate * probeWindow.Seconds() * float64(w.Sides())
	limit := probeSlack*mean + 5*math.Sqrt(probeSlack*mean) // chance makes it more once in a million windows
	c.Probes = max(c.Probes, float64(len(l))/mean)
	c.check(w, "G5", float64(len(l)) <= limit,
		"%d first tries in %v reached %s, which has answered nobody for %v", len(l), probeWindow, w.Service(service).Servers[a.Endpoint].Name, w.Now()-since)
}

// atHome counts the members whose first tries go to an endpoint.
func atHome(w *sim.World, p place) (n int) {
	for _, m := range w.Live() {
		if m.IsHome(p.service, p.endpoint) {
			n++
		}
	}
	return n
}

// gradual checks G6: phi rises only from DIM and after a clean epoch, and then by
// at most twice what is in force below the ceiling, 1.12 times above it, or to .1
// out of probing. An epoch that was not clean leaves it at what is in force or
// below. (Beyond that there is the trickle of probes, which follows the demand;
// and what was dimmed on the only reporter's word ends when there is another.)
func (c *Checker) gradual(w *sim.World, m *sim.Member, d *node.Decision) {
	was, is := &d.Was, &d.Is
	c.check(w, "G6", is.State == wire.Dim || is.Phi == coord.PhiFull,
		"%s: phi %.4f while %v", m.Name, is.Phi.Float(), is.State)
	if is.Phi <= was.Phi || is.Why == law.NotAlone {
		c.checks["G6"]++
		return
	}
	base := is.Base.Float()
	most := base
	if is.Why == law.Clean {
		most = 2 * base
		if base > 1.01*is.Ceil {
			most = 1.12 * base
		}
		most = max(most, .1)
	}
	most = max(most, min(1, probeRate/max(is.Demand, 1e-9)))
	c.check(w, "G6", was.State == wire.Dim && is.Phi.Float() <= most+round,
		"%s: phi rises from %.4f to %.4f (%v, %v); in force is %.4f, and at most %.4f is due", m.Name, was.Phi.Float(), is.Phi.Float(), was.State, is.Why, base, most)
}

// bounded checks G9 for what a node keeps.
func (c *Checker) bounded(w *sim.World, m *sim.Member) {
	z := m.Node().Sizes()
	c.check(w, "G9", z.Services <= node.MaxKnown && z.Views <= 3*coord.MaxEndpoints && z.Duties <= coord.MaxEndpoints &&
		z.Callers <= len(w.Members()) && z.Reporters <= law.MaxReporters, "%s keeps %+v", m.Name, z)
}

// letGo is how long after all faults have ended an endpoint may still be dimmed:
// crashes are to be noticed, sides to find together, and then a ramp takes seven
// or eight epochs.
const letGo = time.Minute

// letsGo checks that what is healthy is let alone in the end.
func (c *Checker) letsGo(w *sim.World, m *sim.Member) {
	if c.mended == 0 {
		return
	}
	for i, s := range w.Services() {
		for j, e := range s.Servers {
			if float64(e.Waiting()) > 5+.05*e.CapacityNow() {
				c.mended = w.Now() // not healthy yet
			}
			if w.Now()-c.mended >= letGo {
				a := m.Advice(i, j)
				c.check(w, "end", a.Phi == coord.PhiFull, "%s: phi %.4f of an endpoint that has been healthy for %v", m.Name, a.Phi.Float(), w.Now()-c.mended)
			}
		}
	}
}
