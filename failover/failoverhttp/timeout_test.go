package failoverhttp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/retry"
)

func wantTimeout(t *testing.T, err error) {
	t.Helper()
	var ue *url.Error
	if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &ue) || !ue.Timeout() {
		t.Errorf("got %v, want a timeout", err)
	}
	if errors.Is(err, context.Canceled) {
		t.Errorf("%v says that it was canceled", err)
	}
}

func TestAttemptTimeout(t *testing.T) {
	srv := server(t, func(n int, w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s := newSetup(t, failover.Config{Retry: retry.Policy{AttemptTimeout: 20 * time.Millisecond}}, nil, srv.URL)
	_, err := s.client.Get("http://svc/")
	wantTimeout(t, err)
	var e *retry.Error
	if !errors.As(err, &e) || e.Attempts != 3 {
		t.Errorf("got %v, want 3 attempts", err)
	}
	s.Want(t, failure, failure, failure)
}

// hangs waits for what a RoundTripper must heed, and says what it would.
func hangs(r *http.Request) (*http.Response, error) {
	select {
	case <-r.Context().Done():
		return nil, context.Cause(r.Context())
	case <-r.Cancel:
		return nil, errors.New("net/http: request canceled")
	}
}

// The body may take longer than the attempt: its time ends with the headers.
func TestAttemptTimeoutSparesBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ctx context.Context
		c := failover.Config{Retry: retry.Policy{AttemptTimeout: time.Second}}
		s := newSetup(t, c, stub(func(r *http.Request) (*http.Response, error) {
			ctx = r.Context()
			resp := respond(200)
			resp.Body = slowBody{ctx}
			return resp, nil
		}), "http://a")
		type key struct{}
		caller, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "value"))
		req := request(t, "GET", "http://svc/", "").WithContext(caller)
		resp, err := s.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if ctx.Value(key{}) != "value" {
			t.Error("the context has lost its values")
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
		if ctx.Err() != nil {
			t.Error("the context ended before the body")
		}
		cause := errors.New("no longer interested")
		cancel(cause)
		if _, err := resp.Body.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
			t.Errorf("read after cancellation: %v", err)
		}
		s.Want(t, success) // and nothing about the broken body
		_ = resp.Body.Close()
	})
}

// slowBody yields a byte each 10 seconds as long as its context lasts.
type slowBody struct{ ctx context.Context }

func (b slowBody) Read(p []byte) (int, error) {
	select {
	case <-time.After(10 * time.Second):
		return 1, nil
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	}
}
func (b slowBody) Close() error { return nil }

func TestContextEndsWithBody(t *testing.T) {
	for _, how := range []string{"close", "read", "empty", "discarded"} {
		t.Run(how, func(t *testing.T) {
			var seen []context.Context
			c := failover.Config{Retry: retry.Policy{AttemptTimeout: time.Minute, MaxAttempts: 2}}
			s := newSetup(t, c, stub(func(r *http.Request) (*http.Response, error) {
				seen = append(seen, r.Context())
				resp := respond(200)
				switch how {
				case "empty":
					resp.Body = http.NoBody
				case "discarded":
					resp.StatusCode = 503
				}
				return resp, nil
			}), "http://a")
			resp, err := s.client.Get("http://svc/")
			if err != nil {
				t.Fatal(err)
			}
			last := seen[len(seen)-1]
			if how != "empty" && last.Err() != nil {
				t.Error("context ended with the headers")
			}
			if how == "read" {
				_, _ = io.ReadAll(resp.Body)
			} else {
				_ = resp.Body.Close()
			}
			for i, ctx := range seen {
				<-ctx.Done() // the first one may still be on its way
				if i == len(seen)-1 && context.Cause(ctx) != context.Canceled {
					t.Errorf("cause %v", context.Cause(ctx))
				}
			}
		})
	}
}

func TestCallerCancels(t *testing.T) {
	for _, tc := range []struct {
		name string
		base stub
		wait time.Duration
	}{
		{"attempt", hangs, 0},
		{"sleep", func(*http.Request) (*http.Response, error) { return respond(503, "Retry-After", "20"), nil }, 0},
		{"sleep after error", func(*http.Request) (*http.Response, error) { return nil, errors.New("boom") }, 20 * time.Second},
	} {
		for _, how := range []string{"context", "Cancel"} {
			t.Run(tc.name+" by "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := failover.Config{Retry: retry.Policy{BaseDelay: tc.wait, MaxDelay: time.Minute}}
					s := newSetup(t, c, tc.base, "http://a")
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					req := request(t, "GET", "http://svc/", "").WithContext(ctx)
					if how == "Cancel" {
						ch := make(chan struct{})
						req.Cancel = ch
						cancel = func() { close(ch) }
					}
					start := time.Now()
					time.AfterFunc(time.Millisecond, cancel)
					resp, err := s.client.Do(req)
					if resp != nil || !errors.Is(err, context.Canceled) {
						t.Errorf("got %v, %v", resp, err)
					}
					if d := time.Since(start); d > time.Millisecond {
						t.Errorf("took %v", d)
					}
					for _, o := range s.Seen() {
						if tc.name == "attempt" && o != neutral {
							t.Error("the caller's cancellation was counted")
						}
					}
				})
			})
		}
	}
}

// A Client's Timeout is the caller's deadline: evidence, since a hole in the
// network would otherwise leave none.
func TestClientTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := failover.Config{Breaker: breaker.Config{ConsecutiveFailures: 1}}
		s := newSetup(t, c, stub(hangs), "http://a")
		s.client.Timeout = time.Second
		start := time.Now()
		_, err := s.client.Get("http://svc/")
		var ue *url.Error
		if !errors.As(err, &ue) || !ue.Timeout() || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("took %v", d)
		}
		if st := s.group.Explain().Endpoints[0].State; st != breaker.Open {
			t.Errorf("breaker is %v", st)
		}
	})
}

func TestClientTimeoutReal(t *testing.T) {
	srv := server(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hang" {
			<-r.Context().Done()
		}
		_, _ = io.WriteString(w, "hello")
	})
	s := newSetup(t, failover.Config{}, nil, srv.URL)
	s.client.Timeout = 50 * time.Millisecond
	_, err := s.client.Get("http://svc/hang")
	var ue *url.Error
	if !errors.As(err, &ue) || !ue.Timeout() {
		t.Errorf("got %v", err)
	}
	s.client.Timeout = time.Minute
	if code, body := read2(s.client.Get("http://svc/"))(t); code != 200 || body != "hello" {
		t.Errorf("got %d %q", code, body)
	}
}

// A base that does not heed its context, and answers when the time is over.
func TestAnswerAfterAttemptTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var body closeCounter
		c := failover.Config{Retry: retry.Policy{AttemptTimeout: time.Second, MaxAttempts: 1}}
		s := newSetup(t, c, stub(func(r *http.Request) (*http.Response, error) {
			time.Sleep(2 * time.Second)
			resp := respond(200)
			resp.Body = &body
			return resp, nil
		}), "http://a")
		_, err := s.client.Get("http://svc/")
		wantTimeout(t, err)
		if body.n != 1 {
			t.Errorf("the late body was closed %d times", body.n)
		}
		s.Want(t, failure)
	})
}

func TestLegacyCancelDuringBody(t *testing.T) {
	srv := server(t, func(n int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	s := newSetup(t, failover.Config{}, nil, srv.URL)
	req := request(t, "GET", "http://svc/", "")
	ch := make(chan struct{})
	req.Cancel = ch
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	close(ch)
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("no error")
	}
	_ = resp.Body.Close()
	s.Want(t, success)
}
