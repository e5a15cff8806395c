package failoverhttp_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failoverhttp"
	"github.com/murmuration-go/murmuration/retry"
)

// What may be resent after the answer 503 and after a connection that broke
// with the request sent.
func TestResend(t *testing.T) {
	key := func(h string) func(*http.Request) *http.Request {
		return func(r *http.Request) *http.Request { r.Header[h] = []string{"k"}; return r }
	}
	for _, tc := range []struct {
		name, method, body string
		change             func(*http.Request) *http.Request
		resend             func(*http.Request) bool
		again              bool
	}{
		{name: "empty", method: "", again: true},
		{name: "GET", method: "GET", again: true},
		{name: "GET with body", method: "GET", body: "b", again: true},
		{name: "OPTIONS", method: "OPTIONS", again: true},
		{name: "TRACE", method: "TRACE", again: true},
		{name: "POST", method: "POST", body: "b"},
		{name: "POST without body", method: "POST"},
		{name: "PUT", method: "PUT", body: "b"},
		{name: "DELETE", method: "DELETE"},
		{name: "key", method: "POST", body: "b", change: key("Idempotency-Key"), again: true},
		{name: "x-key", method: "PATCH", body: "b", change: key("X-Idempotency-Key"), again: true},
		{name: "context", method: "POST", body: "b", change: func(r *http.Request) *http.Request {
			return r.WithContext(failoverhttp.WithResend(r.Context()))
		}, again: true},
		{name: "func", method: "DELETE", resend: func(r *http.Request) bool { return r.Method == "DELETE" }, again: true},
		{name: "func no", method: "DELETE", resend: func(*http.Request) bool { return false }},
		{name: "no GetBody", method: "PUT", body: "b", resend: func(*http.Request) bool { return true },
			change: func(r *http.Request) *http.Request { r.GetBody = nil; return r }},
	} {
		for _, how := range []string{"status", "broken"} {
			t.Run(tc.name+" "+how, func(t *testing.T) {
				var tries atomic.Int32
				srv := server(t, func(n int, w http.ResponseWriter, r *http.Request) {
					tries.Add(1)
					if b, err := io.ReadAll(r.Body); err != nil || string(b) != tc.body && tc.method != "TRACE" {
						t.Errorf("body %q, %v", b, err)
					}
					if how == "broken" {
						panic(http.ErrAbortHandler)
					}
					w.WriteHeader(503)
				})
				s := newSetup(t, failover.Config{Retry: retry.Policy{MaxAttempts: 2}}, nil, srv.URL)
				s.transport.Resend = tc.resend
				req := request(t, tc.method, "http://svc/", tc.body)
				if tc.change != nil {
					req = tc.change(req)
				}
				resp, err := s.transport.RoundTrip(req)
				if how == "status" {
					if code, _ := read(t, resp, err); code != 503 {
						t.Errorf("got %d", code)
					}
				} else if err == nil {
					t.Error("no error")
				}
				want := int32(1)
				if tc.again {
					want = 2
				}
				if got := tries.Load(); got != want {
					t.Errorf("sent %d times, want %d", got, want)
				}
				if tc.again {
					s.Want(t, failure, failure)
				} else {
					s.Want(t, failure)
				}
			})
		}
	}
}

// Nothing was sent to an endpoint that cannot be reached, so that any request
// may go to another one, with its body if that is still whole.
func TestUnsentIsResent(t *testing.T) {
	srv := server(t, func(n int, w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	for _, rewind := range []bool{true, false} {
		s := newSetup(t, failover.Config{}, nil, nobody(t), srv.URL)
		req := request(t, "POST", "http://svc/", "payload")
		body := &trackedBody{Reader: strings.NewReader("payload")}
		if !rewind {
			req.Body, req.GetBody = body, nil
		}
		if code, got := read2(s.client.Do(req))(t); code != 200 || got != "payload" {
			t.Errorf("got %d %q", code, got)
		}
		if !rewind {
			body.wantClosed(t)
		}
		s.Want(t, failure, success)
	}
	t.Run("never", func(t *testing.T) {
		s := newSetup(t, failover.Config{}, nil, nobody(t))
		body := &trackedBody{Reader: strings.NewReader("payload")}
		req := request(t, "POST", "http://svc/", "payload")
		req.Body, req.GetBody = body, nil
		_, err := s.client.Do(req)
		var e *retry.Error
		if !errors.As(err, &e) || e.Attempts != 3 {
			t.Errorf("got %v", err)
		}
		body.wantClosed(t)
		if body.reads > 0 {
			t.Error("the body was read")
		}
	})
}

var errDial = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}

// A base that comes back late cannot get at a body that went to another attempt.
func TestLateReaderGetsNothing(t *testing.T) {
	var first io.ReadCloser
	s := newSetup(t, failover.Config{}, stub(func(r *http.Request) (*http.Response, error) {
		if first == nil {
			first = r.Body // not closed: in the hands of some goroutine
			return nil, errDial
		}
		if n, err := first.Read(make([]byte, 1)); n != 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("late read: %d, %v", n, err)
		}
		if err := first.Close(); err != nil {
			t.Error(err)
		}
		if b, err := io.ReadAll(r.Body); string(b) != "payload" || err != nil {
			t.Errorf("second attempt got %q, %v", b, err)
		}
		_ = r.Body.Close()
		return respond(200), nil
	}), "http://a", "http://b")
	body := &trackedBody{Reader: strings.NewReader("payload")}
	req := request(t, "POST", "http://svc/", "payload")
	req.Body, req.GetBody = body, nil
	read2(s.client.Do(req))(t)
	body.wantClosed(t)
}

