package ledger

import (
	"math"
	"time"
)

// Pause is the wait before a retry, of all that has a say in it: backoff, the
// endpoint's wish as the call itself has seen it, the same as the cluster shares
// it, and the caller's deadline. It is pure; the randomness is handed in.
type Pause struct {
	Backoff Backoff
	Retry   int           // number of the retry, from 1
	Typical time.Duration // in which the endpoint answers; 0 if unknown

	// Floor is the least wait, for that is what the endpoint has told this
	// call.
	Floor time.Duration

	// Shared is how long all members let the endpoint alone. What has piled
	// up until then is spread over the time after it; see spread.
	Shared time.Duration

	// Room is what the wait must be shorter than to be of any use: the
	// deadline, less the time of an answer. NoDeadline if there is none.
	Room time.Duration
}

// NoDeadline is the room of a call that may take for ever.
const NoDeadline = time.Duration(math.MaxInt64)

// Draw draws the wait, with u and v uniform in [0, 1). It reports false if there is
// no room for it, and then the wait is one that there would have to be room for.
//
// Where the cluster spreads retries over more time than a single member would, it
// is the room that gives: what does not fit is drawn from what does, so that no
// call ends for the sake of being spread.
func (p Pause) Draw(u, v float64) (wait time.Duration, ok bool) {
	alone, room := p.Backoff, max(p.Room-1, 0)
	alone.Failing = 0
	longest := max(alone.Longest(p.Retry, p.Typical), min(p.Backoff.Longest(p.Retry, p.Typical), room))
	wait = draw(longest, u)
	if p.Shared > 0 {
		wait = p.Shared + max(min(max(wait, p.spread(v)), room-p.Shared), 0)
	}
	wait = max(wait, p.Floor)
	return wait, wait < p.Room
}

// spread is how long after the end of a shared pushback a retry comes, if its
// backoff is not longer: up to half of what was left when its call failed, later
// rather than sooner.
//
// Calls fail at a constant rate during a pushback, as far as one can know, and all
// their retries come after it. Half of its length is a spread in proportion to
// what has piled up, so that what comes then does not depend on how long it took.
// But calls that failed late have little left and come soon: spread uniformly they
// would crowd the first moments, at ten times the rate at which calls failed. With
// the root of a uniform number, a triangular distribution, it begins at four times
// that rate, whatever the length, and falls to nothing. A fixed spread would do for
// one length, and delay all that is shorter; so does a least one.
func (p Pause) spread(v float64) time.Duration { return draw(p.Shared/2, math.Sqrt(v)) }

// draw is uniform within [0, longest], both ends included, if u is in [0, 1).
func draw(longest time.Duration, u float64) time.Duration {
	return min(time.Duration(u*(float64(longest)+1)), longest)
}
