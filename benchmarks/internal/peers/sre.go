package peers

import (
	"math/rand/v2"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// The numbers of the SRE book.
const (
	sreK        = 2
	sreWindow   = 120 // seconds
	sreAttempts = 3
	sreRetries  = 10 // percent of the requests
)

// sre is adaptive throttling, with the book's two retry budgets: "Site
// Reliability Engineering" (Beyer, Jones, Petoff, Murphy; O'Reilly 2016),
// chapter 21, "Handling Overload", equation 21-1 and "Deciding to Retry".
//
// Over the last two minutes a client counts the requests that the application
// asked for, those refused here among them, and those that the backend accepted.
// It refuses a request with the probability
//
//	max(0, (requests - K * accepts) / (requests + 1)), K = 2.
//
// A request is tried at most three times, that is, retried at most twice: the
// book's cap, which is lower than MaxRetries and so holds. And it is retried
// only while under 10 % of the client's requests are retries, here over the same
// two minutes. A retry passes the throttle like any other request.
//
// Choices: only a success counts as accepted, since the simulated errors do not
// say whether they are a rejection. The wait before a retry is fullJitter, as
// chapter 22 wants ("always use randomized exponential backoff"), where chapter
// 21 retries at once, at one of many other backend tasks; here there is one
// queue, and waiting is the kinder choice. The two minutes are kept in buckets
// of a second, so they are 119 to 120 s.
//
// Left out: criticality and per-customer quotas, which no simulated call has;
// the counter of tries by which backends answer "overloaded; don't retry", which
// takes a backend that speaks it.
type sre struct {
	rand   *rand.Rand
	second int64 // the youngest bucket's
	sum    sreCounts
	bucket [sreWindow]sreCounts
}

type sreCounts struct{ requests, accepts, retries uint32 }

func newSRE(now time.Duration, e sim.Env) sim.Client {
	return &sre{rand: e.Rand, second: int64(now / time.Second)}
}

func (c *sre) Admit(now time.Duration, _ *sim.Attempt) bool {
	p := c.rejects(now)
	c.count(now, sreCounts{requests: 1})
	return p <= 0 || c.rand.Float64() >= p
}

func (c *sre) End(now time.Duration, _ *sim.Attempt, o sim.Outcome, _ time.Duration) {
	if o == sim.OK {
		c.count(now, sreCounts{accepts: 1})
	}
}

func (c *sre) Retry(now time.Duration, a *sim.Attempt, _ sim.Outcome) (time.Duration, bool) {
	c.advance(now)
	if a.N >= min(sreAttempts, MaxRetries+1) || 100*c.sum.retries >= sreRetries*c.sum.requests {
		return 0, false
	}
	c.count(now, sreCounts{retries: 1})
	return fullJitter(c.rand, a.N), true
}

// rejects is the probability with which a request is refused; not above 0 means
// that it is not.
func (c *sre) rejects(now time.Duration) float64 {
	c.advance(now)
	requests := float64(c.sum.requests)
	return (requests - sreK*float64(c.sum.accepts)) / (requests + 1)
}

func (c *sre) count(now time.Duration, n sreCounts) {
	c.advance(now)
	c.sum.plus(n)
	c.bucket[c.second%sreWindow].plus(n)
}

// advance forgets what is older than the window.
func (c *sre) advance(now time.Duration) {
	second := int64(now / time.Second)
	if second-c.second >= sreWindow {
		c.sum, c.bucket, c.second = sreCounts{}, [sreWindow]sreCounts{}, second
	}
	for c.second < second {
		c.second++
		old := &c.bucket[c.second%sreWindow]
		c.sum.requests -= old.requests
		c.sum.accepts -= old.accepts
		c.sum.retries -= old.retries
		*old = sreCounts{}
	}
}

func (n *sreCounts) plus(m sreCounts) {
	n.requests += m.requests
	n.accepts += m.accepts
	n.retries += m.retries
}
