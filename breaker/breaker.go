// Package breaker stops calls to an endpoint that is failing.
//
// A Breaker wraps sony/gobreaker with a rolling window and adds what a fleet
// needs: outcomes that count neither way, probes that cannot block for ever,
// and, in a cluster, advice that overrules the local state machine. With no
// cluster, or while the cluster is silent, a Breaker decides exactly as
// gobreaker does.
//
// In a cluster each Breaker reports what it sees, and dims first tries by the
// fraction phi that the stewards of the service agreed on. The dimmer replaces
// open, half-open and ramping by one number: at 1 everything goes, near 0 a
// trickle of probes.
//
// An error by which an endpoint asks to be left alone, told by a method Pushback()
// time.Duration as those of retry.After have, is reported too. Once two members
// have met one, all know it, and retry loops that ask Breaker.Pushback wait. That
// of an attempt is meant: a *retry.Error, with which a call has ended, tells none.
package breaker

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/frugal"
)

// Breaker guards calls to one endpoint. It is safe for concurrent use. Make one
// with New and keep it as long as the endpoint.
type Breaker struct {
	endpoint string
	config   Config
	shared   *coord.Endpoint // nil: local only
	log      *coord.Log      // of the service's decisions; nil: nobody asks for it

	latency frugal.Median

	life atomic.Pointer[local]
	mu   sync.Mutex // serialises the replacing of life
}

// New returns a breaker for an endpoint. It panics on a Config that
// Config.Validate refuses, and on an endpoint name that is empty or over 64
// bytes while Config has a Cluster.
func New(endpoint string, c Config) *Breaker {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	if coord.Present(c.Cluster) {
		if err := coord.CheckName(endpoint); err != nil {
			panic(&ConfigError{Field: "endpoint", Problem: err.Error()})
		}
	}
	b := &Breaker{endpoint: endpoint, config: c.withDefaults()}
	if s := coord.Resolve(c.Cluster, c.Service); s != nil {
		s.RefuseWith(dimmed)
		b.shared, b.log = s.Endpoint(endpoint), s.Log()
		b.shared.TellPolicy(b.config.policy())
	}
	b.life.Store(newLocal(b, b.shared.Advice().Era, false))
	b.shared.TellOwnPath(b.OwnPath)
	return b
}

// Do runs fn unless the breaker refuses, and counts its outcome. A refusal is a
// *OpenError, and fn has not run. A panic of fn counts as a failure and goes
// on. The context is handed to fn; a context that is already done is fn's to
// notice.
//
// Under retry.Do, an attempt after the first counts as a retry.
func (b *Breaker) Do(ctx context.Context, fn func(context.Context) error) error {
	return b.DoAttempt(ctx, coord.AttemptNumber(ctx), fn)
}

// DoAttempt is Do for callers that number the attempts of a call themselves:
// n = 1 is the first try, which alone counts as demand and can be dimmed; a
// higher n is a retry, which is refused while retries are off. n = 0 is an attempt
// that is diverted from another endpoint, and neither (see Takes).
func (b *Breaker) DoAttempt(ctx context.Context, n int, fn func(context.Context) error) error {
	a := b.shared.Advice()
	if err := b.admit(a, n); err != nil {
		return b.refused(ctx, err)
	}
	now := coord.Now()
	if n == 1 {
		b.shared.Wanted(spread(now))
	}
	if a.InForce() { // the local machine rests
		_, err := b.attempt(ctx, a, n, now, fn)
		return err
	}
	l := b.machine(a, now)
	if a.Frozen {
		if err := b.frozen(l, a); err != nil {
			return b.refused(ctx, err)
		}
		_, err := b.attempt(ctx, a, n, now, fn)
		return err
	}
	if l.open(now) {
		return b.refused(ctx, l.refuse(now))
	}
	if l.twoStep != nil {
		return b.doTwoStep(ctx, l, a, n, now, fn)
	}
	ran := false
	var err error
	defer l.tell()
	_, _ = l.exec.Execute(func() (struct{}, error) {
		ran = true
		probe := l.began(now)
		var o coord.Outcome
		o, err = b.attempt(ctx, a, n, now, fn)
		l.ended(probe, o)
		return struct{}{}, verdict(o)
	})
	if !ran {
		return b.refused(ctx, l.refuse(now))
	}
	return err
}

func (b *Breaker) doTwoStep(ctx context.Context, l *local, a *coord.Advice, n int, now time.Duration, fn func(context.Context) error) error {
	done, refusal := l.twoStep.Allow()
	if refusal != nil {
		l.tell()
		return b.refused(ctx, l.refuse(now))
	}
	probe := l.began(now)
	o := coord.Failure // unless fn returns
	defer func() {
		l.ended(probe, o)
		done(verdict(o))
		l.tell()
	}()
	var err error
	o, err = b.attempt(ctx, a, n, now, fn)
	return err
}

