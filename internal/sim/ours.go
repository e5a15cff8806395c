package sim

import (
	"math/rand/v2"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/frugal"
	"github.com/murmuration-go/murmuration/internal/ledger"
	"github.com/murmuration-go/murmuration/internal/sim/standin"
)

const fullPhi = coord.PhiFull

// Options are how the shipped client is used. Zero means the shipped default.
type Options struct {
	Name        string // default "murmuration", or "local" if Alone
	Alone       bool   // no cluster
	Rules       ledger.Rules
	MaxAttempts int // default 3
	Breaker     standin.Config

	// What the cluster knows of pushbacks, and of how many are failing, is not
	// heeded; nobody is asked for a loan. For comparison.
	Unshared, Unspread, NoLoans bool
}

// Ours is the shipped client: first tries dimmed by advice, the local breaker,
// the retry budget and the backoff, in the order in which packages failover,
// breaker and retry ask them.
func Ours(o Options) Strategy {
	if o.MaxAttempts == 0 {
		o.MaxAttempts = 3
	}
	if o.Name == "" {
		o.Name = "murmuration"
		if o.Alone {
			o.Name = "local"
		}
	}
	return Strategy{Name: o.Name, coordinated: !o.Alone, New: func(now time.Duration, e Env) Client {
		c := &ours{env: e, m: e.member, rand: e.Rand, options: o}
		var shared *coord.Service
		c.eps = make([]*coord.Endpoint, e.Endpoints) // nil Endpoints: no cluster
		if !o.Alone {
			shared, c.eps = e.member.shared[e.service], e.member.eps[e.service]
		}
		c.account = ledger.NewAccount(c.m.local(now), o.Rules, shared)
		shared.SetPurse(c.account)
		for _, ep := range c.eps {
			c.breakers = append(c.breakers, standin.NewAt(c.m.local(now), o.Breaker, e.Rand, ep.Advice()))
		}
		c.latency = make([]frugal.Median, e.Endpoints)
		return c
	}}
}

// ours is the shipped client of one member and service.
type ours struct {
	env      Env
	m        *Member
	rand     *rand.Rand
	options  Options
	eps      []*coord.Endpoint
	breakers []*standin.Breaker
	account  *ledger.Account
	latency  []frugal.Median
}

// ticket is what the shipped client keeps of a call from one question to the
// next.
type ticket struct {
	counted coord.Attempt
	local   standin.Ticket
	tried   uint64 // endpoints, a bit each
	paid    ledger.Token
	want    ledger.Want
	answer  ledger.Answer // to want, before the wait
	divert  int           // 1 + the endpoint that takes it
	home    int           // the endpoint that its first try turns to
}

func (c *ours) Admit(now time.Duration, a *Attempt) bool {
	now = c.m.local(now)
	t := &a.ours
	if a.N == 1 {
		*t = ticket{home: c.home()}
	}
	if t.answer == ledger.Later {
		if t.paid, t.answer = c.account.Settle(now, t.want, c.rand.Float64()); t.answer == ledger.No {
			return false
		}
	}
	if t.divert > 0 {
		return c.diverted(now, a, t)
	}
	var passed uint64
	for at := c.order(a, t); at >= 0; at = c.instead(t.tried, passed) {
		sent, final := c.try(now, a, t, at)
		if sent {
			a.Endpoint = at
			t.tried |= 1 << at
			return true
		}
		if a.N == 1 && at == t.home && c.elsewhere(now, t) {
			return c.diverted(now, a, t)
		}
		if final {
			break
		}
		passed |= 1 << at
	}
	c.account.GiveBack(t.paid)
	t.paid = ledger.Token{}
	return false
}

// try asks one endpoint's breaker. final says that nobody else is to be asked: a
// first try that the cluster dims stays at home.
func (c *ours) try(now time.Duration, a *Attempt, t *ticket, at int) (sent, final bool) {
	ep := c.eps[at]
	adv := ep.Advice()
	spread := c.rand.Uint32()
	if a.N > 1 {
		if adv.Mode == coord.RetryNone || adv.Phi < coord.PhiFull {
			return false, false
		}
	} else {
		if adv.Phi < coord.PhiFull && !ep.Admit(adv.Phi, spread) {
			ep.Wanted(spread >> 16)
			return false, true
		}
		ep.Wanted(spread)
	}
	t.local = standin.Ticket{}
	if !adv.InForce() {
		var ok bool
		if t.local, ok = c.breakers[at].Allow(now, adv); !ok {
			return false, false
		}
	}
	t.counted = ep.Send(adv, c.env.Timeout, a.N > 1, spread)
	if a.N == 1 {
		c.account.FirstTry(now, adv.Mode)
	}
	return true, false
}

func (c *ours) End(now time.Duration, a *Attempt, o Outcome, took time.Duration) {
	now = c.m.local(now)
	outcome := coord.Success
	switch o {
	case Failed:
		outcome = coord.Failure
	case TimedOut:
		outcome = coord.Slow
	case OK:
		c.latency[a.Endpoint].Add(took)
	}
	t := &a.ours
	c.eps[a.Endpoint].PushedBack(now, a.RetryAfter)
	t.counted.End(outcome, took)
	c.breakers[a.Endpoint].Done(now, t.local, outcome, c.eps[a.Endpoint].Advice())
	t.paid = ledger.Token{} // spent for good
}

func (c *ours) Retry(now time.Duration, a *Attempt, _ Outcome) (time.Duration, bool) {
	if a.N >= c.options.MaxAttempts || a.Diverted {
		return 0, false
	}
	if a.N == 1 && a.Endpoint == a.ours.home && c.elsewhere(c.m.local(now), &a.ours) {
		return 0, true
	}
	c.m.w.services[c.env.service].Count.Wished++
	now = c.m.local(now)
	at, mode := c.next(now, a.ours.tried)
	if mode == coord.RetryNone {
		return 0, false
	}
	t := &a.ours
	t.want = ledger.Want{Mode: mode, Now: a.N > 1 || c.options.NoLoans}
	p := c.pause(now, a, at)
	wait, _ := p.Draw(c.rand.Float64(), c.jitter(&p)) // there is always room
	t.paid, t.answer = c.account.Take(now, t.want, c.rand.Float64())
	if t.answer == ledger.Later {
		wait = max(wait, p.Backoff.WaitForLoan(a.N, p.Typical, c.rand.Float64()))
	}
	return wait, t.answer != ledger.No
}

// pause is what the wait before a retry at an endpoint depends on.
func (c *ours) pause(now time.Duration, a *Attempt, at int) ledger.Pause {
	adv := c.eps[at].Advice()
	p := ledger.Pause{Retry: a.N, Typical: c.latency[at].Value(), Room: ledger.NoDeadline}
	if at == a.Endpoint {
		p.Floor = min(a.RetryAfter, coord.MaxPushback)
	}
	if !c.options.Unshared {
		p.Shared = adv.Pushback(now)
	}
	if !c.options.Unspread {
		p.Backoff.Failing = adv.Failing
	}
	return p
}

// jitter draws a number only where one is needed, so that where nobody is pushed
// back histories are what they were before anybody could be.
func (c *ours) jitter(p *ledger.Pause) float64 {
	if p.Shared == 0 {
		return 0
	}
	return c.rand.Float64()
}
