package breaker

import (
	"context"
	"sync/atomic"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// Allow is the two-step form of Do, for calls that no function can enclose. It
// returns a *OpenError, or a function that must be called once with the call's
// error when the call has ended; further calls of it do nothing. A done that is
// never called blocks nobody for ever, but leaves the call counted as in
// flight.
//
// done cannot know why the caller gave up: hand it the caller's own cancellation
// marked by Neutral, or it counts as a failure.
//
// The first use of Allow changes the breaker for good to a machine that
// allocates a little on every call. What was counted until then is forgotten,
// and a breaker that was not closed stays open for one more OpenTimeout.
func (b *Breaker) Allow() (done func(error), err error) {
	ctx := context.Background()
	a := b.shared.Advice()
	if err := b.admit(a, 1); err != nil {
		return nil, b.refused(ctx, err)
	}
	now := coord.Now()
	b.shared.Wanted(spread(now))
	count := func(coord.Outcome) {}
	if a.Frozen {
		if err := b.frozen(b.machine(a, now), a); err != nil {
			return nil, b.refused(ctx, err)
		}
	} else if !a.InForce() {
		l := b.machine(a, now)
		if !l.open(now) {
			l = b.twoStepMachine(a, now)
		}
		if l.open(now) {
			return nil, b.refused(ctx, l.refuse(now))
		}
		report, refusal := l.twoStep.Allow()
		if refusal != nil {
			l.tell()
			return nil, b.refused(ctx, l.refuse(now))
		}
		probe := l.began(now)
		l.tell()
		count = func(o coord.Outcome) {
			l.ended(probe, o)
			report(verdict(o))
			l.tell()
		}
	}
	timeout := b.timeout(ctx)
	at := b.shared.Send(a, timeout, false, spread(now))
	var once atomic.Bool
	return func(err error) {
		if once.Swap(true) {
			return
		}
		b.heed(err)
		took := coord.Now() - now
		o := b.outcome(ctx, err, took, timeout, a)
		at.End(o, took)
		count(o)
	}, nil
}
