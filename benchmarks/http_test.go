package benchmarks

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/hashicorp/go-retryablehttp"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failoverhttp"
)

// transports are the ways to send a request by a RoundTripper; "base" is the
// RoundTripper itself, beyond which the others are measured.
var transports = []struct {
	name string
	over func(testing.TB, http.RoundTripper, string) http.RoundTripper
}{
	{"base", func(_ testing.TB, base http.RoundTripper, _ string) http.RoundTripper { return base }},
	{"murmuration", func(tb testing.TB, base http.RoundTripper, url string) http.RoundTripper {
		g, err := failover.New("svc", failover.Config{
			Cluster:   cluster(tb),
			Endpoints: []failover.Endpoint{{Name: "primary", URL: url}},
		})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = g.Close() })
		return failoverhttp.NewTransport(g, base)
	}},
	{"failsafe", func(_ testing.TB, base http.RoundTripper, _ string) http.RoundTripper {
		failed := func(r *http.Response, err error) bool { return err != nil || r.StatusCode >= 500 }
		return failsafehttp.NewRoundTripper(base, guarded(failsafehttp.NewRetryPolicyBuilder(), failed)...)
	}},
	{"retryablehttp", func(_ testing.TB, base http.RoundTripper, _ string) http.RoundTripper { // retries alone
		c := retryablehttp.NewClient()
		c.Logger, c.HTTPClient = nil, &http.Client{Transport: base}
		return &retryablehttp.RoundTripper{Client: c}
	}},
}

// stubbed are requests that are answered at once by what stands for the network.
func stubbed() (subjects []subject) {
	for _, t := range transports {
		subjects = append(subjects, subject{t.name, func(tb testing.TB) func() {
			return sending(tb, t.over(tb, stub{}, "https://primary.example"), "https://svc/path")
		}})
	}
	return subjects
}

// served are requests to a server on loopback.
func served() (subjects []subject) {
	for _, t := range transports {
		subjects = append(subjects, subject{t.name, func(tb testing.TB) func() {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
			tb.Cleanup(srv.Close)
			base := &http.Transport{MaxIdleConnsPerHost: 100}
			tb.Cleanup(base.CloseIdleConnections)
			return sending(tb, t.over(tb, base, srv.URL), srv.URL)
		}})
	}
	return subjects
}

// sending sends a request that can be cancelled, as most can, and reads the answer.
func sending(tb testing.TB, rt http.RoundTripper, url string) func() {
	ctx, cancel := context.WithCancel(context.Background())
	tb.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return func() {
		resp, err := rt.RoundTrip(req)
		if err != nil {
			tb.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
}

// stub answers at once.
type stub struct{}

func (stub) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, ContentLength: -1, Body: empty{}}, nil
}

// empty is the body of an answer that has one, but nothing in it.
type empty struct{}

func (empty) Read([]byte) (int, error)         { return 0, io.EOF }
func (empty) WriteTo(io.Writer) (int64, error) { return 0, nil }
func (empty) Close() error                     { return nil }

// BenchmarkHTTPStub is a request over a transport that does nothing: what counts is
// the difference to "base".
func BenchmarkHTTPStub(b *testing.B) { benchmark(b, stubbed()) }

// BenchmarkHTTPLoopback is a request to a server in the same process.
func BenchmarkHTTPLoopback(b *testing.B) { benchmark(b, served()) }
