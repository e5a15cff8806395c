package otel

import (
	"net/http"

	"go.opentelemetry.io/otel/trace"
)

// Resends returns a RoundTripper that has the CLIENT spans of requests sent again say
// so (http.request.resend_count), as the conventions want it and instrumentations
// below a retry loop cannot know. It goes inside such an instrumentation, as this
// Telemetry's hooks go outside:
//
//	client := &http.Client{Transport: failoverhttp.NewTransport(g, otelhttp.NewTransport(t.Resends(nil)))}
//
// A nil base means http.DefaultTransport.
func (t *Telemetry) Resends(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &resends{t, base}
}

type resends struct {
	telemetry *Telemetry
	base      http.RoundTripper
}

func (r *resends) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if s := scopeOf(ctx, attemptScope{r.telemetry}); s != nil && s.number > 1 {
		if span := trace.SpanFromContext(ctx); span != trace.SpanFromContext(s.Context) { // nobody has started one
			span.SetAttributes(resendKey.Int(s.number - 1))
		}
	}
	return r.base.RoundTrip(req)
}

// CloseIdleConnections is for http.Client.CloseIdleConnections.
func (r *resends) CloseIdleConnections() {
	if c, ok := r.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
