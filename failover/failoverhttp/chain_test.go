package failoverhttp_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/retry"
	"github.com/murmuration-go/murmuration/retry/retryhttp"
)

const attemptsATier = 3

// chain is three servers in a row of which the last one fails every request: a
// client calls the first, the first the second, the second the last, and each of
// these three retries.
type chain struct {
	arrived [3]atomic.Int64 // requests at each tier
	call    func() *http.Response
}

// newChain makes a chain whose clients send by what transport makes of an URL,
// and whose servers serve by what wrap makes of a handler. Each tier has its own
// of both, as it would in a process of its own.
func newChain(t *testing.T, transport func(url string) http.RoundTripper, wrap func(http.Handler) http.Handler) *chain {
	t.Helper()
	c := new(chain)
	next := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	for tier := 2; tier >= 0; tier-- {
		serve := next
		srv := httptest.NewServer(wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c.arrived[tier].Add(1)
			serve(w, r)
		})))
		t.Cleanup(srv.Close)
		client := &http.Client{Transport: transport(srv.URL)}
		next = func(w http.ResponseWriter, r *http.Request) {
			req := request(t, "GET", srv.URL, "").WithContext(r.Context())
			resp, err := client.Do(req)
			if err != nil {
				t.Error(err)
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			defer resp.Body.Close()
			_, _ = io.Copy(io.Discard, resp.Body)
			w.WriteHeader(resp.StatusCode)
		}
	}
	c.call = func() *http.Response {
		w := httptest.NewRecorder()
		next(w, httptest.NewRequest(http.MethodGet, "/", nil))
		return w.Result()
	}
	return c
}

// amplification makes calls and returns how many attempts the last tier gets for
// each.
func (c *chain) amplification(t *testing.T, name string, calls int) float64 {
	t.Helper()
	for range calls {
		if resp := c.call(); resp.StatusCode != http.StatusServiceUnavailable {
			t.Fatalf("%s: a call ended with %d", name, resp.StatusCode)
		}
	}
	x := float64(c.arrived[2].Load()) / float64(calls)
	t.Logf("%-28s %4d calls, %d, %d and %d attempts at the tiers: %.3f x calls at the last one", name+":",
		calls, c.arrived[0].Load(), c.arrived[1].Load(), c.arrived[2].Load(), x)
	return x
}

// plainly retries as most do: three times, whatever happens elsewhere.
func plainly(base http.RoundTripper) http.RoundTripper {
	return stub(func(r *http.Request) (resp *http.Response, err error) {
		for n := range attemptsATier {
			resp, err = base.RoundTrip(r)
			if err != nil || resp.StatusCode < 500 || n == attemptsATier-1 {
				return resp, err
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		return resp, err
	})
}

// Where each of three tiers makes three attempts, a dead last one gets 27 for
// each call. With budgets it is 1.1^3 and what the budgets hold at first, 11
// retries a tier. With tiers that know of each other it is about 1.1: the one
// next to the trouble retries, and the others hear that it is no use.
//
// Breakers, which would soon stop most of it, are kept from opening.
func TestThreeTiers(t *testing.T) {
	if testing.Short() {
		t.Skip("some thousand requests")
	}
	const calls = 1000
	base := new(http.Transport)
	t.Cleanup(base.CloseIdleConnections)
	bare := func(h http.Handler) http.Handler { return h }
	budgeted := func(internal bool) func(string) http.RoundTripper {
		return func(url string) http.RoundTripper {
			c := failover.Config{
				Endpoints: []failover.Endpoint{{Name: "next", URL: url, Internal: internal}},
				Retry:     retry.Policy{MaxAttempts: attemptsATier, BaseDelay: -1},
			}
			c.Breaker.ConsecutiveFailures, c.Breaker.MinRequests = 1e6, -1
			return newSetup(t, c, base).transport
		}
	}

	plain := newChain(t, func(string) http.RoundTripper { return plainly(base) }, bare)
	if x := plain.amplification(t, "plain retries", calls/25); x != 27 {
		t.Errorf("plain retries make %v attempts of a call; want 27, or the chain is not what it should be", x)
	}
	alone := newChain(t, budgeted(false), bare)
	if x := alone.amplification(t, "budgets alone", calls); x > 1.1*1.1*1.1+11*(1+1.1+1.1*1.1)/calls {
		t.Errorf("budgets alone let %v attempts of a call through", x)
	}
	together := newChain(t, budgeted(true), retryhttp.Handler)
	if x := together.amplification(t, "tiers that know of each other", calls); x > 1.35 {
		t.Errorf("%v attempts of a call arrive at the last tier, more than 1.35", x)
	}
}
