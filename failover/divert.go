package failover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
)

// DivertedError is among the causes of a *retry.Error whose last attempt was diverted:
// it went to another endpoint than the call's home, and there was no further one. It
// says why the call left home.
type DivertedError struct {
	Service, From, To string

	// Source is who found that home is in trouble, and Age how old that was: the
	// cluster or an operator, or this process, by its breaker or by no more than
	// this call's own first try, which had just failed.
	Source breaker.Source
	Age    time.Duration

	Phi      float64           // fraction of first tries that may go to home
	Evidence breaker.Evidence  // what it rests on
	Override *breaker.Override // nil unless an operator decided
}

func (e *DivertedError) Error() string {
	if e.Override != nil {
		return fmt.Sprintf("failover: diverted to %s, and so for the last time, since an operator orders of %s/%s: %v, %v ago",
			e.To, e.Service, e.From, e.Override, e.Age.Round(time.Millisecond))
	}
	v := &e.Evidence
	by := e.Source.String()
	if v.Steward != "" {
		by += ", steward " + v.Steward
	}
	return fmt.Sprintf("failover: diverted to %s, and so for the last time, since %s/%s is in trouble by %s: %d of %d attempts failed as heard from %d members, %v ago",
		e.To, e.Service, e.From, by, v.Failures, v.Outcomes, v.Reporters, e.Age.Round(time.Millisecond))
}

// because says why a call leaves home, where it ended with err.
func (g *Group) because(home, to *target, err error) *DivertedError {
	d := &DivertedError{Service: g.service, From: home.Name, To: to.Name}
	var open *breaker.OpenError
	if errors.As(err, &open) && open.Endpoint == home.Name {
		d.Source, d.Age, d.Phi, d.Evidence, d.Override = open.Source, open.Age, open.Phi, open.Evidence, open.Override
		return d
	}
	st := home.breaker.Status()
	d.Source, d.Age, d.Phi, d.Evidence, d.Override = st.Source, st.Age, st.Phi, st.Evidence, st.Override
	if st.Source != breaker.SourceCluster && st.State == breaker.Closed { // nobody keeps it from home
		d.Source, d.Override = breaker.SourceLocal, nil
		d.Evidence = breaker.Evidence{Reporters: 1, Failures: 1, Outcomes: 1}
	}
	return d
}

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
func divert[T any](ctx context.Context, g *Group, w *way, home error, fn func(context.Context, *Endpoint) (T, error)) (v T, ran bool, err error) {
	siblings, drawn := w.targets[w.at].breaker.InTrouble(), w.draw(1<<w.at)
	for k := range w.targets {
		i := w.nearest(k, drawn)
		t := w.targets[i]
		if t.off || i == w.at || w.isHome(i) && !siblings || !t.breaker.Takes() {
			continue
		}
		c := w.call // as it is if it gets past t's breaker, which may have its probe already
		if !c.Divert(ctx, home, t.breaker.Latency()) {
			continue
		}
		why := g.because(w.targets[w.at], t, home)
		if v, ran, err = attempt(ctx, g, t, &c, why, fn); ran {
			w.call, w.why = c, why
			return v, true, err
		}
	}
	return v, false, home
}
