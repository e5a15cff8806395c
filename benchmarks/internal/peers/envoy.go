package peers

import (
	"math/rand/v2"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// Envoy's defaults.
const (
	envoyConsecutive  = 5
	envoyInterval     = 10 * time.Second
	envoyBaseEjection = 30 * time.Second
	envoyMaxEjection  = 300 * time.Second
	envoyMaxEjected   = 10 // percent of the hosts
	envoyPanic        = 50 // percent healthy under which health is ignored
	envoyBudget       = 20 // percent of the requests in flight
	envoyMinRetries   = 3  // at once
	envoyBackoff      = 25 * time.Millisecond
	envoyMaxBackoff   = 10 * envoyBackoff
)

// envoy is Envoy's passive health checking and its retries:
// upstream/outlier_detection_impl.cc, upstream/resource_manager_impl.h,
// router/retry_state_impl.cc, common/backoff_strategy.cc, and the protos
// cluster/v3/outlier_detection and circuit_breaker. All numbers are defaults but
// three, named below.
//
// Five failures in a row eject a host for 30 s times the number of its recent
// ejections, at most 300 s; a sweep every 10 s takes hosts back, and lowers that
// number once a sweep while a host stays in; there is no jitter. At most 10 % of the hosts are out
// at once, though one always may be. If under 50 % of the hosts are in, Envoy
// panics and uses all. Retries in backoff or in flight are at most 20 % of the
// requests in flight, or 3. Waits are random, up to 25 ms, doubling to 250 ms.
//
// With one endpoint this is the retry budget alone: the host is ejected, none is
// left, panic sends everything to it all the same. Envoy's passive checks cannot
// shed load, they only choose among hosts.
//
// With more endpoints, the member's home has priority 0 and the others have
// priority 1, in turn: what Istio makes of locality failover. Home takes all the
// traffic while it is in and none while it is out. Panic goes by priority there;
// since at most one host or a tenth of them is ever out, the rule above comes to
// the same. An endpoint of the simulator is a whole zone's service in one host.
// Of a zone with many, 10 % would be ejected at most and little would move; with
// a higher percentage it would move as here.
//
// What is not the default: num_retries is 3 for 1, as in the other rows. The
// retry budget, which is optional, is on, with the defaults of its fields;
// without it at most 3 retries run at once. always_eject_one_host is on: it is
// what Envoy did before the option came in 1.31, and without it nothing is ever
// ejected among fewer than ten hosts.
//
// Left out: success-rate ejection, which needs 5 hosts with 100 requests an
// interval; active health checks, which need an endpoint for them; the caps of
// 1,024 requests and connections, which one member does not reach in the
// scenarios. The attempt that has just failed does not count as in flight when
// the budget is asked (in Envoy it does after an error and does not after a
// timeout); it would be worth a fifth of a retry.
type envoy struct {
	rand    *rand.Rand
	home    int
	hosts   []envoyHost
	ejected int
	sweepAt time.Duration // the next sweep
	turn    int           // of priority 1

	inFlight int // attempts
	retries  int // waiting or in flight
}

type envoyHost struct {
	failures  int // in a row
	ejections int // recent
	ejected   bool
	ejectedAt time.Duration
	returned  bool
	returnAt  time.Duration
}

// newEnvoy starts the sweeps at a random time, as processes start.
func newEnvoy(now time.Duration, e sim.Env) sim.Client {
	return &envoy{
		rand: e.Rand, home: e.Home, hosts: make([]envoyHost, e.Endpoints),
		sweepAt: now + time.Duration(e.Rand.Int64N(int64(envoyInterval))),
	}
}

func (c *envoy) Admit(now time.Duration, a *sim.Attempt) bool {
	c.sweeps(now)
	a.Endpoint = c.choose()
	c.inFlight++
	return true
}

func (c *envoy) End(now time.Duration, a *sim.Attempt, o sim.Outcome, _ time.Duration) {
	c.sweeps(now)
	c.inFlight--
	if a.N > 1 {
		c.retries--
	}
	h := &c.hosts[a.Endpoint]
	if o == sim.OK {
		h.failures = 0
		return
	}
	// Exactly five: failures of a host that is out count on and do nothing.
	if h.failures++; h.failures == envoyConsecutive && !h.ejected {
		c.eject(now, h)
		h.failures = 0
	}
}

func (c *envoy) Retry(_ time.Duration, a *sim.Attempt, _ sim.Outcome) (time.Duration, bool) {
	if a.N > MaxRetries || c.retries >= max(c.inFlight*envoyBudget/100, envoyMinRetries) {
		return 0, false
	}
	c.retries++
	return time.Duration(c.rand.Int64N(int64(min(envoyBackoff<<(a.N-1), envoyMaxBackoff)))), true
}

// choose is the host that the next attempt goes to.
func (c *envoy) choose() int {
	in := len(c.hosts) - c.ejected
	if !c.hosts[c.home].ejected || 100*in < envoyPanic*len(c.hosts) {
		return c.home
	}
	for {
		c.turn = (c.turn + 1) % len(c.hosts)
		if !c.hosts[c.turn].ejected {
			return c.turn
		}
	}
}

// eject takes a host out, if another may be out.
func (c *envoy) eject(now time.Duration, h *envoyHost) {
	if c.ejected > 0 && 100*(c.ejected+1) > envoyMaxEjected*len(c.hosts) {
		return
	}
	c.ejected++
	h.ejected, h.ejectedAt = true, now
	if time.Duration(h.ejections)*envoyBaseEjection < envoyMaxEjection+envoyBaseEjection {
		h.ejections++
	}
}

// sweeps does the sweeps that were due until now. Between them nothing depends
// on whether they have been done.
func (c *envoy) sweeps(now time.Duration) {
	for ; c.sweepAt <= now; c.sweepAt += envoyInterval {
		for i := range c.hosts {
			h := &c.hosts[i]
			if h.ejected && c.sweepAt-h.ejectedAt >= min(time.Duration(h.ejections)*envoyBaseEjection, envoyMaxEjection) {
				c.ejected--
				h.ejected, h.failures = false, 0
				h.returned, h.returnAt = true, c.sweepAt
			}
			if !h.ejected && h.returned && c.sweepAt-h.returnAt >= envoyInterval && h.ejections > 0 {
				h.ejections--
			}
		}
	}
}
