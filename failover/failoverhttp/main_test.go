package failoverhttp_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failoverhttp"
	"github.com/murmuration-go/murmuration/failover/internal/evidence"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	success = breaker.OutcomeSuccess
	failure = breaker.OutcomeFailure
	neutral = breaker.OutcomeNeutral
)

// setup is a group of endpoints, with no waits between attempts unless Retry
// says otherwise, and the Transport and Client on top of it.
type setup struct {
	*evidence.Recorder
	group     *failover.Group
	transport *failoverhttp.Transport
	client    *http.Client
}

func newSetup(tb testing.TB, c failover.Config, base http.RoundTripper, urls ...string) *setup {
	tb.Helper()
	s := &setup{Recorder: new(evidence.Recorder)}
	for i, u := range urls {
		c.Endpoints = append(c.Endpoints, failover.Endpoint{Name: string(rune('a' + i)), URL: u, Priority: i})
	}
	if c.Retry.BaseDelay == 0 {
		c.Retry.BaseDelay = -1
	}
	if c.Breaker.ConsecutiveFailures == 0 {
		c.Breaker.ConsecutiveFailures = 1000
	}
	c.Breaker.Classify = s.Classify
	g, err := failover.New("svc", c)
	if err != nil {
		tb.Fatal(err)
	}
	if base == nil {
		b := new(http.Transport)
		tb.Cleanup(b.CloseIdleConnections)
		base = b
	}
	s.group = g
	s.transport = failoverhttp.NewTransport(g, base)
	s.client = &http.Client{Transport: s.transport}
	return s
}

// server serves by fn, which is told which request it is, from 1.
func server(tb testing.TB, fn func(n int, w http.ResponseWriter, r *http.Request)) *httptest.Server {
	tb.Helper()
	var mu sync.Mutex
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n++
		k := n
		mu.Unlock()
		fn(k, w, r)
	}))
	tb.Cleanup(s.Close)
	return s
}

// statuses answers with the given statuses in turn, the last one for ever.
func statuses(codes ...int) func(int, http.ResponseWriter, *http.Request) {
	return func(n int, w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(codes[min(n, len(codes))-1])
		fmt.Fprintf(w, "answer %d", n)
	}
}

// nobody returns a URL at which nobody listens.
func nobody(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func request(tb testing.TB, method, url, body string) *http.Request {
	tb.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, url, r)
	if err != nil {
		tb.Fatal(err)
	}
	return req
}

// read returns the status and the body.
func read(tb testing.TB, resp *http.Response, err error) (int, string) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// stub is a base RoundTripper.
type stub func(*http.Request) (*http.Response, error)

func (f stub) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func respond(code int, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: code, Header: h, Body: io.NopCloser(strings.NewReader("body")), ContentLength: 4, ProtoMajor: 1}
}

// trackedBody is a request body that cannot be rewound and knows how it was
// treated.
type trackedBody struct {
	io.Reader
	mu            sync.Mutex
	reads, closes int
}

func (b *trackedBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	b.reads++
	if b.closes > 0 {
		b.mu.Unlock()
		return 0, fmt.Errorf("read after close")
	}
	b.mu.Unlock()
	return b.Reader.Read(p)
}

func (b *trackedBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closes++
	return nil
}

func (b *trackedBody) wantClosed(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closes != 1 {
		t.Errorf("the request's body was closed %d times, want once", b.closes)
	}
}
