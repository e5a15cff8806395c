package peers

import (
	"math/rand/v2"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// Zoned returns the strategies that failover is compared with, in the order of
// tables: besides those that know one endpoint or more, the two that most code
// comes to.
func Zoned() []sim.Strategy {
	return []sim.Strategy{
		sim.NoRetries(),
		{Name: "breaker elsewhere", New: newBreakerElsewhere},
		{Name: "envoy outlier", New: newEnvoy},
		{Name: "retry elsewhere", New: newRetryElsewhere},
	}
}

// nearest is the i-th nearest endpoint of a member: home, then the others in turn.
func nearest(e *sim.Env, i int) int { return (e.Home + i) % e.Endpoints }

// breakerElsewhere is a circuit breaker for each endpoint in each client, and the
// next endpoint where one is open: what a client-side failover library or a hand
// with gobreaker makes of two regions (AWS SDK multi-region clients, Polly's
// fallback around a breaker). The rule is that of breaker10s. A call that fails is
// not sent again: the breakers alone move traffic.
type breakerElsewhere struct {
	env      sim.Env
	breakers []sim.Client // breaker10s, by endpoint
}

func newBreakerElsewhere(now time.Duration, e sim.Env) sim.Client {
	c := &breakerElsewhere{env: e}
	for range e.Endpoints {
		c.breakers = append(c.breakers, newBreaker10s(now, e))
	}
	return c
}

func (c *breakerElsewhere) Admit(now time.Duration, a *sim.Attempt) bool {
	for i := range c.breakers {
		if at := nearest(&c.env, i); c.breakers[at].Admit(now, a) {
			a.Endpoint = at
			return true
		}
	}
	return false
}

func (c *breakerElsewhere) End(now time.Duration, a *sim.Attempt, o sim.Outcome, took time.Duration) {
	c.breakers[a.Endpoint].End(now, a, o, took)
}

func (c *breakerElsewhere) Retry(time.Duration, *sim.Attempt, sim.Outcome) (time.Duration, bool) {
	return 0, false
}

// retryElsewhere retries every failure at the next endpoint, home again after the
// last, with full jitter: what "retry with failover" means where nobody counts
// (gRPC's pick_first over several addresses under a retry policy, most load
// balancers' "next upstream").
type retryElsewhere struct {
	env  sim.Env
	rand *rand.Rand
}

func newRetryElsewhere(_ time.Duration, e sim.Env) sim.Client { return &retryElsewhere{e, e.Rand} }

func (c *retryElsewhere) Admit(_ time.Duration, a *sim.Attempt) bool {
	a.Endpoint = nearest(&c.env, a.N-1)
	return true
}

func (c *retryElsewhere) End(time.Duration, *sim.Attempt, sim.Outcome, time.Duration) {}

func (c *retryElsewhere) Retry(_ time.Duration, a *sim.Attempt, _ sim.Outcome) (time.Duration, bool) {
	if a.N > MaxRetries {
		return 0, false
	}
	return fullJitter(c.rand, a.N), true
}
