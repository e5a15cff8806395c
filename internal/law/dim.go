package law

import (
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// dimmer is the part of the state that lives in DIM.
type dimmer struct {
	base  coord.Phi     // the phi in force, on which the epoch judges
	since time.Duration // when the epoch began

	// ceil is the load that was too much the last time: as a share of the
	// demand right after a trip, then as a rate (first tries a second),
	// since the demand may move while the capacity does not.
	ceil      float64
	ceilShare bool

	lastTight float64 // mean latency of the last tight epoch, 0 none
	nonFalls  int     // tight epochs in a row that were not draining
	wentUp    bool    // the last step was up
	floor     bool    // nothing succeeded, and phi is down to the trickle of probes

	// Outcomes since the last step, whatever phi they were sent under, but for
	// those of the first attempt timeout.
	stepped time.Duration
	anyOK   float64
	any     float64

	only string // the one reporter there was at the trip; "" if there were more
}

func (s *Steward) enterDim(now time.Duration, phi, ceil float64, why Why) {
	s.state, s.why = wire.Dim, why
	s.phi = s.clampPhi(phi)
	s.dim = dimmer{base: s.dim.base, since: now, stepped: now, ceil: ceil, ceilShare: true}
	for _, r := range s.order {
		r.mark = r.row.Tagged
	}
}

// reconsider ends a DIM that rests on one reporter's word as soon as there is
// another: from now on it takes two. If the other one fails as well the endpoint
// stays dimmed as far as it is. Else what evidence there is stays, so that it is
// dimmed again as soon as the other one fails.
func (s *Steward) reconsider(now time.Duration, t *pooled) {
	if s.state != wire.Dim || s.dim.only == "" {
		return
	}
	for _, r := range s.order {
		if now-r.at < freshReport && r.name != s.dim.only {
			if s.dim.only = ""; !s.overloaded(t) {
				s.state, s.phi, s.why = wire.NotLoad, coord.PhiFull, NotAlone
			}
			return
		}
	}
}

// clampPhi bounds phi to [phiMin, 1]; it never rounds down to nothing at all.
func (s *Steward) clampPhi(phi float64) coord.Phi {
	return max(coord.PhiOf(min(max(phi, s.phiMin()), 1)), 1)
}

// ceiling is the ceiling as a fraction of the present demand.
func (s *Steward) ceiling() float64 {
	if s.dim.ceilShare {
		return s.dim.ceil
	}
	if s.demand.value <= 0 {
		return 1
	}
	return min(s.dim.ceil/s.demand.value, 1)
}

// ceilingNow is the ceiling while there is one.
func (s *Steward) ceilingNow() float64 {
	if s.state != wire.Dim {
		return 1
	}
	return s.ceiling()
}

// inForce is what the members apply: the median of the three stewards' phi, one
// that is absent or stale standing for 1. Of a steward alone nothing is in force,
// for a member takes no advice from one.
func (s *Steward) inForce(now time.Duration) coord.Phi {
	low, mid := coord.PhiFull, coord.PhiFull // the two most restrictive
	take := func(p coord.Phi) {
		switch {
		case p < low:
			low, mid = p, low
		case p < mid:
			mid = p
		}
	}
	take(s.phi)
	for _, h := range s.peers {
		if now-h.at < freshVerdict {
			take(h.phi)
		}
	}
	return mid
}

// follow starts a new epoch whenever the phi in force has changed. It starts
// when the value took force, for all three stewards alike.
func (s *Steward) follow(now time.Duration) {
	if f := s.inForce(now); f != s.dim.base {
		s.dim.base, s.dim.since = f, now
		for _, r := range s.order {
			r.recent = mean{}
		}
	}
	for _, r := range s.order {
		m := r.fresh(s.timeout)
		r.recent = mean{(r.recent.n + m.n) / 2, (r.recent.sum + m.sum) / 2}
		r.latencySeen = r.row.Tagged
	}
}

// latencyNow is the tagged mean latency, in which every tick weighs half as much
// as the next. Each reporter has a mean of its own, and those are pooled: pooled
// tick by tick, the few that happen to have successes in a tick could not outvote
// one that lies.
func (s *Steward) latencyNow() mean {
	means := s.means[:0]
	for _, r := range s.order {
		if r.row.Phi != s.dim.base {
			continue
		}
		m := r.fresh(s.timeout)
		if m = (mean{r.recent.n + m.n, r.recent.sum + m.sum}); m.n > 0 {
			means = append(means, m)
		}
	}
	s.means = means
	return pool(means)
}

// despair lowers phi when nothing has succeeded for long, whatever was let
// through. Otherwise one steward that says something else every second, between
// two that differ, would keep changing the phi in force, and no epoch would ever
// end.
func (s *Steward) despair(now time.Duration, t *pooled) {
	waited := now - s.dim.stepped
	if waited <= seconds(s.timeout) {
		return
	}
	s.dim.anyOK += t.ok
	s.dim.any += t.outcomes()
	if waited > time.Second+3*seconds(s.timeout) && s.dim.any >= 3 && s.dim.anyOK < .1*s.dim.any && !s.dim.floor {
		s.step(now, min(s.phi, s.dim.base).Float()/4, NoneWell)
	}
}

// trickle keeps the probes few when demand grows while nothing succeeds. It does
// not wait for an epoch, for it lets less through, not more.
func (s *Steward) trickle() {
	if s.dim.floor && s.phi.Float() > probesMost*s.phiMin() {
		s.phi = s.clampPhi(0)
	}
}

// freshMarks starts the counts of what has been judged anew. Members that follow
// another phi already, or still, keep theirs: those have judged nothing.
func (s *Steward) freshMarks() {
	for _, r := range s.order {
		if r.row.Phi == s.dim.base {
			r.mark = r.row.Tagged
		}
	}
}

// judge ends an epoch if there is enough to judge, and takes the step.
func (s *Steward) judge(now time.Duration) {
	s.judged = now
	if now-s.dim.since < epochMin {
		return
	}
	e := s.gather()
	if !s.conclusive(now, &e) {
		return
	}
	base, m := s.dim.base.Float(), e.latency.value()
	switch {
	case e.ok < .1*e.judged:
		s.lowerCeiling(base)
		s.step(now, base/4, NoneWell)
		s.dim.lastTight, s.dim.nonFalls = 0, 0
	case m > s.thr():
		s.tight(now, base, m)
	default:
		s.clean(now, base, m)
	}
}

// probing reports whether the phi in force is the trickle of probes. It allows
// for demand, and so phiMin, having moved since that phi was set.
func (s *Steward) probing() bool { return s.dim.base.Float() <= 1.5*s.phiMin() }

// tight handles an epoch whose successes were slow: wait while they get faster,
// else cut; the fifth time in a row that neither helps, the slowness is not for
// load and becomes the new normal.
func (s *Steward) tight(now time.Duration, base, m float64) {
	s.lowerCeiling(base)
	falling := s.dim.lastTight > 0 && m < .9*s.dim.lastTight
	s.dim.lastTight = m
	if falling {
		s.dim.nonFalls = 0
		s.step(now, base, Draining)
		return
	}
	s.dim.nonFalls++
	if s.dim.nonFalls >= tightMax && (m < s.timeout/2 || s.probing()) {
		s.linc, s.dim.nonFalls = m, 0
		s.step(now, base, Accepted)
		return
	}
	s.step(now, .85*base, Tight)
}

func (s *Steward) clean(now time.Duration, base, m float64) {
	s.dim.lastTight, s.dim.nonFalls = 0, 0
	if s.dim.base == coord.PhiFull {
		s.phi = coord.PhiFull
		if now-s.dim.since < probation {
			return
		}
		s.why = Over
		if s.s2 > 0 {
			s.state = wire.NotLoad
			return
		}
		s.close()
		return
	}
	if s.dim.ceilShare && base >= .99*s.dim.ceil && s.calm(m) {
		// The ceiling after a trip is a guess, not something learned from a
		// failed step; load that passes it with ease moves it on.
		s.dim.ceil = min(guessGrowth*base, 1)
	}
	ceil := s.ceiling()
	next := 1.12 * base
	switch {
	case 2*base <= ceil:
		next = 2 * base
	case base < .99*ceil: // equal but for rounding is reached
		next = ceil
	}
	if s.probing() { // the first step out of it
		next = max(next, min(.1, ceil))
	}
	s.step(now, next, Clean)
}

// calm reports whether successes take hardly longer than when all is well.
func (s *Steward) calm(m float64) bool {
	base := max(s.l0.value, s.linc)
	return base > 0 && m < base+calmShare*(s.thr()-base)
}

// step sets phi and starts a new epoch, whether phi changed or not.
func (s *Steward) step(now time.Duration, phi float64, why Why) {
	s.phi, s.why = s.clampPhi(phi), why
	if b, p := s.dim.base.Float(), s.phi.Float(); s.probing() && why != Clean && p > b/probesMost && p < 1.5*b {
		// phiMin moves with demand; following it closely would start the
		// evidence anew each time.
		s.phi = s.dim.base
	}
	s.dim.wentUp = why == Clean && s.phi > s.dim.base // not where it only follows phiMin
	s.dim.floor = why == NoneWell && s.phi.Float() <= probesMost*s.phiMin()
	s.dim.since, s.dim.stepped = now, now
	s.dim.any, s.dim.anyOK = 0, 0
	s.freshMarks()
}

// lowerCeiling remembers the load that turned out too much.
func (s *Steward) lowerCeiling(base float64) {
	if s.dim.wentUp {
		s.dim.ceil, s.dim.ceilShare = .85*base*s.demand.value, false
	}
}
