package law

import (
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// An endpoint that asks a member to be left alone for a while asks all of them,
// but one member may be mistaken, or lie. So what is shared is the second largest
// of what reporters have seen within five seconds: nobody alone delays anybody's
// retries, and whoever exaggerates is believed as far as another one goes. Once
// shared it stays until it ends, though its witnesses fall silent: they do,
// because they heed it.

// heed works out until when retries to the endpoint are to wait. Only the newest
// report of each member counts, so that the order in which they came does not.
func (s *Steward) heed(now time.Duration) {
	first, second := now, now
	for _, r := range s.order {
		p := &r.row.Pushback
		if p.Left == 0 || now-r.heard+p.Ago > coord.PushbackTold {
			continue
		}
		switch until := r.heard + min(p.Left, coord.MaxPushback); {
		case until > first:
			first, second = until, first
		case until > second:
			second = until
		}
	}
	s.until = max(s.until, second) // now, if nothing is asked for
}

// pushback is how long retries to the endpoint are to wait.
func (s *Steward) pushback(now time.Duration) time.Duration { return max(s.until-now, 0) }

// failing is how many reporters have seen an attempt fail in the window of the
// evidence.
func (s *Steward) failing() (n int) {
	for _, r := range s.order {
		if r.failed > 0 {
			n++
		}
	}
	return n
}
