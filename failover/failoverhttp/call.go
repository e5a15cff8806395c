package failoverhttp

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/internal/unsent"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/outlive"
	"github.com/murmuration-go/murmuration/retry"
	"github.com/murmuration-go/murmuration/retry/retryhttp"
)

// call is one request on its way through the group. A hedge, which is sent while
// the attempt before it is under way, shares it with that one.
//
// Invariants:
//  1. The caller's request is only read. Attempts after the first have their own
//     headers, since the transport may still be reading those of an earlier one,
//     and so has one that tells of earlier attempts.
//     The Trailer map is shared, for the caller fills it while the body is read.
//  2. answers has the response of the last attempt sent, if it got one, and that
//     of the attempt that was under way beside it. They stay untouched until
//     the next attempt is really about to be sent.
//  3. Exactly one party closes the caller's body: the base, once the body is
//     handed over for good, else end. No two attempts read the same one.
type call struct {
	t          *Transport
	req        *http.Request
	ctx        context.Context // the caller's, which also ends with Request.Cancel
	idempotent bool

	legacy <-chan struct{} // Request.Cancel
	quit   func()          // ends ctx; nil without a Request.Cancel

	handed atomic.Bool  // the caller's body was given to the base
	loan   *requestBody // of a body that cannot be rewound; such requests are not hedged

	mu       sync.Mutex
	attempts int
	watched  bool // Request.Cancel is being watched
	answers  [2]answer
}

// answer is a response that an attempt got.
type answer struct {
	resp     *http.Response // nil if there is none
	body     *responseBody  // nil if there is nothing to read
	endpoint string
}

// attempt is one sending of a call's request.
type attempt struct {
	*call
	loop context.Context // the retry loop's
	body *requestBody    // what the base reads; nil if nothing can go wrong with it
	seen *sightings      // nil if the request may be repeated in any case
}

// send sends the request through the group.
func (c *call) send() (*http.Response, error) {
	if c.t.group.Hedges() && c.mayHedge() {
		return failover.Value(c.ctx, c.t.group, c.attempt)
	}
	return failover.Unhedged(c.ctx, c.t.group, c.attempt)
}

// attempt sends the request once. It is the function that the group runs.
func (c *call) attempt(loop context.Context, e failover.Endpoint) (*http.Response, error) {
	r := new(request)
	to, host, err := c.t.direct(c.req, e, &r.url)
	if err != nil {
		return nil, &unsent.Error{Err: err}
	}
	body, watched, err := c.nextBody()
	if err != nil {
		return nil, &unsent.Error{Err: err}
	}
	a := attempt{call: c, loop: loop, body: watched}
	n := c.sending(coord.IsHedge(loop, c.ctx), e.Name)

	life := outlive.Begin(c.req.Context(), loop)
	defer life.EndUnlessKept()
	ctx := life.Context()
	if !c.idempotent {
		a.seen = new(sightings)
		ctx = a.seen.watch(ctx)
	}
	out := r.copied(ctx, c.req)
	out.URL, out.Host, out.Body = to, host, body
	out.Header = c.header(loop, e, n)

	resp, err := c.t.base.RoundTrip(out)
	switch {
	case err != nil:
		if resp != nil && resp.Body != nil { // a base must not do that
			_ = resp.Body.Close()
		}
		return nil, a.judge(out, err)
	case resp == nil:
		err := fmt.Errorf("failoverhttp: base RoundTripper %T returned neither response nor error", c.t.base)
		return nil, retry.Permanent(breaker.Neutral(err))
	}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	if !life.Answered() { // too late: the body is being cut off already
		_ = resp.Body.Close()
		return nil, a.judge(out, context.Cause(loop))
	}
	err = a.judgeStatus(resp, e.Internal)
	c.keep(resp, &life, e.Name)
	return resp, err
}

// header returns the headers of an attempt, whose context is loop. How
// many attempts came before is for internal endpoints alone, and for the loop to
// say: what a proxy has copied of the request it received goes no further.
func (c *call) header(loop context.Context, e failover.Endpoint, number int) http.Header {
	tells := e.Internal && retry.Previous(loop) > 0
	if _, copied := c.req.Header[retryhttp.PreviousAttempts]; number == 1 && !tells && !copied {
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

// sending counts an attempt that is about to be sent, and discards what it
// supersedes. A hedge supersedes nothing.
func (c *call) sending(hedge bool, endpoint string) (number int) {
	c.mu.Lock()
	c.attempts++
	number = c.attempts
	var old [2]answer
	if !hedge {
		old, c.answers = c.answers, old
	}
	c.mu.Unlock()
	for _, a := range old {
		a.discard(c.t, endpoint)
	}
	return number
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

// mayHedge reports whether the request may be under way twice at once.
func (c *call) mayHedge() bool {
	_, upgrade := c.req.Header["Upgrade"]
	_, expect := c.req.Header["Expect"]
	return c.idempotent && c.canRewind() && !upgrade && !expect && len(c.req.Trailer) == 0
}

// keep adds a response to the answers. Its body ends the attempt's life, and
// reports its own breaking unless the attempt has failed already.
func (c *call) keep(resp *http.Response, life *outlive.Life, endpoint string) {
	a := answer{resp: resp, endpoint: endpoint}
	a.body = c.watchBody(resp, life, endpoint)
	c.mu.Lock()
	defer c.mu.Unlock()
	i := 0
	if c.answers[0].resp != nil {
		i = 1
	}
	c.answers[i] = a
}

// watchBody lets the body of a response end the attempt's life. It returns nil if
// nothing can break, or it is no longer HTTP and nothing ends with it.
func (c *call) watchBody(resp *http.Response, life *outlive.Life, endpoint string) *responseBody {
	if resp.Body == http.NoBody {
		return nil
	}
	upgraded := resp.StatusCode == http.StatusSwitchingProtocols
	end := life.Keep()
	if upgraded && end == nil {
		return nil
	}
	b := &responseBody{inner: resp.Body, upgraded: upgraded, cancel: end}
	if !isFailure(resp.StatusCode) && !upgraded {
		b.group, b.endpoint = c.t.group, endpoint
		b.ctx, b.legacy = c.req.Context(), c.legacy
	}
	resp.Body = b.withWriter()
	return b
}

// take removes a response from the answers once all attempts have ended, and
// reports whether it was there.
func (c *call) take(resp *http.Response) bool {
	for i, a := range c.answers {
		if resp != nil && a.resp == resp {
			c.answers[i] = answer{}
			return true
		}
	}
	return false
}

// discard discards an answer since an attempt is about to be sent to an endpoint.
// Only one on the same endpoint can use the same connection, so only that one
// waits for it, and only for a moment.
func (a *answer) discard(t *Transport, next string) {
	if a.resp == nil {
		return
	}
	grace := time.Duration(0)
	if next == a.endpoint {
		grace = drainGrace
	}
	t.discard(a.resp, a.body, grace)
}

// end releases what is left when RoundTrip returns or panics.
func (c *call) end() {
	for _, a := range c.answers {
		if a.resp != nil {
			c.t.discard(a.resp, a.body, 0)
		}
	}
	switch {
	case c.loan != nil:
		c.loan.settle()
	case !c.handed.Load() && c.req.Body != nil:
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
	if c.legacy == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watched {
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
