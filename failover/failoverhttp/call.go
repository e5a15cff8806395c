package failoverhttp

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/retry"
	"github.com/murmuration-go/murmuration/retry/retryhttp"
)

// call is one request on its way through the group. It belongs to the goroutine
// of RoundTrip.
//
// Invariants:
//  1. The caller's request is only read. Attempts after the first have their own
//     headers, since the transport may still be reading those of an earlier one,
//     and so has one that tells of earlier attempts.
//     The Trailer map is shared, for the caller fills it while the body is read.
//  2. resp is the response of the last attempt sent, if it got one. It stays
//     untouched until the next attempt is really about to be sent.
//  3. Exactly one party closes the caller's body: the base, once the body is
//     handed over for good, else end.
type call struct {
	t   *Transport
	req *http.Request
	ctx context.Context // the caller's, which also ends with Request.Cancel

	legacy <-chan struct{} // Request.Cancel
	quit   func()          // ends ctx; nil without a Request.Cancel

	attempts   int
	idempotent bool
	handed     bool         // the caller's body was given to the base
	body       *requestBody // the loan of it under way, if it is on loan
	watched    bool         // Request.Cancel is being watched

	resp     *http.Response
	kept     *responseBody // of resp; nil if there is nothing to read
	endpoint string        // that resp came from
}

// attempt sends the request once. It is the function that the group runs.
func (c *call) attempt(loop context.Context, e failover.Endpoint) (*http.Response, error) {
	if c.attempts == 0 {
		c.idempotent = c.mayRepeat()
	}
	url, host, err := c.t.direct(c.req, e)
	if err != nil {
		return nil, &unsentError{err}
	}
	body, err := c.nextBody()
	if err != nil {
		return nil, &unsentError{err}
	}
	c.supersede(e.Name)
	c.attempts++

	life := begin(c.req.Context(), loop)
	defer life.endUnlessKept()
	ctx := life.ctx
	var seen *sightings
	if !c.idempotent {
		seen = new(sightings)
		ctx = seen.watch(ctx)
	}
	out := c.req.WithContext(ctx)
	out.URL, out.Host, out.Body = url, host, body
	out.Header = c.header(loop, e)

	resp, err := c.t.base.RoundTrip(out)
	switch {
	case err != nil:
		if resp != nil && resp.Body != nil { // a base must not do that
			_ = resp.Body.Close()
		}
		return nil, c.judge(loop, out, seen, err)
	case resp == nil:
		err := fmt.Errorf("failoverhttp: base RoundTripper %T returned neither response nor error", c.t.base)
		return nil, retry.Permanent(breaker.Neutral(err))
	}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	if !life.headersCame() { // too late: the body is being cut off already
		_ = resp.Body.Close()
		return nil, c.judge(loop, out, seen, context.Cause(loop))
	}
	err = c.judgeStatus(resp, e.Internal)
	c.keep(resp, &life, e.Name)
	return resp, err
}

// header returns the headers of the attempt under way, whose context is loop. How
// many attempts came before is for internal endpoints alone, and for the loop to
// say: what a proxy has copied of the request it received goes no further.
func (c *call) header(loop context.Context, e failover.Endpoint) http.Header {
	tells := e.Internal && retry.Previous(loop) > 0
	if _, copied := c.req.Header[retryhttp.PreviousAttempts]; c.attempts == 1 && !tells && !copied {
		return c.req.Header
	}
	h := c.req.Header.Clone()
	switch {
	case h == nil: // unfit to be sent, which is for the base to say
	case tells:
		retryhttp.Set(loop, h)
	default:
		h.Del(retryhttp.PreviousAttempts)
	}
	return h
}

// mayRepeat reports whether the request may be sent more than once: by the rule
// of net/http, or because somebody said so.
func (c *call) mayRepeat() bool {
	switch c.req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	for _, h := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if _, ok := c.req.Header[h]; ok {
			return true
		}
	}
	if c.req.Context().Value(resendKey{}) != nil {
		return true
	}
	return c.t.Resend != nil && c.t.Resend(c.req)
}

// keep makes a response the last one of the call. Its body ends the attempt's
// life, and reports its own breaking unless the attempt has failed already.
func (c *call) keep(resp *http.Response, life *life, endpoint string) {
	c.resp, c.kept, c.endpoint = resp, nil, endpoint
	upgraded := resp.StatusCode == http.StatusSwitchingProtocols
	if resp.Body == http.NoBody || upgraded && life.cancel == nil {
		return // nothing can break, or it is no longer HTTP
	}
	b := &responseBody{inner: resp.Body, upgraded: upgraded, cancel: life.keep()}
	if !isFailure(resp.StatusCode) && !upgraded {
		b.group, b.endpoint = c.t.group, endpoint
		b.ctx, b.legacy = c.req.Context(), c.legacy
	}
	c.kept = b
	resp.Body = b.withWriter()
}

// supersede discards the kept response, since another attempt is about to be
// sent. Only an attempt on the same endpoint can use the same connection, so
// only that one waits for it, and only for a moment.
func (c *call) supersede(next string) {
	if resp := c.resp; resp != nil {
		c.resp = nil
		grace := time.Duration(0)
		if next == c.endpoint {
			grace = drainGrace
		}
		c.t.discard(resp, c.kept, grace)
	}
}

// end releases what is left when RoundTrip returns or panics.
func (c *call) end() {
	if c.resp != nil {
		c.t.discard(c.resp, c.kept, 0)
	}
	switch {
	case c.body != nil:
		c.body.settle()
	case !c.handed && c.req.Body != nil:
		_ = c.req.Body.Close()
	}
	if c.quit != nil {
		c.quit()
	}
}

// gone reports whether the caller has given up, in one of the two ways.
func (c *call) gone() bool {
	select {
	case <-c.legacy:
		c.canceled()
	default:
	}
	return c.ctx.Err() != nil
}

// watch makes sure that a wait for the next attempt ends when Request.Cancel
// does; during an attempt the base sees to that.
func (c *call) watch() {
	if c.legacy == nil || c.watched {
		return
	}
	c.watched = true
	go func() {
		select {
		case <-c.legacy:
			c.canceled()
		case <-c.ctx.Done():
		}
	}()
}

// canceled ends the call's context after Request.Cancel. Client.Timeout closes
// that and ends the context at the same time; then the context's own reason,
// which is evidence, must not be lost.
func (c *call) canceled() {
	if d, ok := c.ctx.Deadline(); ok && time.Until(d) <= 0 {
		<-c.ctx.Done()
		return
	}
	c.quit()
}
