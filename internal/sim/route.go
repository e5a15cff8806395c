package sim

import (
	"slices"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/sim/standin"
)

// home draws the endpoint for a first try.
func (c *ours) home() int { return c.env.homes[c.shift(0)] }

func (c *ours) isHome(at int) bool { return slices.Contains(c.env.homes, at) }

// elsewhere finds an endpoint that takes what failed or was dimmed at home: the
// nearest, by lot, once a call; another one at home only where the cluster acts.
func (c *ours) elsewhere(now time.Duration, t *ticket) bool {
	if len(c.eps) == 1 || c.options.Alone {
		return false
	}
	c.eps[t.home].Needed(0)
	if !slices.ContainsFunc(c.eps, func(e *coord.Endpoint) bool { return e.Advice().Sigma > 0 }) {
		return false // before anything is drawn: who hears nobody draws as one without a cluster
	}
	siblings, shift := c.eps[t.home].Advice().InForce(), c.shift(1<<t.home)
	for i := range c.eps {
		at := c.nearest(i, shift)
		if at == t.home || c.isHome(at) && !siblings {
			continue
		}
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
		return t.home
	}
	at, _ := c.next(c.m.local(c.m.w.now), t.tried)
	return at
}

// shift draws where to begin among the endpoints at home, other than those that are
// to be skipped if there are others.
func (c *ours) shift(skip uint64) (drawn int) {
	if len(c.env.homes) == 1 {
		return 0
	}
	n := 0
	for k, at := range c.env.homes {
		if skip&(1<<at) != 0 {
			continue
		}
		if n++; c.rand.IntN(n) == 0 {
			drawn = k
		}
	}
	return drawn
}

// nearest is the i-th nearest endpoint: those at home from where the shift is, then
// the others as configured.
func (c *ours) nearest(i, shift int) int {
	if n := len(c.env.homes); i >= n {
		return c.env.away[i-n]
	} else {
		return c.env.homes[(i+shift)%n]
	}
}

// stays reports whether what fails stays at home but for what the stewards say: they
// are heard, and it is not the member's own path that is broken.
func (c *ours) stays() bool {
	if len(c.eps) == 1 {
		return false
	}
	planned := false
	for _, at := range c.env.homes {
		adv := c.eps[at].Advice()
		if c.breakers[at].OwnPath(adv) {
			return false
		}
		planned = planned || adv.Planned
	}
	return planned
}

// instead is where to turn when a local breaker has refused.
func (c *ours) instead(tried, passed uint64) int {
	stay, shift := c.stays(), c.shift(tried|passed)
	for _, skip := range []uint64{tried | passed, passed} {
		for i := range c.eps {
			if at := c.nearest(i, shift); skip&(1<<at) == 0 && (!stay || c.isHome(at)) {
				return at
			}
		}
	}
	return -1
}

// next is where a retry may go, and in which mode; -1 for nowhere.
func (c *ours) next(now time.Duration, tried uint64) (int, coord.Mode) {
	stay, shift := c.stays(), c.shift(tried)
	for _, pass := range []struct{ alone, again bool }{{false, false}, {false, true}, {true, false}, {true, true}} {
		for i := range c.eps {
			at := c.nearest(i, shift)
			adv := c.eps[at].Advice()
			alone := !c.options.Unshared && adv.Pushback(now) > 0
			switch {
			case stay && !c.isHome(at):
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
