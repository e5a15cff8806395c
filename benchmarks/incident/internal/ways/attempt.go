package ways

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/stats"
)

// Trip is what one call has sent.
type Trip struct {
	mu   sync.Mutex
	sent []time.Time
}

type tripKey struct{}

// NewTrip returns a context whose attempts are noted.
func NewTrip(ctx context.Context) (context.Context, *Trip) {
	t := &Trip{}
	return context.WithValue(ctx, tripKey{}, t), t
}

// Sent returns when attempts were sent.
func (t *Trip) Sent() []time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sent
}

func note(ctx context.Context) {
	if t, ok := ctx.Value(tripKey{}).(*Trip); ok {
		t.mu.Lock()
		t.sent = append(t.sent, time.Now())
		t.mu.Unlock()
	}
}

// noting notes the requests that really go out.
type noting struct{ base http.RoundTripper }

func (n noting) RoundTrip(r *http.Request) (*http.Response, error) {
	note(r.Context())
	return n.base.RoundTrip(r)
}

// newTransport is a member's own connections.
func newTransport() *http.Transport {
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.Proxy = nil
	tr.MaxIdleConnsPerHost = 32
	return tr
}

// get asks a server once.
func get(ctx context.Context, c *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	return ended(resp)
}

// ended reads a response, and says whether it is a success.
func ended(resp *http.Response) error {
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4<<10))
	_ = resp.Body.Close()
	if resp.StatusCode >= 500 {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// wire makes attempts, over HTTP or gRPC.
type wire struct {
	attempt func(ctx context.Context, endpoint int) error // without a timeout
	closers []func()
}

func newWire(e *Env) (*wire, error) {
	w := &wire{}
	if !e.GRPC {
		tr := newTransport()
		c := &http.Client{Transport: noting{tr}}
		w.closers = append(w.closers, tr.CloseIdleConnections)
		w.attempt = func(ctx context.Context, i int) error { return get(ctx, c, e.Endpoints[i].URL) }
		return w, nil
	}
	var clients []healthpb.HealthClient
	for _, at := range e.Endpoints {
		c, err := grpc.NewClient(at.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDisableRetry(), grpc.WithStatsHandler(notingRPC{}))
		if err != nil {
			w.close()
			return nil, err
		}
		w.closers = append(w.closers, func() { _ = c.Close() })
		clients = append(clients, healthpb.NewHealthClient(c))
	}
	w.attempt = func(ctx context.Context, i int) error {
		_, err := clients[i].Check(ctx, &healthpb.HealthCheckRequest{})
		return err
	}
	return w, nil
}

// once makes one attempt within its timeout.
func (w *wire) once(ctx context.Context, endpoint int) error {
	ctx, cancel := context.WithTimeout(ctx, AttemptTimeout)
	defer cancel()
	return w.attempt(ctx, endpoint)
}

func (w *wire) close() {
	for _, f := range w.closers {
		f()
	}
}

// notingRPC notes the attempts of gRPC, whoever makes them.
type notingRPC struct{ idle }

func (notingRPC) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	note(ctx)
	return ctx
}

// idle is what a stats handler need not do here.
type idle struct{}

func (idle) HandleRPC(context.Context, stats.RPCStats)                         {}
func (idle) HandleConn(context.Context, stats.ConnStats)                       {}
func (idle) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
