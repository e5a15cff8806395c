package failoverhttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failoverhttp"
	"github.com/murmuration-go/murmuration/retry"
)

func TestStatuses(t *testing.T) {
	for _, tc := range []struct {
		code, tries int
		evidence    breaker.Outcome
	}{
		{200, 1, success}, {204, 1, success}, {304, 1, success},
		{400, 1, neutral}, {404, 1, neutral}, {408, 1, neutral}, {425, 1, neutral},
		{429, 3, neutral},
		{500, 1, failure}, {501, 1, neutral}, {505, 1, neutral}, {507, 1, failure},
		{502, 3, failure}, {503, 3, failure}, {504, 3, failure},
	} {
		t.Run(fmt.Sprint(tc.code), func(t *testing.T) {
			tries := 0
			srv := server(t, func(n int, w http.ResponseWriter, r *http.Request) {
				tries = n
				w.WriteHeader(tc.code)
			})
			s := newSetup(t, failover.Config{}, nil, srv.URL)
			code, _ := read2(s.client.Get("http://svc/"))(t)
			if code != tc.code || tries != tc.tries {
				t.Errorf("status %d after %d tries, want %d after %d", code, tries, tc.code, tc.tries)
			}
			var want []breaker.Outcome
			for range tc.tries {
				want = append(want, tc.evidence)
			}
			s.Want(t, want...)
		})
	}
}

func read2(resp *http.Response, err error) func(testing.TB) (int, string) {
	return func(tb testing.TB) (int, string) { tb.Helper(); return read(tb, resp, err) }
}

func TestRetrySucceedsOnNextEndpoint(t *testing.T) {
	bad, good := server(t, statuses(503)), server(t, statuses(200))
	s := newSetup(t, failover.Config{}, nil, bad.URL, good.URL)
	if code, body := read2(s.client.Get("http://svc/"))(t); code != 200 || body != "answer 1" {
		t.Errorf("got %d %q", code, body)
	}
	s.Want(t, failure, success)
}

// Whatever ends the attempts, the last response comes back whole.
func TestLastResponse(t *testing.T) {
	type conf = failover.Config
	for _, tc := range []struct {
		name  string
		conf  conf
		ctx   func() (context.Context, func())
		tries int
	}{
		{name: "attempts", conf: conf{Retry: retry.Policy{MaxAttempts: 2}}, tries: 2},
		{name: "no retries", conf: conf{Retry: retry.Policy{MaxAttempts: -1}}, tries: 1},
		{name: "budget", conf: conf{Budget: retry.BudgetConfig{Burst: 1, Ratio: -1}}, tries: 2},
		{name: "breaker", conf: conf{Breaker: breaker.Config{ConsecutiveFailures: 1}}, tries: 1},
		{name: "deadline", conf: conf{Retry: retry.Policy{BaseDelay: 1e6 * time.Hour, MaxDelay: 1e6 * time.Hour}}, tries: 1,
			ctx: func() (context.Context, func()) { return withTimeout(context.Background(), 30*time.Second) }},
		{name: "not retryable", conf: conf{Retry: retry.Policy{Retryable: func(err error) bool {
			var e *failoverhttp.StatusError
			return !errors.As(err, &e) || e.StatusCode != 503
		}}}, tries: 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv := server(t, statuses(503))
			s := newSetup(t, tc.conf, nil, srv.URL)
			req := request(t, "GET", "http://svc/", "")
			if tc.ctx != nil {
				ctx, cancel := tc.ctx()
				defer cancel()
				req = req.WithContext(ctx)
			}
			code, body := read2(s.client.Do(req))(t)
			if want := fmt.Sprintf("answer %d", tc.tries); code != 503 || body != want {
				t.Errorf("got %d %q, want 503 %q", code, body, want)
			}
		})
	}
}

func withTimeout(ctx context.Context, d time.Duration) (context.Context, func()) {
	ctx, cancel := context.WithTimeout(ctx, d)
	return ctx, cancel
}

func TestErrorAfterResponseIsReturned(t *testing.T) {
	boom := errors.New("boom")
	first := respond(503)
	var closed closeCounter
	first.Body = &closed
	s := newSetup(t, failover.Config{}, stub(func(r *http.Request) (*http.Response, error) {
		if first != nil {
			resp := first
			first = nil
			return resp, nil
		}
		return nil, boom
	}), "http://a")
	_, err := s.client.Get("http://svc/")
	var e *retry.Error
	if !errors.Is(err, boom) || !errors.As(err, &e) || e.Attempts != 3 {
		t.Errorf("got %v", err)
	}
	if closed.n != 1 {
		t.Errorf("the superseded body was closed %d times", closed.n)
	}
	s.Want(t, failure, failure, failure)
}

type closeCounter struct{ n int }

