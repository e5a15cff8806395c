package otel

import (
	"context"
	"strconv"

	api "go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/baggage"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

// Beyond these a receiver drops baggage, the program's own with it (W3C Baggage,
// section 3.3.2).
const (
	maxMembers = 64
	maxBytes   = 8192
)

// WithBaggage has the attempts to internal endpoints (failover.Endpoint.Internal)
// carry the number of attempts before them, as retry.Previous has it, as a member
// "murmuration.previous_attempts" of their context's baggage, from which the
// program's propagator takes it. A number of 0 is not told. Attempts to all other
// endpoints, and those of retry.Do, which knows no endpoint, carry no such member,
// even if it was in the context before. Baggage that would become too large is
// left as it is. Default off.
//
// It is for where the headers of retryhttp and retrygrpc do not get through.
// Baggage has no way back: that a retry is no use is told by those alone.
func WithBaggage() Option { return func(c *config) { c.baggage = true } }

// FromBaggage returns the context for serving a request, with the number of
// earlier attempts that the baggage of its context tells of (see
// retry.WithPrevious). The member is removed, so that it does not travel on to
// whoever is called next. One that is no number counts as 0.
//
// It is for servers behind an instrumentation that extracts baggage, inside it,
// and goes together with retryhttp.Handler and retrygrpc's interceptors in either
// order: the larger number counts.
func FromBaggage(ctx context.Context) context.Context {
	told := baggage.FromContext(ctx).Member(previousMember).Value()
	return retry.WithPrevious(withoutPrevious(ctx), coord.ReadPrevious(told))
}

// previousToBaggage tells of earlier attempts in the baggage of an attempt's
// context, if its endpoint may know.
func previousToBaggage(ctx context.Context, internal bool) context.Context {
	n := retry.Previous(ctx)
	if !internal || n == 0 {
		return withoutPrevious(ctx)
	}
	m, err := baggage.NewMember(previousMember, strconv.Itoa(n))
	if err != nil {
		api.Handle(err)
		return withoutPrevious(ctx)
	}
	b, err := baggage.FromContext(ctx).SetMember(m)
	if err != nil {
		api.Handle(err)
		return withoutPrevious(ctx)
	}
	if b.Len() > maxMembers || len(b.String()) > maxBytes {
		return withoutPrevious(ctx)
	}
	return baggage.ContextWithBaggage(ctx, b)
}

func withoutPrevious(ctx context.Context) context.Context {
	b := baggage.FromContext(ctx)
	if b.Member(previousMember).Key() == "" {
		return ctx
	}
	return baggage.ContextWithBaggage(ctx, b.DeleteMember(previousMember))
}
