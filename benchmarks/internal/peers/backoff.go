package peers

import (
	"math/rand/v2"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// The waits of fullJitter.
const (
	jitterBase = 50 * time.Millisecond
	jitterCap  = 20 * time.Second
)

// backoff is what most code does that does anything: retry a few times, with
// exponential backoff and jitter, and no budget. The curve is the one called
// "full jitter" in "Exponential Backoff And Jitter" (AWS Architecture Blog,
// Marc Brooker, 4 March 2015):
//
//	sleep = random_between(0, min(cap, base * 2 ** attempt))
//
// The article fixes neither number. These are those of the AWS SDKs' 2026 retry
// specification (base 50 ms, cap 20 s), which counts attempts from 0, so that
// the first wait is under 50 ms. The other candidate, cenkalti/backoff v5 (500
// ms, factor 1.5, half of it jitter), spreads a burst less in proportion and
// waits ten times as long; neither bounds the load, which is what the row shows.
//
// Nothing was left out but the limit on a call's total time (15 min in
// cenkalti/backoff), which three retries do not reach.
type backoff struct{ rand *rand.Rand }

func newBackoff(_ time.Duration, e sim.Env) sim.Client { return &backoff{e.Rand} }

func (c *backoff) Admit(time.Duration, *sim.Attempt) bool { return true }

func (c *backoff) End(time.Duration, *sim.Attempt, sim.Outcome, time.Duration) {}

func (c *backoff) Retry(_ time.Duration, a *sim.Attempt, _ sim.Outcome) (time.Duration, bool) {
	if a.N > MaxRetries {
		return 0, false
	}
	return fullJitter(c.rand, a.N), true
}

// fullJitter is the wait before the n-th retry, n from 1 to MaxRetries.
func fullJitter(r *rand.Rand, n int) time.Duration {
	return time.Duration(r.Int64N(int64(min(jitterBase<<(n-1), jitterCap))))
}
