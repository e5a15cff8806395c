package failoverhttp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/murmuration-go/murmuration/failover"
)

const (
	defaultDrainBytes   = 64 << 10
	defaultDrainTimeout = 250 * time.Millisecond

	// drainGrace is how long the next attempt on the same endpoint waits for
	// the connection to come free. A body that came with its headers, as
	// those of errors do, takes microseconds.
	drainGrace = 20 * time.Millisecond
)

// responseBody is the body of a response: when it is closed or read to its end
// the attempt's context ends, and if it breaks, the group is told.
type responseBody struct {
	inner    io.ReadCloser
	cancel   context.CancelCauseFunc // nil: nothing to end
	upgraded bool                    // EOF ends one direction only

	group    *failover.Group // nil: nobody to tell
	endpoint string
	ctx      context.Context // the caller's
	legacy   <-chan struct{} // Request.Cancel

	closed, done atomic.Bool
}

func (b *responseBody) Read(p []byte) (int, error) {
	n, err := b.inner.Read(p)
	if err != nil && !b.upgraded && !b.done.Swap(true) {
		if err != io.EOF && b.group != nil && !b.closed.Load() && !b.callerGone() {
			b.group.Report(b.endpoint, err)
		}
		b.release()
	}
	return n, err
}

func (b *responseBody) callerGone() bool {
	select {
	case <-b.legacy:
		return true
	default:
		return b.ctx.Err() != nil
	}
}

// Close closes the body once, whoever calls it how often.
func (b *responseBody) Close() error {
	if b.closed.Swap(true) {
		return nil
	}
	err := b.inner.Close()
	if !b.done.Swap(true) {
		b.release()
	}
	return err
}

func (b *responseBody) release() {
	if b.cancel != nil {
		b.cancel(context.Canceled)
	}
}

// withWriter returns the body, with a Write if the wrapped one has it.
func (b *responseBody) withWriter() io.ReadCloser {
	if w, ok := b.inner.(io.Writer); ok {
		return &writableBody{b, w}
	}
	return b
}

// writableBody is the body of a 101 response.
type writableBody struct {
	*responseBody
	io.Writer
}

// CloseWrite closes one direction, where the connection can do that.
func (b *writableBody) CloseWrite() error {
	if c, ok := b.inner.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return fmt.Errorf("CloseWrite: %w", http.ErrNotSupported)
}

// discard closes a response that nobody will see. On HTTP/1 it reads a bounded
// amount of its body first, lest the connection be lost: for at most grace on
// the caller's time, and the rest in the background. What happens to the body
// then is not reported.
func (t *Transport) discard(resp *http.Response, body *responseBody, grace time.Duration) {
	limit := orDefault(t.DrainBytes, defaultDrainBytes)
	timeout := orDefault(t.DrainTimeout, defaultDrainTimeout)
	if body == nil || limit == 0 || timeout == 0 || resp.ContentLength > limit || resp.ProtoMajor > 1 {
		_ = resp.Body.Close()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		cut := time.AfterFunc(timeout, func() { _ = body.Close() }) // wakes the Read
		defer cut.Stop()
		_, _ = io.Copy(io.Discard, io.LimitReader(body.inner, limit+1))
		_ = body.Close()
	}()
	if grace <= 0 {
		return
	}
	wait := time.NewTimer(grace)
	defer wait.Stop()
	select {
	case <-done:
	case <-wait.C:
	}
}
