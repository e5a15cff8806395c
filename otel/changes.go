package otel

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/metric"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/gossip"
)

// refused is told each attempt that a breaker refused. The call may yet turn to
// another endpoint; its span tells of the first refusal, unless it ends with
// another one.
func (t *Telemetry) refused(ctx context.Context, e *breaker.OpenError) {
	if t.inst.breakerRefusal.Enabled(ctx) {
		o := t.targets.get(e.Service, e.Endpoint).with(decidedBy + label(e.Source))
		t.inst.breakerRefusal.Add(ctx, 1, o.add...)
	}
	if !t.spans.made.Load() {
		return
	}
	if c := scopeOf(ctx, callScope{t}); c.recording() && !c.refused.Swap(true) {
		c.span.SetAttributes(refusalAttributes(e)...)
	}
}

// stateChange is told each change of a local breaker.
func (t *Telemetry) stateChange(service, endpoint string, from, to breaker.State) {
	ctx := context.Background() // a breaker's state belongs to no call
	if t.inst.breakerTransition.Enabled(ctx) {
		o := t.targets.get(service, endpoint).with(transition + 16*label(from) + label(to))
		t.inst.breakerTransition.Add(ctx, 1, o.add...)
	}
}

// routed is told where each attempt goes.
func (t *Telemetry) routed(ctx context.Context, _, endpoint string, _ int) {
	if !t.spans.made.Load() {
		return
	}
	if c := scopeOf(ctx, callScope{t}); c.recording() {
		c.span.SetAttributes(endpointKey.String(endpointName(endpoint)))
	}
}

// diverted is told why a call turns from its home to another endpoint. A call that was
// refused there has told it already.
func (t *Telemetry) diverted(ctx context.Context, why *failover.DivertedError) {
	if !t.spans.made.Load() {
		return
	}
	c := scopeOf(ctx, callScope{t})
	if !c.recording() {
		return
	}
	c.span.SetAttributes(divertedFromKey.String(endpointName(why.From)))
	if !c.refused.Swap(true) {
		c.span.SetAttributes(reasons(why.Source, why.Age, why.Phi, &why.Evidence, why.Override)...)
	}
}

// callRefused is told each call of which nothing was sent.
func (t *Telemetry) callRefused(ctx context.Context, service string, err error) {
	if !t.inst.callRefusal.Enabled(ctx) {
		return
	}
	l := label(success) // by what is no breaker: nobody decided
	var e *breaker.OpenError
	if errors.As(err, &e) {
		l = decidedBy + label(e.Source)
	}
	t.inst.callRefusal.Add(ctx, 1, t.targets.get(service, "").with(l).add...)
}

func (t *Telemetry) modeChange(from, to gossip.Mode, _ string) {
	ctx := context.Background()
	if t.inst.modeTransition.Enabled(ctx) {
		t.inst.modeTransition.Add(ctx, 1, metric.WithAttributes(fromKey.String(from.String()), toKey.String(to.String())))
	}
}
