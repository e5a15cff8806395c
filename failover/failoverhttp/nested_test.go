package failoverhttp_test

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/retry"
)

// openBodies counts the response bodies of its base that are not closed.
type openBodies struct {
	base http.RoundTripper
	open atomic.Int64
}

func (b *openBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.base.RoundTrip(r)
	if err == nil {
		b.open.Add(1)
		resp.Body = &openBody{ReadCloser: resp.Body, open: &b.open}
	}
	return resp, err
}

type openBody struct {
	io.ReadCloser
	open   *atomic.Int64
	closed atomic.Bool
}

func (b *openBody) Close() error {
	if !b.closed.Swap(true) {
		b.open.Add(-1)
	}
	return b.ReadCloser.Close()
}

// What is a hedge to the loop around the call is a call like any other to the
// transport: it closes the responses that it retries.
func TestCallWithinAHedge(t *testing.T) {
	s := server(t, statuses(503, 503, 503, 200))
	direct := new(http.Transport)
	t.Cleanup(direct.CloseIdleConnections)
	base := &openBodies{base: direct}
	set := newSetup(t, failover.Config{Retry: retry.Policy{MaxAttempts: 4}, Budget: retry.BudgetConfig{Burst: 10}}, base, s.URL)
	set.transport.DrainBytes = -1 // closed there and then, and not in the background

	hedge := retry.Policy{Hedge: &retry.Hedge{Delay: ms}, Budget: retry.NewBudget(retry.BudgetConfig{})}
	var begun atomic.Bool
	code, err := retry.Value(t.Context(), hedge, func(ctx context.Context) (int, error) {
		if !begun.Swap(true) {
			<-ctx.Done() // superseded by the hedge
			return 0, ctx.Err()
		}
		req := request(t, "GET", "http://svc/", "").WithContext(ctx)
		resp, err := set.client.Do(req)
		code, _ := read(t, resp, err)
		return code, err
	})
	if code != 200 || err != nil {
		t.Errorf("got %d, %v", code, err)
	}
	if n := base.open.Load(); n != 0 {
		t.Errorf("%d response bodies are open", n)
	}
}
