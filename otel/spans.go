package otel

import (
	"context"
	"math/rand/v2"
	"reflect"
	"sync/atomic"
	"time"

	api "go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
)

// spans starts spans, and keeps away from a tracer of which nothing comes, since
// even that one would allocate on each call.
type spans struct {
	tracer trace.Tracer

	// still is the global provider under which the tracer was seen to make no
	// spans. The tracer may be the global one from before the program has set
	// its SDK, hence that provider and not a flag.
	still atomic.Pointer[trace.TracerProvider]
	made  atomic.Bool // a span has been made
}

// askAgain is after how many calls on average a tracer that made no spans is
// asked again: it may do so for a reason that cannot be seen from here, such as
// an agent that attaches to the process.
const askAgain = 1024

// idle reports whether no span would come of begin.
func (s *spans) idle() bool {
	p := s.still.Load()
	return p != nil && *p == api.GetTracerProvider() && rand.Uint32()%askAgain != 0
}

// begin starts a span. The span is nil, and the context unchanged, when the
// tracer makes none. A span that is not sampled is not nil: its context keeps
// what is below it from being sampled.
func (s *spans) begin(ctx context.Context, name string, opts []trace.SpanStartOption) (context.Context, trace.Span) {
	global := api.GetTracerProvider() // as it was before, in case it is just being set
	parent := trace.SpanContextFromContext(ctx).SpanID()
	with, span := s.tracer.Start(ctx, name, opts...)
	if !span.IsRecording() && span.SpanContext().SpanID() == parent {
		if reflect.TypeOf(global).Comparable() {
			s.still.Store(&global)
		}
		return ctx, nil
	}
	if !s.made.Load() {
		s.made.Store(true)
	}
	if s.still.Load() != nil {
		s.still.Store(nil)
	}
	return with, span
}

// scope is the context of a call or an attempt and what is known of it. It is a
// context itself, rather than the value of one, to be one allocation.
type scope struct {
	context.Context //nolint:containedctx // it is a context itself
	key             any
	span            trace.Span // nil if there is none
	start           time.Duration
	number          int // of an attempt

	// Of a call: the wait before its next attempt, in nanoseconds, whether
	// the span tells of a refusal, and whether two attempts are at work and
	// neither has answered yet. Hooks of one call may run on several
	// goroutines.
	wait    atomic.Int64
	refused atomic.Bool
	hedged  atomic.Bool
}

// The keys of scopes are those of one Telemetry, so that two may be at work on
// the same call.
type (
	callScope    struct{ *Telemetry }
	attemptScope struct{ *Telemetry }
)

func (s *scope) Value(key any) any {
	if key == s.key {
		return s
	}
	return s.Context.Value(key)
}

func (s *scope) String() string { return "murmuration scope" }

// scopeOf returns the innermost scope of a key, or nil.
func scopeOf(ctx context.Context, key any) *scope {
	s, _ := ctx.Value(key).(*scope)
	return s
}

// recording reports whether there is a span to write to.
func (s *scope) recording() bool { return s != nil && s.span != nil && s.span.IsRecording() }
