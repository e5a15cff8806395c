package failover

import (
	"context"
	"errors"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/retry"
)

// Do runs fn with an endpoint until it succeeds, the policy says stop, or the
// caller's context ends. It returns a *retry.Error with the last attempt's error
// once anything was sent, and otherwise the *breaker.OpenError by which the
// nearest endpoint was refused.
//
// fn gets a context that ends with the attempt; it must not be used after fn
// has returned. fn must be safe to run again unless Config.Retry allows one
// attempt only, or it marks errors by retry.Permanent; and to run twice at once
// if Config.Retry has a Hedge, but see Unhedged.
func (g *Group) Do(ctx context.Context, fn func(context.Context, Endpoint) error) error {
	if g.Hedges() {
		_, err := Value(ctx, g, valueless(fn))
		return err
	}
	_, err := Unhedged(ctx, g, valueless(fn))
	return err
}

func valueless(fn func(context.Context, Endpoint) error) func(context.Context, Endpoint) (struct{}, error) {
	return func(ctx context.Context, e Endpoint) (struct{}, error) { return struct{}{}, fn(ctx, e) }
}

// Value is Do for functions that return a value. The value is the last
// attempt's, also beside an error; a refused attempt counts as none.
func Value[T any](ctx context.Context, g *Group, fn func(context.Context, Endpoint) (T, error)) (T, error) {
	if !g.Hedges() {
		return Unhedged(ctx, g, fn)
	}
	return value(ctx, g, fn, func(ctx context.Context, r *routes, at int, c retry.Call) pair[T] {
		return hedged(ctx, g, r, at, c, fn)
	})
}

// value is Value with the way to run attempts that may be hedged, nil if none
// may. That is handed in so that fn stays off the heap where there is none.
func value[T any](ctx context.Context, g *Group, fn func(context.Context, Endpoint) (T, error), hedged func(context.Context, *routes, int, retry.Call) pair[T]) (v T, err error) {
	if g.closed.Load() {
		return v, ErrClosed
	}
	r := g.routes.Load()
	ctx, began := g.policy.Hooks.Begin(ctx, g.service)
	c := retry.Begin(&g.policy)
	at := r.first()
	var tried, passed uint64
	var refusal error // the first since the last attempt that was sent
	for {
		var got T
		var ran bool
		if hedged != nil && c.MayHedge(ctx) {
			p := hedged(ctx, r, at, c)
			c, at, tried = p.call, p.at, p.tried
			got, ran, err = p.v, p.ran, p.err
		} else {
			got, ran, err = attempt(ctx, g, r.targets[at], &c, fn)
		}
		if ran && (err == nil || c.Sent() == 0 || !notSent(err)) {
			v = got
		}
		switch {
		case err == nil:
			c.Succeeded()
			g.ended(ctx, began, c.Sent(), nil)
			return v, nil
		case !ran: // passed over: no token, no wait
			passed |= 1 << at
			if refusal == nil {
				refusal = err
			}
			if at = r.instead(tried, passed, err); at >= 0 {
				continue
			}
			if c.Number() == 1 {
				g.refused(ctx, refusal)
				g.ended(ctx, began, 0, refusal)
				return v, refusal
			}
			c.Next(ctx, refusal, retry.Route{})
		default:
			tried |= 1 << at
			next, route := r.next(tried)
			route.Elsewhere = next != at
			if c.Next(ctx, err, route) {
				at, passed, refusal = next, 0, nil
				continue
			}
		}
		err = c.Err()
		g.ended(ctx, began, c.Sent(), err)
		return v, err
	}
}

// notSent reports whether an error says that nothing reached the endpoint.
func notSent(err error) bool {
	var e interface{ NotSent() bool }
	return errors.As(err, &e) && e.NotSent()
}

func (g *Group) ended(ctx context.Context, began time.Duration, attempts int, err error) {
	g.policy.Hooks.End(ctx, began, retry.CallInfo{Service: g.service, Attempts: attempts, Err: err})
}

func (g *Group) refused(ctx context.Context, err error) {
	if e, ok := err.(*breaker.OpenError); ok && e.ByVerdict() {
		retry.Discourage(ctx)
	}
	if h := g.config.Hooks.Refused; h != nil {
		h(ctx, g.service, err)
	}
}

// instead returns where to turn when an endpoint's breaker has refused, or -1.
// A first try that the cluster dims stays at home and is refused.
func (r *routes) instead(tried, passed uint64, err error) int {
	if len(r.targets) == 1 {
		return -1
	}
	if e, ok := err.(*breaker.OpenError); ok && e.Source != breaker.SourceLocal && !e.Retry {
		return -1
	}
	for _, skip := range []uint64{tried | passed, passed} {
		for i, t := range r.targets {
			if skip&(1<<i) == 0 && !t.drained {
				return i
			}
		}
	}
	return -1
}

// attempt runs fn on one endpoint, unless its breaker refuses.
func attempt[T any](ctx context.Context, g *Group, t *target, c *retry.Call, fn func(context.Context, Endpoint) (T, error)) (v T, ran bool, err error) {
	err = t.breaker.DoAttempt(ctx, c.Number(), func(ctx context.Context) error {
		ran = true
		if c.Number() == 1 {
			c.FirstTry(t.breaker.FirstMode())
		}
		ctx, cancel := c.Context(ctx)
		defer cancel()
		if h := g.config.Hooks.Routed; h != nil {
			h(ctx, g.service, t.Name, c.Number())
		}
		a := c.Attempt(g.service, t.Name)
		a.Internal = t.Internal
		ctx = g.policy.Hooks.BeginAttempt(ctx, a)
		var err error
		v, err = fn(ctx, t.Endpoint)
		g.policy.Hooks.EndAttempt(ctx, a, err)
		return err
	})
	return v, ran, err
}
