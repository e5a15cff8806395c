package failover

import "context"

// inNeed reports whether a call may be diverted whose first try at home, with its
// hedge if it had one, ended with err. That counts as need, once a call.
func (w *way) inNeed(ctx context.Context, err error) bool {
	if !w.spills || w.drawn || !w.isHome(w.at) || !w.call.MayDivert(ctx, err) {
		return false
	}
	w.drawn = true
	w.targets[w.at].breaker.Needed()
	return true
}

func (r *routes) isHome(i int) bool { return r.homes&(1<<i) != 0 }

// divert runs fn on the nearest other endpoint that takes the call, at the cost of
// neither a token nor a wait: there is room for it. What the cluster has room for is
// decided by lot. Another endpoint of home takes what fails at one that the cluster
// has found to be in trouble; else retries turn to it. It is the call's last attempt,
// unless nobody takes it: then ran is false, and the call is as it was.
func divert[T any](ctx context.Context, g *Group, w *way, home error, fn func(context.Context, Endpoint) (T, error)) (v T, ran bool, err error) {
	siblings, drawn := w.targets[w.at].breaker.InTrouble(), w.draw(1<<w.at)
	for k := range w.targets {
		i := w.nearest(k, drawn)
		t := w.targets[i]
		if t.out() || i == w.at || w.isHome(i) && !siblings || !t.breaker.Takes() {
			continue
		}
		c := w.call // as it is if it gets past t's breaker, which may have its probe already
		if !c.Divert(ctx, home, t.breaker.Latency()) {
			continue
		}
		if v, ran, err = attempt(ctx, g, t, &c, w.targets[w.at], fn); ran {
			w.call = c
			return v, true, err
		}
	}
	return v, false, home
}
