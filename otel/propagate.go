package otel

import (
	"net/http"

	"go.opentelemetry.io/otel/propagation"
)

// WithPropagators says how the context of an attempt travels by Inject and Extract.
// Default, and for nil: the global propagator as it is when New is called. If one is set
// only later, that one takes over then.
func WithPropagators(p propagation.TextMapPropagator) Option {
	return func(c *config) {
		if p != nil {
			c.propagators = p
		}
	}
}

// Inject returns a RoundTripper that sends the context of each attempt along, in headers:
// its span, and its baggage with the number of earlier attempts (see WithBaggage). It is
// for programs whose HTTP client has no instrumentation that does so:
//
//	client := &http.Client{Transport: failoverhttp.NewTransport(g, t.Inject(nil))}
//
// A nil base means http.DefaultTransport.
func (t *Telemetry) Inject(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &inject{t.propagators, base}
}

type inject struct {
	propagators propagation.TextMapPropagator
	base        http.RoundTripper
}

func (i *inject) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := req.Clone(req.Context()) // a RoundTripper must not change its request
	i.propagators.Inject(req.Context(), propagation.HeaderCarrier(sent.Header))
	return i.base.RoundTrip(sent)
}

// CloseIdleConnections is for http.Client.CloseIdleConnections.
func (i *inject) CloseIdleConnections() {
	if c, ok := i.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// Extract returns a handler that serves a request in the context that came with it, as
// Inject or another instrumentation sent it: what it calls in turn belongs to that trace,
// and knows of earlier attempts (see FromBaggage). It is for servers that have no
// instrumentation that does so.
func (t *Telemetry) Extract(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := t.propagators.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		next.ServeHTTP(w, r.WithContext(FromBaggage(ctx)))
	})
}
