package law

import (
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// ordered reports whether most reporters do what an operator has ordered, and not what
// the stewards say.
func (s *Steward) ordered(now time.Duration) bool {
	present, ordered := 0, 0
	for _, r := range s.order {
		if now-r.at < freshReport {
			if present++; r.row.Ordered {
				ordered++
			}
		}
	}
	return 2*ordered > present
}

// rest takes a tick in which nothing that was decided would be done: the state is that of
// an endpoint of which nothing is known, and when the orders end everything starts afresh.
func (s *Steward) rest(now time.Duration, t *pooled) {
	s.window[0], s.window[1] = s.window[1], *t
	s.state, s.phi, s.why, s.noRetry = wire.Closed, coord.PhiFull, Rested, false
	s.s, s.s2, s.linc = 0, 0, 0
	s.dim = dimmer{base: coord.PhiFull, since: now}
	s.heed(now)
	s.present = t.present
	s.last = s.decide(now)
}
