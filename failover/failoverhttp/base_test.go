package failoverhttp_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/retry"
)

func TestBaseIsGuarded(t *testing.T) {
	t.Run("nothing", func(t *testing.T) {
		s := newSetup(t, failover.Config{}, stub(func(*http.Request) (*http.Response, error) { return nil, nil }), "http://a")
		if resp, err := s.transport.RoundTrip(request(t, "GET", "http://svc/", "")); err == nil || resp != nil {
			t.Errorf("got %v, %v", resp, err)
		}
		s.Want(t, neutral)
	})
	t.Run("both", func(t *testing.T) {
		boom := errors.New("boom")
		var body closeCounter
		s := newSetup(t, failover.Config{Retry: retry.Policy{MaxAttempts: 1}}, stub(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: &body}, boom
		}), "http://a")
		if resp, err := s.transport.RoundTrip(request(t, "GET", "http://svc/", "")); !errors.Is(err, boom) || resp != nil {
			t.Errorf("got %v, %v", resp, err)
		}
		if body.n != 1 {
			t.Errorf("body closed %d times", body.n)
		}
	})
	t.Run("no body", func(t *testing.T) {
		s := newSetup(t, failover.Config{}, stub(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 204}, nil
		}), "http://a")
		resp, err := s.transport.RoundTrip(request(t, "GET", "http://svc/", ""))
		if err != nil || resp.Body != http.NoBody {
			t.Errorf("got %v, %v", resp, err)
		}
	})
	t.Run("panic", func(t *testing.T) {
		c := failover.Config{Retry: retry.Policy{AttemptTimeout: time.Hour}}
		s := newSetup(t, c, stub(func(r *http.Request) (*http.Response, error) {
			_ = r.Body.Close()
			panic("oops")
		}), "http://a")
		body := &trackedBody{}
		req := request(t, "POST", "http://svc/", "")
		req.Body = body
		defer func() {
			if v := recover(); v != "oops" {
				t.Errorf("recovered %v", v)
			}
			body.wantClosed(t)
		}()
		_, _ = s.transport.RoundTrip(req)
	})
}

type idleCloser struct {
	stub
	n int
}

func (c *idleCloser) CloseIdleConnections() { c.n++ }

func TestCloseIdleConnections(t *testing.T) {
	c := &idleCloser{}
	s := newSetup(t, failover.Config{}, c, "http://a")
	s.client.CloseIdleConnections()
	if c.n != 1 {
		t.Errorf("forwarded %d times", c.n)
	}
	s = newSetup(t, failover.Config{}, stub(nil), "http://a")
	s.client.CloseIdleConnections() // a base that cannot is no problem
}
