// Package retry repeats calls that failed, within bounds that hold for a whole
// fleet.
//
// Do and Value run a function until it succeeds, the policy says stop, or the
// caller's context ends. Waits are full-jitter backoff; a wait that does not
// fit the deadline is not begun. A Budget bounds the retries of all calls to a
// service: first tries earn them, retries spend them, and there is no floor. A
// Hedge, which is one of them, is sent while the first attempt is under way.
//
// Where services call services, retries multiply: three attempts in each of three
// tiers are 27 at the last one. So a request tells how many attempts came before
// it (see Previous); retries below a request that is one itself cost twice as
// much; and a tier that has given up for want of budget or by verdict tells the
// one above not to retry (see Discouraged). Packages retryhttp and retrygrpc do
// that for servers and clients, failoverhttp and failovergrpc for their endpoints.
package retry

import (
	"context"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// Do runs fn until it returns nil, and returns nil then. Otherwise it returns a
// *Error with the last attempt's error, or, when nothing was sent at all, the
// refusal as fn returned it (see Call.Next).
//
// fn gets a context that ends with the attempt; it must not be used after fn
// has returned. With a Hedge, fn may run twice at once. The caller's cancellation
// ends the call at once, also during a wait; an attempt that ran into
// AttemptTimeout is one more failure.
//
// With a Budget in a cluster there are no retries, and nothing is earned, while
// the cluster has turned them off for every endpoint of the service.
func Do(ctx context.Context, p Policy, fn func(context.Context) error) error {
	if p.Hedge != nil {
		_, err := Value(ctx, p, valueless(fn))
		return err
	}
	_, err := value(ctx, p, valueless(fn), nil)
	return err
}

func valueless(fn func(context.Context) error) func(context.Context) (struct{}, error) {
	return func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) }
}

// Value is Do for functions that return a value. The value is the last
// attempt's, also beside an error; a refused attempt counts as none.
func Value[T any](ctx context.Context, p Policy, fn func(context.Context) (T, error)) (T, error) {
	if p.Hedge == nil {
		return value(ctx, p, fn, nil)
	}
	return value(ctx, p, fn, func(ctx context.Context, c Call) (Call, T, error) { return hedgedOnce(ctx, c, fn) })
}

// value is Value with the way to run attempts that may be hedged, nil if none
// may. That is handed in so that, where there is none, what Do wraps around its fn
// stays off the heap. fn itself does not, for a hedge's goroutine may run it.
func value[T any](ctx context.Context, p Policy, fn func(context.Context) (T, error), hedged func(context.Context, Call) (Call, T, error)) (T, error) {
	service := p.Budget.Service()
	ctx, began := p.Hooks.Begin(ctx, service)
	c := Begin(&p)
	var v T
	for {
		var got T
		var err error
		if hedged != nil && c.MayHedge(ctx) {
			c, got, err = hedged(ctx, c)
		} else {
			got, err = once(ctx, &c, fn)
		}
		if err == nil || !coord.NotSent(err) || c.sent == 0 {
			v = got
		}
		if err == nil {
			c.Succeeded()
			p.Hooks.End(ctx, began, service, c.sent, nil)
			return v, nil
		}
		if !c.Next(ctx, err, p.Budget.route()) {
			err = c.Err()
			p.Hooks.End(ctx, began, service, c.sent, err)
			return v, err
		}
	}
}

// once runs fn for the attempt under way, and tells the hooks and the budget: of
// a first try that was sent, and of how long a success has taken.
func once[T any](ctx context.Context, c *Call, fn func(context.Context) (T, error)) (v T, err error) {
	budget := c.policy.Budget
	start := coord.Now()
	ctx, cancel := c.Context(ctx)
	defer cancel()
	a := c.Attempt(budget.Service(), "")
	ctx = c.policy.Hooks.BeginAttempt(ctx, a)
	v, err = fn(ctx)
	c.policy.Hooks.EndAttempt(ctx, a, err)
	if c.number == 1 && (err == nil || !coord.NotSent(err)) {
		c.FirstTry(budget.mode())
	}
	if err == nil {
		budget.observe(coord.Now() - start)
	}
	return v, err
}

// hedgedOnce is once with a hedge beside the attempt if that takes long. The Call
// comes back as it is then.
func hedgedOnce[T any](ctx context.Context, c Call, fn func(context.Context) (T, error)) (Call, T, error) {
	v, _, err := Hedged(ctx, &c, c.policy.Budget.slow(), c.policy.Budget.route, func(ctx context.Context, c *Call) (T, error) {
		return once(ctx, c, fn)
	})
	return c, v, err
}
