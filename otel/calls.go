package otel

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

// Measurements are made with the context of the span that they belong to, so
// that exemplars lead there.

func (t *Telemetry) callStart(ctx context.Context, service string) context.Context {
	if t.spans.idle() {
		return ctx
	}
	with, span := t.spans.begin(ctx, callSpan, t.targets.startOptions(service, ""))
	if span == nil {
		return ctx
	}
	return &scope{Context: with, key: callScope{t}, span: span}
}

func (t *Telemetry) callEnd(ctx context.Context, c retry.CallInfo) {
	timed := t.inst.callDuration.Enabled(ctx)
	if !timed && !t.spans.made.Load() {
		return
	}
	e := callEnded(ctx, c.Err)
	if timed {
		o := t.targets.get(c.Service, "").with(label(e.outcome))
		t.inst.callDuration.Record(ctx, c.Took.Seconds(), o.record...)
	}
	s := scopeOf(ctx, callScope{t})
	if s == nil {
		return
	}
	if s.recording() {
		s.span.SetAttributes(attemptCountKey.Int(c.Attempts))
		if e.stop != success {
			s.span.SetAttributes(stopKey.String(e.stop.String()))
		}
		if e.refusal != nil {
			s.span.SetAttributes(refusalAttributes(e.refusal)...)
		}
		s.tell(e)
	}
	s.span.End()
}

func (t *Telemetry) attemptStart(ctx context.Context, a retry.Attempt) context.Context {
	if t.baggage {
		ctx = previousToBaggage(ctx, a.Internal)
	}
	timed, idle := t.inst.attemptDuration.Enabled(ctx), t.spans.idle()
	if idle && !timed {
		return ctx
	}
	s := &scope{Context: ctx, key: attemptScope{t}, number: a.Number}
	if !idle {
		s.Context, s.span = t.spans.begin(ctx, attemptSpan, t.targets.startOptions(a.Service, a.Endpoint))
	}
	if s.span == nil && !timed {
		return ctx
	}
	if s.recording() {
		s.span.SetAttributes(attemptKey.Int(a.Number))
		if a.Token != retry.TokenFree {
			s.span.SetAttributes(tokenKey.String(a.Token.String()))
		}
		if a.HedgedAfter > 0 {
			s.span.SetAttributes(hedgedAfterKey.Float64(a.HedgedAfter.Seconds()))
		}
		if c := scopeOf(ctx, callScope{t}); c != nil {
			if a.HedgedAfter > 0 {
				c.hedged.Store(true)
			} else if wait := time.Duration(c.wait.Swap(0)); wait > 0 {
				s.span.SetAttributes(waitKey.Float64(wait.Seconds()))
			}
		}
	}
	s.start = coord.Now()
	return s
}

func (t *Telemetry) attemptEnd(ctx context.Context, a retry.Attempt, err error) {
	timed := t.inst.attemptDuration.Enabled(ctx)
	counted := a.Number > 1 && t.inst.retry.Enabled(ctx)
	if !timed && !counted && !t.spans.made.Load() {
		return
	}
	if counted && !coord.NotSent(err) {
		o := t.targets.get(a.Service, a.Endpoint).with(label(success))
		t.inst.retry.Add(ctx, 1, o.add...)
		if a.HedgedAfter > 0 {
			t.inst.hedge.Add(ctx, 1, o.add...)
		}
	}
	s := scopeOf(ctx, attemptScope{t})
	if s == nil {
		return
	}
	took := coord.Now() - s.start
	e := attemptEnded(ctx, err)
	if timed {
		o := t.targets.get(a.Service, a.Endpoint).with(label(e.outcome))
		t.inst.attemptDuration.Record(ctx, took.Seconds(), o.record...)
	}
	if s.recording() {
		s.tell(e)
		if err == nil && a.Endpoint != "" {
			if c := scopeOf(ctx, callScope{t}); c.recording() && c.hedged.Swap(false) {
				c.span.SetAttributes(endpointKey.String(endpointName(a.Endpoint)))
			}
		}
	}
	if s.span != nil {
		s.span.End()
	}
}

// wait keeps the wait for the span of the attempt that follows it.
func (t *Telemetry) wait(ctx context.Context, _ retry.Attempt, _ error, wait time.Duration) {
	if !t.spans.made.Load() {
		return
	}
	if c := scopeOf(ctx, callScope{t}); c.recording() {
		c.wait.Store(int64(wait))
	}
}

// tell writes to the span how what it stands for ended.
func (s *scope) tell(e ended) {
	if e.status != 0 {
		s.span.SetAttributes(statusCodeKey.Int(e.status))
	}
	if e.code != 0 {
		s.span.SetAttributes(rpcStatusKey.String(e.code.String()))
	}
	if e.outcome != success {
		s.span.SetAttributes(e.outcome.errorType())
	}
	if e.outcome != success && e.outcome != superseded {
		s.span.SetStatus(codes.Error, "")
	}
}

// refusalAttributes say why something was refused.
func refusalAttributes(e *breaker.OpenError) []attribute.KeyValue {
	return append(reasons(e.Source, e.Age, e.Phi, &e.Evidence, e.Override), refusedEndpointKey.String(endpointName(e.Endpoint)))
}

// reasons say who decided and on what evidence, but not who the stewards are: members
// come and go, and their names tell nothing later.
func reasons(by breaker.Source, age time.Duration, phi float64, v *breaker.Evidence, o *breaker.Override) []attribute.KeyValue {
	attrs := []attribute.KeyValue{
		decidedByKey.String(by.String()),
		phiKey.Float64(phi),
		evidenceAgeKey.Float64(age.Seconds()),
	}
	if o != nil {
		attrs = append(attrs, overrideKey.String(o.Kind.String()))
	}
	if v.Reporters > 0 {
		attrs = append(attrs,
			reportersKey.Int(v.Reporters),
			failuresKey.Int64(int64(v.Failures)),
			outcomesKey.Int64(int64(v.Outcomes)))
	}
	return attrs
}
