package retry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/ledger"
)

// Call is one call on its way through a Policy, attempt by attempt. Do and Value
// are made of it; use it directly only where each attempt needs a choice of its
// own, as package failover does. A Call is for one goroutine.
//
//	c := retry.Begin(&policy)
//	c.FirstTry(retry.ModeAll) // unless it may be refused
//	for {
//		err := attempt(c.Number())
//		if err == nil {
//			c.Succeeded()
//			return nil
//		}
//		if !c.Next(ctx, err, retry.Route{}) {
//			return c.Err()
//		}
//	}
type Call struct {
	policy *Policy
	number int // of the attempt under way
	sent   int
	paid   ledger.Token
	source TokenSource // of what the attempt under way cost
	last   error       // of the last attempt that was sent
	stop   error

	hedgedAfter time.Duration // of a hedge's Call
}

// Begin begins a call.
func Begin(p *Policy) Call { return Call{policy: p, number: 1} }

// Begin begins a call in place, which spares a copy. The Call must be zero.
func (c *Call) Begin(p *Policy) { c.policy, c.number = p, 1 }

// FirstTry tells that the call's first attempt is being sent, or has been, which
// earns the budget a fraction of a retry; mode is what the cluster says of the
// endpoint it goes to, and under ModeNone nothing is earned. An attempt that was
// refused earns nothing either.
func (c *Call) FirstTry(mode Mode) { c.policy.Budget.firstTry(mode) }

// Number is the number of the attempt under way, from 1.
func (c *Call) Number() int { return c.number }

// Sent is how many attempts were sent.
func (c *Call) Sent() int { return c.sent }

// Succeeded ends the call well.
func (c *Call) Succeeded() { c.sent++ }

// Route is where a retry would go.
type Route struct {
	// Mode is what the cluster says of the endpoint. Under ModeNone there
	// is no retry, and Off becomes the Stop of the call's Error, nil
	// standing for ErrRetriesOff.
	Mode Mode
	Off  error
	// Latency is how long the endpoint typically takes, 0 if unknown.
	Latency time.Duration
	// Pushback is how long the cluster lets the endpoint alone, for its own
	// sake: a Retry-After that two members have met. The retry comes some
	// time after it; first tries do not wait.
	Pushback time.Duration
	// Failing is how many members see the endpoint fail, 0 if unknown: the
	// more, the further their retries are spread.
	Failing int
	// Elsewhere says that it is another endpoint than the one that failed,
	// whose wish to be left alone (see After) then does not matter.
	Elsewhere bool
}

// Next takes the error of the attempt under way, decides whether there is to be
// another one, and waits for it. When it reports false the call has ended with
// Err.
//
// An error that says NotSent() true means that the attempt was refused and
// never sent: its token is given back and the call ends.
func (c *Call) Next(ctx context.Context, err error, to Route) bool {
	if c.again(ctx, err, to) {
		return true
	}
	c.passOn(ctx)
	return false
}

func (c *Call) again(ctx context.Context, err error, to Route) bool {
	budget := c.policy.Budget
	if coord.NotSent(err) {
		budget.giveBack(c.paid)
		c.stop = err
		return false
	}
	c.sent++
	c.last = err
	after, retryable := c.worth(ctx, err)
	if !retryable || c.number >= c.policy.maxAttempts() {
		return false
	}
	if to.Mode == ModeNone {
		if c.stop = to.Off; to.Off == nil {
			c.stop = ErrRetriesOff
		}
		return false
	}
	if to.Elsewhere {
		after = 0
	}
	backoff := c.policy.backoff()
	backoff.Failing = to.Failing
	wait, noTime := pause(ctx, backoff, c.number, after, to)
	if noTime != nil {
		c.stop = noTime
		return false
	}
	want := ledger.Want{
		Mode: to.Mode, Double: Previous(ctx) > 0,
		Now: c.number > 1 || backoff.Longest(c.number, to.Latency) == 0,
	}
	paid, answer := budget.take(want)
	switch answer {
	case ledger.No:
		c.stop = ErrBudgetExhausted
		return false
	case ledger.Later:
		if hoping := max(wait, backoff.WaitForLoan(c.number, to.Latency, rand.Float64())); hoping < room(ctx, to.Latency) {
			wait = hoping
		}
	case ledger.Yes:
	}
	c.paid, c.source = paid, TokenSource(paid.Source())
	return c.pausedFor(ctx, wait, err) && (answer == ledger.Yes || c.settled(want))
}

