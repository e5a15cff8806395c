package failoverhttp_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failoverhttp"
	"github.com/murmuration-go/murmuration/retry"
)

// BenchmarkHealthy is what a request costs beyond its base, which here does
// nothing: the difference to "base" counts. BenchmarkServer has the proportion.
func BenchmarkHealthy(b *testing.B) {
	answer := &http.Response{StatusCode: 200, ContentLength: -1}
	body := io.NopCloser(&endless{})
	base := stub(func(r *http.Request) (*http.Response, error) {
		resp := *answer
		resp.Body = body
		return &resp, nil
	})
	plain := failover.Config{Endpoints: []failover.Endpoint{{Name: "a", URL: "https://a/v1"}}}
	timed := plain
	timed.Retry = retry.Policy{AttemptTimeout: time.Second}
	own := failover.Config{Endpoints: []failover.Endpoint{{Name: "a"}}}
	for _, bc := range []struct {
		name, method string
		rt           http.RoundTripper
	}{
		{"base", "GET", base},
		{"no-url", "GET", transport(b, own, base)},
		{"get", "GET", transport(b, plain, base)},
		{"post", "POST", transport(b, plain, base)},
		{"get-attempt-timeout", "GET", transport(b, timed, base)},
	} {
		b.Run(bc.name, func(b *testing.B) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			req := request(b, bc.method, "http://svc/path", "").WithContext(ctx)
			b.ReportAllocs()
			for b.Loop() {
				resp, err := bc.rt.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				_ = resp.Body.Close()
			}
		})
	}
}

func BenchmarkServer(b *testing.B) {
	srv := server(b, statuses(200))
	base := new(http.Transport)
	b.Cleanup(base.CloseIdleConnections)
	c := failover.Config{Endpoints: []failover.Endpoint{{Name: "a", URL: srv.URL}}}
	for _, bc := range []struct {
		name string
		rt   http.RoundTripper
	}{{"base", base}, {"failoverhttp", transport(b, c, base)}} {
		b.Run(bc.name, func(b *testing.B) {
			req := request(b, "GET", srv.URL, "")
			b.ReportAllocs()
			for b.Loop() {
				resp, err := bc.rt.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
}

type endless struct{}

func (*endless) Read(p []byte) (int, error) { return len(p), nil }

func transport(b *testing.B, c failover.Config, base http.RoundTripper) *failoverhttp.Transport {
	g, err := failover.New("svc", c)
	if err != nil {
		b.Fatal(err)
	}
	return failoverhttp.NewTransport(g, base)
}
