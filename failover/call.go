package failover

import (
	"context"
	"fmt"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/internal/coord"
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
		_, err := Value(ctx, g, func(ctx context.Context, e Endpoint) (struct{}, error) { return struct{}{}, fn(ctx, e) })
		return err
	}
	_, err := value(ctx, g, func(ctx context.Context, e *Endpoint) (struct{}, error) { return struct{}{}, fn(ctx, *e) }, nil)
	return err
}

// Value is Do for functions that return a value. The value is the last
// attempt's, also beside an error; a refused attempt counts as none.
func Value[T any](ctx context.Context, g *Group, fn func(context.Context, Endpoint) (T, error)) (T, error) {
	if !g.Hedges() {
		return Unhedged(ctx, g, fn)
	}
	f := func(ctx context.Context, e *Endpoint) (T, error) { return fn(ctx, *e) }
	return value(ctx, g, f, func(ctx context.Context, r *routes, at int, c retry.Call) pair[T] {
		return hedged(ctx, g, r, at, c, f)
	})
}

// value is Value with the way to run attempts that may be hedged, nil if none
// may. That is handed in so that fn stays off the heap where there is none. fn gets a
// pointer since an Endpoint is ten words, to be copied once a call.
func value[T any](ctx context.Context, g *Group, fn func(context.Context, *Endpoint) (T, error), hedged func(context.Context, *routes, int, retry.Call) pair[T]) (v T, err error) {
	if g.closed.Load() {
		return v, ErrClosed
	}
	var began time.Duration
	told := g.policy.Hooks.Calls()
	if told {
		ctx, began = g.policy.Hooks.Begin(ctx, g.service)
	}
	var w way
	if w.routes = g.routes.Load(); w.before != nil {
		w.routes = g.present(w.routes)
	}
	w.call.Begin(&g.policy)
	w.at = w.first()
	for {
		var got T
		var ran bool
		if hedged != nil && w.call.MayHedge(ctx) {
			p := hedged(ctx, w.routes, w.at, w.call)
			w.call, w.at, w.tried = p.call, p.at, p.tried
			got, ran, err = p.v, p.ran, p.err
		} else {
			got, ran, err = attempt(ctx, g, w.targets[w.at], &w.call, nil, fn)
		}
		if ran && (err == nil || w.call.Sent() == 0 || !coord.NotSent(err)) {
			v = got
		}
		if err == nil {
			w.call.Succeeded()
			break
		}
		if w.inNeed(ctx, err) {
			if there, sent, failed := divert(ctx, g, &w, err, fn); sent {
				v = there
				if err = w.last(ctx, failed); err != nil && w.call.Sent() == 0 {
					g.refused(ctx, err)
				}
				break
			}
		}
		if w.turn(ctx, ran, err) {
			continue
		}
		if !ran && w.call.Number() == 1 { // nothing was sent
			err = w.refusal
			g.refused(ctx, err)
		} else {
			err = w.call.Err()
		}
		break
	}
	if told {
		g.policy.Hooks.End(ctx, began, g.service, w.call.Sent(), err)
	}
	return v, err
}

// way is a call on its way along the routes.
type way struct {
	*routes
	call          retry.Call
	at            int
	tried, passed uint64 // a bit for each endpoint
	refusal       error  // the first since the last attempt that was sent
	drawn         bool   // the lot whether it is diverted has been
	why           *DivertedError
}

// turn takes what came of the attempt under way, and reports whether there is
// another one: at once, if it was refused, where it is taken; or after a wait.
func (w *way) turn(ctx context.Context, ran bool, err error) bool {
	if !ran { // passed over: no token, no wait
		w.passed |= 1 << w.at
		if w.refusal == nil {
			w.refusal = err
		}
		if next := w.instead(w.tried, w.passed, err); next >= 0 {
			w.at = next
			return true
		}
		return w.call.Number() > 1 && w.call.Next(ctx, w.refusal, retry.Route{})
	}
	w.tried |= 1 << w.at
	next, route := w.next(w.tried)
	route.Elsewhere = next != w.at
	if !w.call.Next(ctx, err, route) {
		return false
	}
	w.at, w.passed, w.refusal = next, 0, nil
	return true
}

