package peers

import (
	"math/rand/v2"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// The defaults of aws-sdk-go-v2's standard retryer.
const (
	awsTokens   = 500
	awsSuccess  = 1
	awsCap      = 20 * time.Second
	awsDoubling = 4 // attempts after which the wait is the cap: log2(20 s / 1 s)
)

// What a retry costs. A call keeps a pointer to what its retry cost, which is
// not an allocation.
var (
	awsCost        = 5
	awsTimeoutCost = 10
)

// aws is the retry quota of aws-sdk-go-v2 (v1.47.7): aws/retry/standard.go,
// middleware.go and jitter_backoff.go, aws/ratelimit/token_bucket.go.
//
// A client has 500 tokens. A retry takes 5, or 10 if it follows a timeout; with
// too few left there is none. A retry that succeeds gives back what it took, and
// every attempt that succeeds, first try or retry, gives 1. (The comment on
// StandardOptions says first tries only; the middleware says so only when
// AWS_NEW_RETRIES_2026 is set.) A retry that fails gives nothing back. The wait
// before the n-th retry is random, from 0 to 2^n s (so up to 2 s before the
// first), and 20 s from the fifth on. These waits are ten times and more those of
// the other rows: retries of an outage come in for seconds after its end.
//
// The SDK makes 3 attempts by default; here there are MaxRetries retries as in
// the other rows, which only makes it spend its tokens sooner. Left out: what is
// behind AWS_NEW_RETRIES_2026 (14 a retry, 5 for throttling, base 50 ms), which
// is off unless asked for; the adaptive mode, which answers throttling errors,
// and no simulated server tells those from others; the server's retry-after.
type aws struct {
	rand   *rand.Rand
	tokens int
}

func newAWS(_ time.Duration, e sim.Env) sim.Client {
	return &aws{rand: e.Rand, tokens: awsTokens}
}

func (c *aws) Admit(_ time.Duration, a *sim.Attempt) bool {
	if a.N == 1 {
		a.State = nil
	}
	return true
}

func (c *aws) End(_ time.Duration, a *sim.Attempt, o sim.Outcome, _ time.Duration) {
	if o != sim.OK {
		return
	}
	c.tokens += awsSuccess
	if took, ok := a.State.(*int); ok {
		c.tokens += *took
	}
	c.tokens = min(c.tokens, awsTokens)
}

func (c *aws) Retry(_ time.Duration, a *sim.Attempt, o sim.Outcome) (time.Duration, bool) {
	cost := &awsCost
	if o == sim.TimedOut {
		cost = &awsTimeoutCost
	}
	if a.N > MaxRetries || c.tokens < *cost {
		return 0, false
	}
	c.tokens -= *cost
	a.State = cost
	return c.wait(a.N), true
}

// wait is the wait after the n-th attempt.
func (c *aws) wait(n int) time.Duration {
	if n > awsDoubling {
		return awsCap
	}
	return time.Duration(c.rand.Float64() * float64(time.Second<<n))
}
