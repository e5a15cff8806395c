package failoverhttp

import (
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
)

var errBodySpent = errors.New("failoverhttp: the request's body has been read and has no GetBody")

// nextBody returns the body for the next attempt, and what watches over it, if
// that is needed. A body that can be rewound is handed over for good; one that
// cannot is on loan, so that it can be sent by another attempt as long as nobody
// has read of it.
func (c *call) nextBody() (io.ReadCloser, *requestBody, error) {
	body := c.req.Body
	if body == nil || body == http.NoBody {
		c.handed.Store(true)
		return body, nil, nil
	}
	if c.req.GetBody == nil {
		if c.loan != nil && !c.loan.recall() {
			return nil, nil, errBodySpent
		}
		c.handed.Store(true)
		c.loan = &requestBody{inner: body}
		return c.loan, c.loan, nil
	}
	if c.handed.Swap(true) {
		var err error
		if body, err = c.req.GetBody(); err != nil {
			return nil, nil, err
		}
	}
	// net/http sends the bodies of its own making together with the headers,
	// unless they are wrapped; and those cannot fail.
	if t := reflect.TypeOf(body); t == nopCloser || t == nopCloserWriterTo {
		return body, nil, nil
	}
	b := &requestBody{inner: body, final: true}
	return b, b, nil
}

var (
	nopCloser         = reflect.TypeOf(io.NopCloser(nil))
	nopCloserWriterTo = reflect.TypeOf(io.NopCloser(strings.NewReader("")))
)

// canRewind reports whether there is a body to send as often as need be, or none.
func (c *call) canRewind() bool {
	return c.req.Body == nil || c.req.Body == http.NoBody || c.req.GetBody != nil
}

// rewindable reports whether another attempt could send the whole body.
func (a *attempt) rewindable(answered bool) bool {
	switch {
	case a.canRewind():
		return true
	case answered: // the transport may still be about to send it
		return a.body.untouched()
	}
	return a.body.recall()
}

// requestBody lends a body to the base for one attempt. While nothing has been
// read of it, Close only ends the loan, and the loan can be recalled: from then
// on the base cannot reach the body any more, however late it comes.
type requestBody struct {
	inner io.ReadCloser

	mu     sync.Mutex
	read   bool
	ended  bool // closed by the base, or recalled
	final  bool // the base's Close is the caller's
	failed bool // a Read failed that was not disturbed by Close
}

func (b *requestBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	if b.ended {
		b.mu.Unlock()
		return 0, http.ErrBodyReadAfterClose
	}
	b.read = true
	b.mu.Unlock()
	n, err := b.inner.Read(p)
	if err != nil && err != io.EOF {
		b.mu.Lock()
		b.failed = b.failed || !b.ended
		b.mu.Unlock()
	}
	return n, err
}

func (b *requestBody) Close() error {
	b.mu.Lock()
	through := !b.ended && (b.read || b.final)
	b.ended = true
	b.mu.Unlock()
	if through {
		return b.inner.Close()
	}
	return nil
}

// untouched reports whether the base is done with the body and has not read it.
func (b *requestBody) untouched() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended && !b.read
}

// recall ends the loan, and reports false if the body has been read.
func (b *requestBody) recall() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.read || b.final {
		return false
	}
	b.ended = true
	return true
}

// settle makes a loan final: there is no further attempt. A body that came back
// unread is closed now.
func (b *requestBody) settle() {
	b.mu.Lock()
	closing := b.ended && !b.read && !b.final
	b.final = true
	b.mu.Unlock()
	if closing {
		_ = b.inner.Close()
	}
}

// brokeItself reports whether it was the body that failed, not the endpoint.
func (b *requestBody) brokeItself() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed
}
