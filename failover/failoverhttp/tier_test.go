package failoverhttp_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/retry"
	"github.com/murmuration-go/murmuration/retry/retryhttp"
)

// Internal endpoints are told how many attempts came before, others nothing,
// whatever headers the request has been given.
func TestNumberGoesToInternalEndpoints(t *testing.T) {
	const none = "none"
	for _, tc := range []struct {
		name     string
		internal bool
		previous int    // of the request that is being served
		copied   string // header of that request, copied by a proxy
		want     []string
	}{
		{"internal", true, 0, "", []string{none, "1", "2"}},
		{"internal, of a retry", true, 2, "", []string{"2", "3", "4"}},
		{"internal, copied", true, 0, "7", []string{none, "1", "2"}},
		{"internal, of a retry and copied", true, 2, "2", []string{"2", "3", "4"}},
		{"external", false, 0, "", []string{none, none, none}},
		{"external, of a retry", false, 2, "", []string{none, none, none}},
		{"external, of a retry and copied", false, 2, "2", []string{none, none, none}},
	} {
		var got []string
		base := stub(func(r *http.Request) (*http.Response, error) {
			values, ok := r.Header[retryhttp.PreviousAttempts]
			if !ok {
				values = []string{none}
			}
			got = append(got, strings.Join(values, " "))
			return respond(503), nil
		})
		c := failover.Config{Endpoints: []failover.Endpoint{{Name: "a", URL: "http://a", Internal: tc.internal}}}
		s := newSetup(t, c, base)
		req := request(t, "GET", "http://svc/", "").WithContext(retry.WithPrevious(t.Context(), tc.previous))
		if tc.copied != "" {
			req.Header.Set(retryhttp.PreviousAttempts, tc.copied)
		}
		before := req.Header.Clone()
		_, _ = read2(s.transport.RoundTrip(req))(t)
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: sent %q, want %q", tc.name, got, tc.want)
		}
		if len(before) != len(req.Header) || req.Header.Get(retryhttp.PreviousAttempts) != tc.copied {
			t.Errorf("%s: the caller's headers were changed to %v", tc.name, req.Header)
		}
	}
}

// A request without headers is unfit, which must not be found by a panic.
func TestNumberWithoutHeaders(t *testing.T) {
	srv := server(t, statuses(200))
	c := failover.Config{Endpoints: []failover.Endpoint{{Name: "a", URL: srv.URL, Internal: true}}}
	s := newSetup(t, c, nil)
	req := request(t, "GET", "http://svc/", "").WithContext(retry.WithPrevious(t.Context(), 1))
	req.Header = nil
	if _, err := s.transport.RoundTrip(req); err == nil {
		t.Error("it was sent")
	}
}

// An internal endpoint's word that a retry is no use ends the call, and goes
// further up. Others have no say in it.
func TestEndpointsThatWantNoRetry(t *testing.T) {
	for _, tc := range []struct {
		name     string
		internal bool
		method   string
		status   int
		attempts int
		passedOn bool
	}{
		{"internal", true, "GET", 503, 1, true},
		{"internal, throttled", true, "GET", 429, 1, true},
		{"internal, not retried anyway", true, "GET", 500, 1, true},
		{"internal, never repeated", true, "POST", 503, 1, true},
		{"internal, another status", true, "GET", 404, 1, false},
		{"internal, success", true, "GET", 200, 1, false},
		{"external", false, "GET", 503, 3, false},
	} {
		attempts := 0
		base := stub(func(*http.Request) (*http.Response, error) {
			attempts++
			return respond(tc.status, retryhttp.Retry, "no", "Retry-After", "0"), nil
		})
		c := failover.Config{Endpoints: []failover.Endpoint{{Name: "a", URL: "http://a", Internal: tc.internal}}}
		s := newSetup(t, c, base)
		ctx := retry.WithPrevious(t.Context(), 0)
		resp, err := s.transport.RoundTrip(request(t, tc.method, "http://svc/", "").WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if attempts != tc.attempts || resp.StatusCode != tc.status || retry.Discouraged(ctx) != tc.passedOn {
			t.Errorf("%s: %d attempts, status %d, passed on %v; want %d, %d, %v",
				tc.name, attempts, resp.StatusCode, retry.Discouraged(ctx), tc.attempts, tc.status, tc.passedOn)
		}
		if retryhttp.Refused(resp.Header) != tc.internal {
			t.Errorf("%s: the caller is shown %v", tc.name, resp.Header)
		}
	}
}

// What the endpoint wants is still evidence against it.
func TestNoRetryIsAFailureStill(t *testing.T) {
	base := stub(func(*http.Request) (*http.Response, error) { return respond(503, retryhttp.Retry, "no"), nil })
	var told []error
	c := failover.Config{Endpoints: []failover.Endpoint{{Name: "a", URL: "http://a", Internal: true}}}
	c.Retry.Hooks.AttemptEnd = func(_ context.Context, _ retry.Attempt, err error) { told = append(told, err) }
	s := newSetup(t, c, base)
	_, _ = read2(s.client.Get("http://svc/"))(t)
	s.Want(t, failure)
	if len(told) != 1 || told[0] == nil || errors.Is(told[0], retry.ErrBudgetExhausted) {
		t.Errorf("hooks were told %v", told)
	}
}
