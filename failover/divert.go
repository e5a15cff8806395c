package failover

import (
	"context"

	"github.com/murmuration-go/murmuration/retry"
)

// elsewhere returns where a call is to be diverted whose first try at home, with
// its hedge if it had one, ended with err; -1 for nowhere. The nearest endpoint that
// is not home and takes it gets it. What the cluster has room for is decided by lot,
// once a call; a call that could be diverted counts as need all the same.
func (w *way) elsewhere(ctx context.Context, err error) int {
	if !w.spills || w.drawn || !w.isHome(w.at) || !w.call.MayDivert(ctx, err) {
		return -1
	}
	w.drawn = true
	w.targets[w.at].breaker.Needed()
	for i, t := range w.targets {
		if !t.drained && !w.isHome(i) && t.breaker.Takes() && w.call.Divert(ctx, err, t.breaker.Latency()) {
			return i
		}
	}
	return -1
}

func (r *routes) isHome(i int) bool { return r.homes&(1<<i) != 0 }

// diverted runs fn on an endpoint that is not home, at the cost of neither a token
// nor a wait: there is room for it. It is the call's last attempt.
func diverted[T any](ctx context.Context, g *Group, from, to *target, c *retry.Call, fn func(context.Context, Endpoint) (T, error)) (v T, ran bool, err error) {
	if h := g.config.Hooks.Diverted; h != nil {
		h(ctx, g.service, from.Name, to.Name)
	}
	return attempt(ctx, g, to, c, true, fn)
}
