// Package failoverhttp sends HTTP requests through a failover.Group: with its
// endpoints, breakers, retry policy and budget.
//
//	client := &http.Client{Transport: failoverhttp.NewTransport(group, nil)}
//
// What is resent: responses 429, 502, 503 and 504 and transport errors, of
// requests that net/http calls replayable, of those marked by WithResend or
// Transport.Resend, and of any request that cannot have been sent. A body is
// rewound by Request.GetBody or not at all; it is never buffered.
//
// Endpoints that are Internal are told how many attempts came before, and a
// response of theirs that says that a retry is no use ends the call: see package
// retryhttp. All others are told nothing, also not what the request's headers say
// of it already, and their word is removed from the response.
//
// What counts: a 5xx other than 501 and 505, a transport error and a body that
// breaks midway are failures of the endpoint; 101, 2xx and 3xx are successes;
// everything else is neither, and so are the caller's cancellation, a request
// body that cannot be read and a request that net/http refuses to send. A
// certificate that does not verify is a failure, but not worth a retry.
package failoverhttp

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/murmuration-go/murmuration/failover"
)

// Transport is an http.RoundTripper that sends requests through a Group. It is
// safe for concurrent use; set its fields before the first request.
//
// Each request goes to the URL of the endpoint that the group chose: scheme and
// host are the endpoint's, its path is put in front of the request's, the query
// is the request's. With an endpoint that has no URL the request goes where it
// says. A URL that is not http or https, or has a user, query or fragment, makes
// an error that names the endpoint, ends the call and counts against nobody.
//
// All requests of a Transport go to its group, also those by which a Client
// follows a redirect: to another host, or to a path that has the endpoint's path
// in front already. Set Client.CheckRedirect where servers send such.
//
// A response is returned with a nil error whatever its status, and so is the
// last one when no further attempt is to be made, with its body open. The last
// outcome counts: a transport error after a 503 is returned as that error. An
// error is a *retry.Error; a *breaker.OpenError when the group refused the
// request; or the error by which the request was found unfit to be sent. (A
// Client with a Timeout replaces errors by its own once that has passed.)
//
// The policy's Hedge is for requests that may be resent, have no body or one with a
// GetBody, and do without Upgrade, Expect and Trailer; retry.WithoutHedge exempts
// others. A response that loses is discarded like one that is followed by another
// attempt.
//
// The policy's AttemptTimeout bounds an attempt up to its response's headers;
// the body may take as long as the request's own context lets it.
type Transport struct {
	// PreserveHost keeps the Host header that the request would have without
	// the Group. By default it is the endpoint's host, unless the request's
	// Host was set to something else than the host of its URL.
	PreserveHost bool

	// Resend says that a request may be sent more than once although
	// net/http would not call it replayable. It must not change the request
	// and must be safe for concurrent use. A body still needs a GetBody.
	Resend func(*http.Request) bool

	// MaxRetryAfter bounds the heed paid to a Retry-After header. Zero means
	// 30 s, which is also the most there is; negative means none is heeded.
	MaxRetryAfter time.Duration

	// DrainBytes and DrainTimeout bound how much of a discarded response is
	// read so that its connection can be used again. Zero means 64 KiB and
	// 250 ms; negative means that such connections are closed.
	DrainBytes   int64
	DrainTimeout time.Duration

	group *failover.Group
	base  http.RoundTripper
	urls  atomic.Pointer[map[string]*baseURL]
}

// NewTransport returns a Transport that sends each attempt by base, or by
// http.DefaultTransport if base is nil.
func NewTransport(g *failover.Group, base http.RoundTripper) *Transport {
	if g == nil {
		panic("failoverhttp: NewTransport needs a group")
	}
	if base == nil {
		base = http.DefaultTransport
	}
	return &Transport{group: g, base: base}
}

type resendKey struct{}

// WithResend marks the requests of a context as fit to be sent more than once,
// whatever their method.
func WithResend(ctx context.Context) context.Context {
	return context.WithValue(ctx, resendKey{}, true)
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	c := &call{t: t, req: req, ctx: req.Context()}
	c.legacy = req.Cancel // deprecated, and what Client.Timeout uses
	if c.legacy != nil {
		c.ctx, c.quit = context.WithCancel(c.ctx)
	}
	defer c.end()
	c.idempotent = c.mayRepeat()
	resp, err := c.send()
	if (err == nil || c.ctx.Err() == nil) && c.take(resp) {
		return resp, nil
	}
	return nil, err
}

// CloseIdleConnections closes those of the base RoundTripper, if it can.
func (t *Transport) CloseIdleConnections() {
	if b, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		b.CloseIdleConnections()
	}
}

// orDefault reads a setting of which zero means a default, negative means off.
func orDefault[T int64 | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return max(v, 0)
}