func (c *closeCounter) Read([]byte) (int, error) { return 0, io.EOF }
func (c *closeCounter) Close() error             { c.n++; return nil }

func TestRefusalIsReachable(t *testing.T) {
	srv := server(t, statuses(500))
	s := newSetup(t, failover.Config{Breaker: breaker.Config{ConsecutiveFailures: 1}}, nil, srv.URL)
	read2(s.client.Get("http://svc/"))(t)
	body := &trackedBody{}
	req := request(t, "POST", "http://svc/", "")
	req.Body, req.ContentLength = body, 4
	_, err := s.client.Do(req)
	var open *breaker.OpenError
	if !errors.As(err, &open) || open.Endpoint != "a" {
		t.Fatalf("got %v, want a *breaker.OpenError", err)
	}
	body.wantClosed(t)
	if err := s.group.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.Get("http://svc/"); !errors.Is(err, failover.ErrClosed) {
		t.Errorf("closed group: %v", err)
	}
}

func TestRequestIsNotChanged(t *testing.T) {
	srv := server(t, statuses(503, 429, 200))
	s := newSetup(t, failover.Config{}, nil, srv.URL+"/prefix")
	req := request(t, "POST", "http://svc/p%2Fq?x=1", "payload")
	req.Header.Set("Idempotency-Key", `"k"`)
	req.Header["X-Many"] = []string{"a", "b"}
	req.Trailer = http.Header{"X-Sum": {"1"}}
	req.TransferEncoding = []string{"chunked"}
	before := *req
	url, header, trailer := *req.URL, req.Header.Clone(), req.Trailer.Clone()
	resp, err := s.transport.RoundTrip(req)
	if code, _ := read(t, resp, err); code != 200 {
		t.Errorf("got %d", code)
	}
	if *req.URL != url || !reflect.DeepEqual(req.Header, header) || !reflect.DeepEqual(req.Trailer, trailer) {
		t.Error("URL, Header or Trailer was changed")
	}
	a, b := before, *req
	a.GetBody, b.GetBody = nil, nil // functions cannot be compared
	if !reflect.DeepEqual(&a, &b) {
		t.Errorf("request was changed:\n%+v\n%+v", a, b)
	}
	if a.URL != b.URL || a.Body != b.Body {
		t.Error("URL or Body was replaced")
	}
}

func TestConcurrentUse(t *testing.T) {
	flaky := server(t, func(n int, w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if n%3 == 0 {
			w.WriteHeader(503)
		}
		fmt.Fprint(w, "hello")
	})
	good := server(t, statuses(200))
	c := failover.Config{Retry: retry.Policy{AttemptTimeout: time.Minute}, Budget: retry.BudgetConfig{Burst: 1e6}}
	s := newSetup(t, c, nil, flaky.URL, good.URL)
	shared := request(t, "GET", "http://svc/shared", "") // one request used by all
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for i := range 10 {
				req := shared
				if i%2 == 0 {
					req = request(t, "PUT", "http://svc/own", "data")
					req = req.WithContext(failoverhttp.WithResend(req.Context()))
				}
				resp, err := s.transport.RoundTrip(req)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 {
					t.Error(resp.StatusCode, err)
				}
				_ = resp.Body.Close()
			}
		})
	}
	wg.Wait()
}

func TestHead(t *testing.T) {
	srv := server(t, func(n int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		if n == 1 {
			w.WriteHeader(503)
		}
	})
	s := newSetup(t, failover.Config{Retry: retry.Policy{AttemptTimeout: time.Minute}}, nil, srv.URL)
	resp, err := s.client.Head("http://svc/")
	if code, body := read(t, resp, err); code != 200 || body != "" || resp.ContentLength != 1000 || resp.Body != http.NoBody {
		t.Errorf("got %d %q, length %d, body %T", code, body, resp.ContentLength, resp.Body)
	}
}

func TestHTTP2(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if r.ProtoMajor != 2 {
			t.Errorf("protocol %s", r.Proto)
		}
		switch r.URL.Path {
		case "/hang":
			<-r.Context().Done()
		case "/bad":
			w.WriteHeader(503)
		}
		_, _ = w.Write(b)
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	base := srv.Client().Transport

	s := newSetup(t, failover.Config{Retry: retry.Policy{AttemptTimeout: time.Minute}}, base, srv.URL)
	req := request(t, "POST", "http://svc/bad", "echo")
	req.Header.Set("Idempotency-Key", "k")
	if code, body := read2(s.client.Do(req))(t); code != 503 || body != "echo" {
		t.Errorf("got %d %q", code, body)
	}
	s.Want(t, failure, failure, failure)

	s = newSetup(t, failover.Config{Retry: retry.Policy{AttemptTimeout: 20 * time.Millisecond}}, base, srv.URL)
	_, err := s.client.Get("http://svc/hang")
	wantTimeout(t, err)
	s.Want(t, failure, failure, failure)
}