// MayDivert reports whether the error of the attempt under way leaves it open to
// send a further one at once: nothing was sent yet, or it may be sent again. It
// changes nothing.
func (c *Call) MayDivert(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	if coord.NotSent(err) {
		return c.sent == 0
	}
	_, ok := c.policy.worth(err)
	return ok
}

// Divert takes the error of the attempt under way, like Next, when a further one
// is sent to another endpoint that has room for it: at once, for no token. It is
// the call's last, and Failed ends it. Divert reports false, and nothing has
// changed, if MayDivert does, or if the deadline leaves no time for an endpoint that
// typically takes so long.
func (c *Call) Divert(ctx context.Context, err error, latency time.Duration) bool {
	if !c.MayDivert(ctx, err) || room(ctx, latency) <= 0 {
		return false
	}
	if !coord.NotSent(err) {
		c.sent++
		c.number++
		c.last, c.source = err, TokenFree
	}
	return true
}

// Failed ends the call with the error of a diverted attempt.
func (c *Call) Failed(ctx context.Context, err error) {
	if coord.NotSent(err) {
		c.stop = err
	} else {
		c.sent++
		c.last = err
		_, _ = c.worth(ctx, err) // the caller may have gone
	}
	c.passOn(ctx)
}

// pausedFor waits before the next attempt, and reports false if the caller went
// in the meantime.
func (c *Call) pausedFor(ctx context.Context, wait time.Duration, err error) bool {
	budget := c.policy.Budget
	if h := c.policy.Hooks.Wait; h != nil {
		h(ctx, Attempt{Service: budget.Service(), Number: c.number}, err, wait)
	}
	if !sleep(ctx, wait) {
		budget.giveBack(c.paid)
		c.stop = gone(ctx)
		return false
	}
	c.number++
	return true
}

// settled pays after the wait for what others had been asked for.
func (c *Call) settled(want ledger.Want) bool {
	paid, answer := c.policy.Budget.settle(want)
	if c.paid, c.source = paid, TokenSource(paid.Source()); answer == ledger.No {
		c.stop = ErrBudgetExhausted
		return false
	}
	return true
}

// worth reports whether an error is worth another attempt, and the least wait
// before it.
func (c *Call) worth(ctx context.Context, err error) (after time.Duration, ok bool) {
	if ctx.Err() != nil { // the caller has gone, whatever the attempt says
		c.stop = gone(ctx)
		return 0, false
	}
	return c.policy.worth(err)
}

// worth is what an error says by itself.
func (p *Policy) worth(err error) (after time.Duration, ok bool) {
	var m *markedError
	if errors.As(err, &m) {
		if m.after < 0 {
			return 0, false
		}
		after = m.after
	}
	if r := p.Retryable; r != nil && !r(err) {
		return 0, false
	}
	return after, true
}

// gone says why the caller's context ended: its error, by which callers tell a
// cancellation from a deadline, and the cause if that says something else.
func gone(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if err == nil { // what it must not outlast is over
		return context.Canceled
	}
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// Err is the error of a call that ended without success: a *Error if anything
// was sent, else the refusal itself.
func (c *Call) Err() error {
	if c.sent == 0 {
		return c.stop
	}
	if errors.Is(c.last, c.stop) {
		return &Error{Attempts: c.sent, Err: c.last}
	}
	return &Error{Attempts: c.sent, Err: c.last, Stop: c.stop}
}

// Context returns the context for the attempt under way: bounded by the
// policy's AttemptTimeout, and telling a breaker which attempt it is and the next
// tier how many came before (see Previous).
func (c *Call) Context(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.number > 1 {
		ctx = withEarlier(coord.WithAttempt(ctx, c.number), c.number-1)
	}
	if t := c.policy.AttemptTimeout; t > 0 {
		return context.WithTimeoutCause(ctx, t, errAttempt)
	}
	return ctx, noCancel
}

func noCancel() {}

// sleep waits, and reports false if the context ended first, or what the call must
// not outlast.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	case <-coord.End(ctx):
		return false
	}
}
