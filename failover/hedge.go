package failover

import (
	"context"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/retry"
)

// Hedges reports whether the group's policy has calls hedged.
func (g *Group) Hedges() bool { return g.policy.Hedge != nil }

// Unhedged is Value for calls that must not be under way twice at once, whatever
// the group's policy. fn then runs on the caller's goroutine alone, so that what
// it refers to need not be on the heap.
func Unhedged[T any](ctx context.Context, g *Group, fn func(context.Context, Endpoint) (T, error)) (T, error) {
	return value(ctx, g, func(ctx context.Context, e *Endpoint) (T, error) { return fn(ctx, *e) }, nil)
}

// pair is what came of a first attempt and its hedge, if there was one.
type pair[T any] struct {
	call  retry.Call // as it is after both
	at    int        // where the one went whose outcome counts
	tried uint64     // where both went
	v     T
	ran   bool
	err   error
}

// hedged is attempt with a hedge beside it if that takes long. The hedge goes
// where a retry would go.
func hedged[T any](ctx context.Context, g *Group, r *routes, at int, c retry.Call, fn func(context.Context, *Endpoint) (T, error)) pair[T] {
	p := pair[T]{at: at}
	other, ran := -1, false
	to := func() (route retry.Route) {
		other, route = r.hedge(at)
		return route
	}
	v, hedge, err := retry.Hedged(ctx, &c, r.targets[at].tail, to, func(ctx context.Context, c *retry.Call) (v T, err error) {
		if c.Number() > 1 {
			v, _, err = attempt(ctx, g, r.targets[other], c, nil, fn)
			return v, err
		}
		v, ran, err = attempt(ctx, g, r.targets[at], c, nil, fn)
		return v, err
	})
	p.call, p.v, p.ran, p.err = c, v, ran, err
	if c.Number() > 1 {
		p.tried = 1<<at | 1<<other
	}
	if hedge {
		p.at, p.ran = other, true
	}
	return p
}

// hedge returns where the hedge of a first attempt is to go, and the route says
// if at all: only between endpoints of which nothing bad is known. An endpoint
// that is dimmed or half-open is being probed, and a probe that is cancelled
// tells nothing.
func (r *routes) hedge(at int) (int, retry.Route) {
	other, route := r.next(1 << at)
	if other < 0 || !r.targets[at].steady() || !r.targets[other].steady() {
		route.Mode = retry.ModeNone
	}
	return other, route
}

// steady reports whether an endpoint's breaker is closed and no advice restricts
// it.
func (t *target) steady() bool {
	s := t.breaker.Status()
	return s.State == breaker.Closed && s.Retries == retry.ModeAll
}