// A body that was touched is not sent again, although the attempt may not have
// reached anybody.
func TestTouchedBodyIsNotResent(t *testing.T) {
	s := newSetup(t, failover.Config{}, stub(func(r *http.Request) (*http.Response, error) {
		_, _ = r.Body.Read(make([]byte, 1))
		_ = r.Body.Close()
		return nil, errDial
	}), "http://a")
	body := &trackedBody{Reader: strings.NewReader("payload")}
	req := request(t, "PUT", "http://svc/", "payload")
	req = req.WithContext(failoverhttp.WithResend(req.Context()))
	req.Body, req.GetBody = body, nil
	_, err := s.client.Do(req)
	var e *retry.Error
	if !errors.As(err, &e) || e.Attempts != 1 {
		t.Errorf("got %v", err)
	}
	body.wantClosed(t)
	s.Want(t, failure)
}

// An unknown base that fails without a word of what it did may have sent.
func TestUnknownErrorIsNotUnsent(t *testing.T) {
	n := 0
	s := newSetup(t, failover.Config{}, stub(func(r *http.Request) (*http.Response, error) {
		n++
		return nil, errors.New("boom")
	}), "http://a")
	if _, err := s.client.Post("http://svc/", "", nil); err == nil || n != 1 {
		t.Errorf("sent %d times, %v", n, err)
	}
}

type brokenReader struct{ err error }

func (b brokenReader) Read([]byte) (int, error) { return 0, b.err }

// A body that cannot be read is the caller's affair.
func TestBrokenRequestBody(t *testing.T) {
	srv := server(t, statuses(200))
	boom := errors.New("boom")
	for _, rewind := range []bool{false, true} {
		s := newSetup(t, failover.Config{}, nil, srv.URL)
		req := request(t, "PUT", "http://svc/", "")
		req = req.WithContext(failoverhttp.WithResend(req.Context()))
		body := &trackedBody{Reader: brokenReader{boom}}
		req.Body, req.ContentLength = body, 10
		if rewind {
			req.GetBody = func() (io.ReadCloser, error) { return body, nil }
		}
		_, err := s.client.Do(req)
		if !errors.Is(err, boom) {
			t.Errorf("got %v", err)
		}
		body.wantClosed(t)
		s.Want(t, neutral)
	}
	t.Run("GetBody", func(t *testing.T) {
		srv := server(t, statuses(503))
		s := newSetup(t, failover.Config{}, nil, srv.URL)
		req := request(t, "GET", "http://svc/", "payload")
		req.GetBody = func() (io.ReadCloser, error) { return nil, boom }
		if code, body := read2(s.client.Do(req))(t); code != 503 || body != "answer 1" {
			t.Errorf("got %d %q", code, body)
		}
		s.Want(t, failure, neutral)
	})
}

func TestExpectContinue(t *testing.T) {
	srv := server(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			w.WriteHeader(503) // without having read, or asked for, the body
			return
		}
		_, _ = io.Copy(w, r.Body)
	})
	base := &http.Transport{ExpectContinueTimeout: time.Minute}
	t.Cleanup(base.CloseIdleConnections)
	s := newSetup(t, failover.Config{}, base, srv.URL)
	req := request(t, "POST", "http://svc/", "payload")
	req.Header.Set("Expect", "100-continue")
	req.Header.Set("Idempotency-Key", "k")
	if code, got := read2(s.client.Do(req))(t); code != 200 || got != "payload" {
		t.Errorf("got %d %q", code, got)
	}
	s.Want(t, failure, success)
}

// sumBody fills in the trailer when it has been read.
type sumBody struct {
	io.Reader
	trailer http.Header
}

func (b *sumBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		b.trailer.Set("X-Sum", "42")
	}
	return n, err
}
func (b *sumBody) Close() error { return nil }

func TestTrailers(t *testing.T) {
	srv := server(t, func(n int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Back")
		_, _ = io.Copy(w, r.Body)
		w.Header().Set("X-Back", r.Trailer.Get("X-Sum"))
	})
	s := newSetup(t, failover.Config{Retry: retry.Policy{AttemptTimeout: time.Minute}}, nil, nobody(t), srv.URL)
	req := request(t, "POST", "http://svc/", "")
	req.Trailer = http.Header{"X-Sum": nil}
	req.Body = &sumBody{strings.NewReader("payload"), req.Trailer}
	resp, err := s.client.Do(req)
	if _, got := read(t, resp, err); got != "payload" || resp.Trailer.Get("X-Back") != "42" {
		t.Errorf("got %q, trailer %v", got, resp.Trailer)
	}
}
