package sim

import (
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/sim/standin"
)

// elsewhere finds an endpoint that takes what failed or was dimmed at home: the
// nearest, by lot, once a call.
func (c *ours) elsewhere(now time.Duration, t *ticket) bool {
	if len(c.eps) == 1 || c.options.Alone {
		return false
	}
	c.eps[c.env.Home].Needed(0)
	for i := 1; i < len(c.eps); i++ {
		at := c.nearest(i)
		adv := c.eps[at].Advice()
		if adv.Sigma > 0 && adv.Takes(c.rand.Float64()) && (adv.InForce() || c.breakers[at].State(now) != standin.Open) {
			t.divert = 1 + at
			return true
		}
	}
	return false
}

// diverted sends the call's last attempt to where there is room for it.
func (c *ours) diverted(now time.Duration, a *Attempt, t *ticket) bool {
	a.Endpoint, a.Diverted = t.divert-1, true
	ep := c.eps[a.Endpoint]
	adv := ep.Advice()
	if adv.Phi < coord.PhiFull || adv.Mode == coord.RetryNone {
		return false
	}
	t.local = standin.Ticket{}
	if !adv.InForce() {
		var ok bool
		if t.local, ok = c.breakers[a.Endpoint].Allow(now, adv); !ok {
			return false
		}
	}
	t.counted = ep.Send(adv, c.env.Timeout, false, c.rand.Uint32())
	return true
}

// order is where an attempt turns to first: a first try to the member's home, a
// retry to the nearest endpoint that may take one.
func (c *ours) order(a *Attempt, t *ticket) int {
	if a.N == 1 || len(c.eps) == 1 {
		return c.env.Home
	}
	at, _ := c.next(c.m.local(c.m.w.now), t.tried)
	return at
}

// nearest is the i-th nearest endpoint: home, then the others as configured.
func (c *ours) nearest(i int) int {
	switch {
	case i == 0:
		return c.env.Home
	case i <= c.env.Home:
		return i - 1
	}
	return i
}

// stays reports whether what fails stays at home but for what the stewards say: they
// are heard, and it is not the member's own path that is broken.
func (c *ours) stays() bool {
	adv := c.eps[c.env.Home].Advice()
	return len(c.eps) > 1 && adv.Lately && !c.breakers[c.env.Home].OwnPath(adv)
}

// instead is where to turn when a local breaker has refused.
func (c *ours) instead(tried, passed uint64) int {
	stay := c.stays()
	for _, skip := range []uint64{tried | passed, passed} {
		for i := range c.eps {
			if at := c.nearest(i); skip&(1<<at) == 0 && (!stay || at == c.env.Home) {
				return at
			}
		}
	}
	return -1
}

// next is where a retry may go, and in which mode; -1 for nowhere.
func (c *ours) next(now time.Duration, tried uint64) (int, coord.Mode) {
	stay := c.stays()
	for _, pass := range []struct{ alone, again bool }{{false, false}, {false, true}, {true, false}, {true, true}} {
		for i := range c.eps {
			at := c.nearest(i)
			adv := c.eps[at].Advice()
			alone := !c.options.Unshared && adv.Pushback(now) > 0
			switch {
			case stay && at != c.env.Home:
			case (tried&(1<<at) != 0) != pass.again, alone != pass.alone, adv.Mode == coord.RetryNone, adv.Phi < coord.PhiFull:
			case adv.InForce():
				return at, adv.Mode
			case c.breakers[at].State(now) != standin.Open:
				return at, coord.RetryAll
			}
		}
	}
	return -1, coord.RetryNone
}
