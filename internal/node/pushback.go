package node

import (
	"math/bits"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/law"
)

// An endpoint that pushes back goes on doing so, and the end of it moves along
// with every refusal. To gossip each move would cost more than all verdicts do, for
// every member passes on what it takes for news. So reporters are told at once when
// a pushback begins or jumps, by the answers that they get anyhow; those follow it
// each second; and everybody is told only what goes well beyond what was known.
const (
	pushJump = time.Second     // by which a pushback grows at once that reporters hear of at once
	pushNews = 5 * time.Second // by which its end has moved when it is news to everybody
	pushKeep = law.Tick        // by which it may move while advice stays as it is
)

// until is the local time at which the pushback ends that the verdict tells of; if
// it tells of none, that has been when it was decided.
func (h *held) until() time.Duration { return h.asOf + min(h.row.Pushback, coord.MaxPushback) }

// prolongs reports whether a verdict goes well beyond what its steward has said of
// a pushback before, and keeps how far that was.
func (h *held) prolongs(was *held) bool {
	h.ends = was.ends
	if h.row.Pushback > 0 {
		h.ends = max(h.ends, h.until())
	}
	return h.ends-was.ends > pushNews
}

// pushed takes note of a pushback as decided, and reports whether the reporters
// are to hear of it at once, and whether all others are.
func (d *duty) pushed(now, left time.Duration) (reporters, all bool) {
	if left == 0 {
		return false, false
	}
	until := now + left
	reporters = d.until <= now || until-d.until > pushJump
	d.until = until
	return reporters, until-d.cast > pushNews
}

// until is how long retries wait by fresh verdicts: the second latest of their
// ends. An end that moves ahead by less than a tick leaves the advice as it is; it
// comes of rounded ages, and would be published at every tick.
func (v *view) until(now time.Duration, fresh []held) time.Duration {
	first, second := now, now
	for i := range fresh {
		switch u := fresh[i].until(); {
		case u > first:
			first, second = u, first
		case u > second:
			second = u
		}
	}
	if was := v.advice.Until; was != 0 && was > now && second >= was && second-was < pushKeep {
		second = was
	}
	return notYet(now, second)
}

// notYet is 0 for an end that has come.
func notYet(now, until time.Duration) time.Duration {
	if until <= now {
		return 0
	}
	return until
}

// scale rounds a number of members to a power of two, for retries are spread by
// its logarithm, and advice is not to change with every count.
func scale(failing uint64) int {
	if failing == 0 {
		return 0
	}
	return 1 << (min(bits.Len64(failing), 24) - 1)
}
