package breaker

import (
	"math/rand/v2"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// Takes reports whether an attempt that failed or was dimmed at another endpoint,
// the caller's home, may come to this one. It draws a lot: the cluster says how
// likely that is to be, so that what all members divert is not more than there is
// room for. Without a cluster nothing may. It counts and holds nothing.
func (b *Breaker) Takes() bool {
	a := b.shared.Advice()
	if a.Sigma == 0 || !a.Takes(rand.Float64()) {
		return false
	}
	now := coord.Now()
	if a.Frozen {
		return b.frozen(b.machine(a, now), a) == nil
	}
	return a.InForce() || !b.machine(a, now).open(now)
}

// Needed counts a call that could be diverted from this endpoint, its home, since
// its first try failed or was dimmed. The cluster makes room by it.
func (b *Breaker) Needed() { b.shared.Needed(spread(coord.Now())) }

// InTrouble reports whether the cluster has found something amiss with the endpoint,
// and acts on it.
func (b *Breaker) InTrouble() bool { return b.shared.Advice().InForce() }

// Planned reports whether what fails elsewhere may come to this endpoint as Takes has
// it only: two of its stewards are heard, or were less than 45 s ago.
func (b *Breaker) Planned() bool { return b.shared.Advice().Planned }

// OwnPath reports whether it is this member's own path to the endpoint that is
// broken: the breaker is not closed, and as two stewards have seen from before it opened
// until after it, most attempts of others succeed.
func (b *Breaker) OwnPath() bool {
	a := b.shared.Advice()
	l := b.life.Load()
	return a.Coordinated() && !a.InForce() && l.era == a.Era &&
		State(l.state.Load()) != Closed && a.WellSince(time.Duration(l.brokenAt.Load()))
}

// Locate tells the cluster how this member stands to the endpoint: the member's
// zone, whether it is at home elsewhere, so that what it sends here is diverted, and
// how many requests a second the endpoint can take, 0 if unknown.
func (b *Breaker) Locate(zone string, away bool, capacity float64) {
	b.shared.Locate(coord.Place{Zone: zone, Away: away, Capacity: capacity})
}

// Ordered is what an operator orders about the way of first tries: coord.Drain,
// coord.Prefer, or 0.
func (b *Breaker) Ordered() coord.OverrideKind {
	if o := b.shared.Advice().Routing; o != nil {
		return o.Kind
	}
	return 0
}

// LogTo has the changes of a breaker without a cluster kept in a log, that of its
// group; it is called before anything else. In a cluster they are in the service's.
func (b *Breaker) LogTo(log *coord.Log) {
	if b.log == nil {
		b.log = log
	}
}

// write keeps a change of the local state machine in the log.
func (b *Breaker) write(c change) {
	phi := 1.0
	if c.to == Open {
		phi = 0
	}
	b.log.Add(coord.Decision{At: time.Now(), Endpoint: b.endpoint, Source: SourceLocal, State: c.to.String(), Phi: phi, Retries: RetryAll, Evidence: c.evidence})
}

// note tells the hook of a change of the local state machine.
func (b *Breaker) note(c change) {
	if f := b.config.Hooks.StateChange; f != nil {
		f(b.config.Service, b.endpoint, c.from, c.to)
	}
}