// admit applies the cluster's advice. It counts the demand of what it refuses;
// the caller counts that of the rest.
func (b *Breaker) admit(a *coord.Advice, n int) error {
	switch {
	case n == 0 && a.Mode != coord.RetryNone && a.Phi == coord.PhiFull:
		return nil // what is diverted is no retry, whatever an operator has of those
	case n != 1:
		return b.retriesOff(a)
	case a.Phi == coord.PhiFull:
		return nil
	}
	r := rand.Uint32()
	if b.shared.Admit(a.Phi, r) {
		return nil
	}
	b.shared.Wanted(r >> 16)
	if a.Refusal == nil { // published before the cluster knew how to refuse
		return dimmed(b.config.Service, b.endpoint, a)
	}
	return a.Refusal
}

// retriesOff is the refusal of a retry while the cluster has turned them off.
func (b *Breaker) retriesOff(a *coord.Advice) error {
	if a.RetryMode() != coord.RetryNone && a.Phi == coord.PhiFull {
		return nil
	}
	e := dimmed(b.config.Service, b.endpoint, a).(*OpenError)
	if e.Retry = true; a.RetriesOff != nil {
		e.Source, e.Age, e.Evidence, e.Override = SourceOperator, max(coord.Now()-a.RetriesOffAt, 0), Evidence{}, a.RetriesOff
	}
	return e
}

// Retryable reports which retries may go to the endpoint now. Under RetryNone
// the error is the refusal that such a retry would get. It counts nothing and
// holds nothing; the answer may be out of date by the time it is used.
func (b *Breaker) Retryable() (Mode, error) {
	a := b.shared.Advice()
	if err := b.retriesOff(a); err != nil {
		return coord.RetryNone, err
	}
	if a.InForce() {
		return a.Mode, nil
	}
	now := coord.Now()
	l := b.machine(a, now)
	if a.Frozen {
		if err := b.frozen(l, a); err != nil {
			return coord.RetryNone, err
		}
	} else if l.open(now) {
		return coord.RetryNone, l.refuse(now)
	}
	return coord.RetryAll, nil
}

// frozen is the refusal by a local machine that is to stay as it is: it refuses unless it
// was closed, and counts nothing.
func (b *Breaker) frozen(l *local, a *coord.Advice) error {
	if State(l.state.Load()) == Closed {
		return nil
	}
	return &OpenError{
		Service: b.config.Service, Endpoint: b.endpoint, Source: SourceOperator, Override: a.Override,
		Age: max(coord.Now()-a.AsOf, 0), Evidence: l.evidence(),
	}
}

// FirstMode reports which retries the cluster lets through for a call whose
// first try goes to this endpoint.
func (b *Breaker) FirstMode() Mode { return b.shared.Advice().RetryMode() }

// machine returns the local machine, replaced if advice has ended since it
// began, and if it waits for a probe that will not come back.
func (b *Breaker) machine(a *coord.Advice, now time.Duration) *local {
	l := b.life.Load()
	if l.era == a.Era && !l.stuck(now) {
		return l
	}
	return b.replace(a, now, l.twoStep != nil)
}

func (b *Breaker) twoStepMachine(a *coord.Advice, now time.Duration) *local {
	if l := b.machine(a, now); l.twoStep != nil {
		return l
	}
	return b.replace(a, now, true)
}

func (b *Breaker) replace(a *coord.Advice, now time.Duration, twoStep bool) *local {
	b.mu.Lock()
	old := b.life.Load()
	wary := old.stuck(now)
	if old.era >= a.Era && !wary && (old.twoStep != nil) == twoStep {
		b.mu.Unlock() // somebody else has done it
		return old
	}
	l := newLocal(b, max(old.era, a.Era), twoStep)
	c := change{from: State(old.state.Load()), to: Closed}
	if old.era == l.era {
		l.wary.Store(wary)
		if !wary && c.from != Closed { // only the shape changes
			l.trip()
			l.why.Store(old.why.Load())
			l.changes, c.to, c.evidence = nil, Open, l.evidence()
		}
	}
	if c.from != c.to {
		b.write(c)
	}
	b.life.Store(l)
	b.mu.Unlock()
	if c.from != c.to {
		b.note(c)
	}
	return l
}

// attempt runs fn and counts its outcome for the cluster.
func (b *Breaker) attempt(ctx context.Context, a *coord.Advice, n int, start time.Duration, fn func(context.Context) error) (o coord.Outcome, err error) {
	timeout := b.timeout(ctx)
	at := b.shared.Send(a, timeout, n > 1, spread(start))
	returned := false
	defer func() {
		if !returned { // fn panicked, or ended its goroutine
			at.End(coord.Failure, coord.Now()-start)
		}
	}()
	err = fn(ctx)
	returned = true
	b.heed(err)
	took := coord.Took(ctx, start)
	o = b.outcome(ctx, err, took, timeout, a)
	at.End(o, took)
	if o == coord.Success && (!b.latency.Warm() || spread(start)&15 == 0) {
		b.latency.Add(took)
	}
	return o, err
}

// spread makes of a time a number that differs from call to call, which is
// cheaper than drawing one.
func spread(now time.Duration) uint32 { return uint32(now>>3) ^ uint32(now>>9) }

// Latency is the observed median latency of successful attempts, 0 while
// unknown.
func (b *Breaker) Latency() time.Duration { return b.latency.Value() }

func (b *Breaker) refused(ctx context.Context, err error) error {
	if b.config.Hooks.Refused != nil {
		if e, ok := err.(*OpenError); ok {
			b.config.Hooks.Refused(ctx, e)
		}
	}
	return err
}
