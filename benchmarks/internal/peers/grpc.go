package peers

import (
	"math/rand/v2"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// gRFC A6's example of a retry policy and of retry throttling.
const (
	grpcMaxTokens   = 10
	grpcTokenRatio  = .1
	grpcMaxAttempts = 4
	grpcInitial     = 100 * time.Millisecond
	grpcMax         = time.Second
	grpcMultiplier  = 2
)

// grpc is gRPC's client-side retry with its retry throttling, after gRFC A6
// ("gRPC Retry Design", grpc/proposal) as grpc-go carries it out: retryThrottler
// in clientconn.go, shouldRetry and finish in stream.go.
//
// gRPC has no defaults, retries are off unless a service config turns them on;
// these are A6's examples, which nearly every config copies: maxTokens 10,
// tokenRatio 0.1, maxAttempts 4 (5 is the cap), initialBackoff 0.1 s, maxBackoff
// 1 s, backoffMultiplier 2. A failed attempt takes one token, down to 0; a call
// that succeeds gives tokenRatio, up to maxTokens. A failure is retried if more
// than half of maxTokens are left after it has taken its own. The n-th wait is
// initial * multiplier^(n-1), at most maxBackoff, times 0.8 to 1.2, as grpc-go
// has it now; A6 first had a random part of it. As in grpc-go, tokens are a
// float64.
//
// One member is one channel, and so has one throttle. Left out: pushback, which
// no simulated server sends; transparent retries, which are for streams the
// server never saw; hedging, which grpc-go does not have. A6's attempts share
// the call's deadline; here each has its own timeout (as with
// perAttemptRecvTimeout, which other languages have) and a timeout counts as a
// retryable code. Without that a call that hangs would not be retried at all.
type grpc struct {
	rand   *rand.Rand
	tokens float64
}

func newGRPC(_ time.Duration, e sim.Env) sim.Client {
	return &grpc{rand: e.Rand, tokens: grpcMaxTokens}
}

func (c *grpc) Admit(time.Duration, *sim.Attempt) bool { return true }

func (c *grpc) End(_ time.Duration, _ *sim.Attempt, o sim.Outcome, _ time.Duration) {
	if o == sim.OK {
		c.tokens = min(c.tokens+grpcTokenRatio, grpcMaxTokens)
	} else {
		c.tokens = max(c.tokens-1, 0)
	}
}

func (c *grpc) Retry(_ time.Duration, a *sim.Attempt, _ sim.Outcome) (time.Duration, bool) {
	if c.tokens <= grpcMaxTokens/2 || a.N >= min(grpcMaxAttempts, MaxRetries+1) {
		return 0, false
	}
	wait := grpcInitial
	for range a.N - 1 {
		wait *= grpcMultiplier
	}
	return time.Duration(float64(min(wait, grpcMax)) * (.8 + .4*c.rand.Float64())), true
}
