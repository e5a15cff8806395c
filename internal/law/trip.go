package law

import (
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// cusum takes one step of both sums.
func (s *Steward) cusum(t *pooled) {
	s.s = min(max(s.s+t.cusum, 0), sumMax)
	s.s2 = min(max(s.s2+t.cusum2, 0), sumMax)
}

// enough reports whether as many reporters are failing as it takes: two, or one
// where there is just one.
func enough(failing, present int) bool {
	return failing >= 2 || failing == 1 && present == 1
}

// lone returns the name of the one reporter there is.
func (s *Steward) lone(now time.Duration) string {
	for _, r := range s.order {
		if now-r.at < freshReport {
			return r.name
		}
	}
	return ""
}

// slowAlarm reports whether slow failures are too many to be chance, and seen by
// as many as it takes.
func (s *Steward) slowAlarm(t *pooled) bool {
	return s.s >= threshold && enough(t.failing, t.present)
}

// overloaded reports whether failures cost time and successes are slow or absent.
func (s *Steward) overloaded(t *pooled) bool {
	w := s.recent()
	return s.slowAlarm(t) && w.outcomes() >= 5 && (w.stalled() || w.latency.n >= 3 && w.latency.value() > s.thr())
}

// outcomes is how many attempts ended.
func (t *pooled) outcomes() float64 { return t.ok + t.slow + t.fast }

// stalled reports whether hardly anything comes back in time.
func (t *pooled) stalled() bool { return t.ok+t.fast < .1*t.outcomes() }

// watch decides in CLOSED and NOTLOAD.
func (s *Steward) watch(now time.Duration, t *pooled) {
	if s.overloaded(t) {
		phi := tripPhi
		if w := s.recent(); w.stalled() {
			phi = stallPhi
		}
		s.enterDim(now, phi, tripCeil, Tripped)
		if t.present == 1 {
			s.dim.only = s.lone(now)
		}
		return
	}
	switch {
	case s.state == wire.Closed && (s.slowAlarm(t) || s.s2 >= threshold && enough(t.failing2, t.present)):
		s.state = wire.NotLoad
	case s.state == wire.NotLoad && s.s2 == 0:
		s.close()
	}
	if s.state == wire.NotLoad {
		if done, ok := s.pooledRetries(); done >= 3 && ok < .5*done {
			s.noRetry = true
		}
	}
}

// close returns to CLOSED and forgets the evidence.
func (s *Steward) close() {
	s.state, s.phi = wire.Closed, coord.PhiFull
	s.s, s.s2, s.linc, s.noRetry = 0, 0, 0, false
}

func (s *Steward) countRetries(t *pooled) {
	s.retries[s.retryPos] = retryTally{t.retries, t.retriesOK}
	s.retryPos = (s.retryPos + 1) % retryTicks
}

// pooledRetries sums the last 5 s.
func (s *Steward) pooledRetries() (done, ok float64) {
	for _, r := range s.retries {
		done += r.done
		ok += r.ok
	}
	return done, ok
}

// adopt lets a newly appointed steward start where its predecessors left off:
// with the baseline that the reports carry, and dimmed when most reporters are.
func (s *Steward) adopt(now time.Duration) {
	if now-s.born > appointed || s.state != wire.Closed {
		return
	}
	var phis, baselines []float64
	dimmed := 0
	for _, r := range s.order {
		if now-r.at >= freshReport || r.row.Ordered { // what an operator orders is no finding
			continue
		}
		phis = append(phis, r.row.Phi.Float())
		if r.row.Phi < coord.PhiFull {
			dimmed++
		}
		if r.row.L0 > 0 {
			baselines = append(baselines, r.row.L0.Seconds())
		}
	}
	if len(phis) < 3 {
		return
	}
	if s.l0.n == 0 && 2*len(baselines) > len(phis) {
		s.l0 = baseline{value: min(median(baselines), s.timeout), n: 41}
	}
	if 2*dimmed > len(phis) {
		phi := median(phis)
		s.enterDim(now, phi, max(tripCeil, phi), Adopted)
		s.phi = max(coord.PhiOf(phi), 1) // the demand, and so phiMin, is not known yet
		s.s2 = max(s.s2, threshold)
	}
}