// last takes what came of a diverted attempt, and returns the call's error.
func (w *way) last(ctx context.Context, err error) error {
	if err == nil {
		w.call.Succeeded()
		return nil
	}
	w.call.Failed(ctx, err)
	err = w.call.Err()
	if e, ok := err.(*retry.Error); ok {
		if e.Stop == nil {
			e.Stop = w.why
		} else {
			e.Stop = fmt.Errorf("%w; %w", e.Stop, w.why)
		}
	}
	return err
}

func (g *Group) refused(ctx context.Context, err error) {
	if e, ok := err.(*breaker.OpenError); ok && e.ByVerdict() {
		retry.Discourage(ctx)
	}
	if h := g.config.Hooks.Refused; h != nil {
		h(ctx, g.service, err)
	}
}

func (g *Group) diverted(ctx context.Context, why *DivertedError) {
	if h := g.config.Hooks.Diverted; h != nil {
		h(ctx, g.service, why.From, why.To)
	}
	if h := g.config.Hooks.DivertedFor; h != nil {
		h(ctx, why)
	}
}

// instead returns where to turn when an endpoint's breaker has refused, or -1.
// A first try that the cluster dims stays at home and is refused; one of which an operator
// lets none go is as if the breaker had refused it. While the cluster
// says how much may go elsewhere, a refusal by the local breaker leads there only
// where the cluster has heard of it and finds nothing amiss: then it is this
// member's own path that is broken, and it moves itself.
func (r *routes) instead(tried, passed uint64, err error) int {
	if len(r.targets) == 1 {
		return -1
	}
	if e, ok := err.(*breaker.OpenError); ok && e.Source != breaker.SourceLocal && !e.Retry {
		if none := e.Source == breaker.SourceOperator && e.Phi == 0; !none {
			return -1
		}
	}
	stay, drawn := r.spills && r.planned() && !r.ownPath(), r.draw(tried|passed)
	for _, skip := range []uint64{tried | passed, passed} {
		for k := range r.targets {
			i := r.nearest(k, drawn)
			t := r.targets[i]
			if skip&(1<<i) == 0 && !t.off && (!stay || r.isHome(i)) {
				return i
			}
		}
	}
	return -1
}

// attempt runs fn on one endpoint, unless its breaker refuses. why is of a call that is
// diverted, else nil.
func attempt[T any](ctx context.Context, g *Group, t *target, c *retry.Call, why *DivertedError, fn func(context.Context, *Endpoint) (T, error)) (v T, ran bool, err error) {
	n := c.Number()
	if why != nil {
		n = 0
	}
	err = t.breaker.DoAttempt(ctx, n, func(ctx context.Context) error {
		ran = true
		if n == 1 {
			c.FirstTry(t.breaker.FirstMode())
		}
		if c.Number() > 1 || g.policy.AttemptTimeout > 0 { // else it is this one
			var cancel context.CancelFunc
			ctx, cancel = c.Context(ctx)
			defer cancel()
		}
		if why != nil {
			g.diverted(ctx, why)
		}
		if h := g.config.Hooks.Routed; h != nil {
			h(ctx, g.service, t.Name, c.Number())
		}
		var err error
		if !g.policy.Hooks.Attempts() {
			v, err = fn(ctx, &t.Endpoint)
			return err
		}
		a := c.Attempt(g.service, t.Name)
		a.Internal = t.Internal
		ctx = g.policy.Hooks.BeginAttempt(ctx, a)
		v, err = fn(ctx, &t.Endpoint)
		g.policy.Hooks.EndAttempt(ctx, a, err)
		return err
	})
	return v, ran, err
}
