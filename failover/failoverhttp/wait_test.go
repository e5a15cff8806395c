package failoverhttp_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/failover"
)

// Waits are as long as the server wishes, up to the cap, and not begun when
// they would outlast the deadline.
func TestRetryAfter(t *testing.T) {
	for _, tc := range []struct {
		name, value     string
		code            int
		limit, deadline time.Duration
		took            time.Duration
		tries           int
	}{
		{name: "503", value: "7", code: 503, took: 7 * time.Second, tries: 2},
		{name: "429", value: "7", code: 429, took: 7 * time.Second, tries: 2},
		{name: "500", value: "7", code: 500, tries: 1},
		{name: "capped", value: "7", code: 503, limit: 2 * time.Second, took: 2 * time.Second, tries: 2},
		{name: "capped by default", value: "86400", code: 503, took: 30 * time.Second, tries: 2},
		{name: "off", value: "7", code: 503, limit: -1, tries: 2},
		{name: "negative", value: "-7", code: 503, tries: 2},
		{name: "date", value: "Sat, 01 Jan 2000 01:00:11 GMT", code: 503, took: 11 * time.Second, tries: 2},
		{name: "deadline", value: "7", code: 503, deadline: 5 * time.Second, tries: 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				s := newSetup(t, failover.Config{}, stub(func(r *http.Request) (*http.Response, error) {
					if tries++; tries > 1 {
						return respond(200), nil
					}
					return respond(tc.code, "Retry-After", tc.value, "Date", "Sat, 01 Jan 2000 01:00:00 GMT"), nil
				}), "http://a")
				s.transport.MaxRetryAfter = tc.limit
				req := request(t, "GET", "http://svc/", "")
				if tc.deadline > 0 {
					ctx, cancel := context.WithTimeout(t.Context(), tc.deadline)
					defer cancel()
					req = req.WithContext(ctx)
				}
				start := time.Now()
				code, body := read2(s.client.Do(req))(t)
				if took := time.Since(start); took != tc.took || tries != tc.tries || body != "body" {
					t.Errorf("%d tries in %v, body %q; want %d in %v", tries, took, body, tc.tries, tc.took)
				}
				if want := map[int]int{1: tc.code, 2: 200}[tc.tries]; code != want {
					t.Errorf("status %d, want %d", code, want)
				}
			})
		})
	}
}
