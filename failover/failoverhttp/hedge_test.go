package failoverhttp_test

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/retry"
)

const ms = time.Millisecond

// hedging has a hedge after 10 ms, and two attempts at most.
func hedging() failover.Config {
	return failover.Config{Retry: retry.Policy{MaxAttempts: 2, Hedge: &retry.Hedge{Delay: 10 * ms}}}
}

// reply is how an endpoint replies: when, with what status or error, and whether
// it heeds the request's context.
type reply struct {
	takes time.Duration
	code  int
	err   error
	deaf  bool
}

// replies is a base whose endpoints, by their host, reply as told.
type replies struct {
	by map[string]reply

	mu     sync.Mutex
	asked  []string
	closed []string // whose response bodies are
}

func (b *replies) RoundTrip(r *http.Request) (*http.Response, error) {
	b.mu.Lock()
	b.asked = append(b.asked, r.URL.Host)
	b.mu.Unlock()
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	how := b.by[r.URL.Host]
	gone := r.Context().Done()
	if how.deaf {
		gone = nil
	}
	select {
	case <-time.After(how.takes):
	case <-gone:
		return nil, r.Context().Err()
	}
	if how.err != nil {
		return nil, how.err
	}
	resp := respond(how.code)
	resp.Body = closeFunc{strings.NewReader(r.URL.Host), func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.closed = append(b.closed, r.URL.Host)
	}}
	return resp, nil
}

// Whose response the caller gets, and what becomes of the other.
func TestHedgedResponses(t *testing.T) {
	boom := errors.New("boom")
	for _, tc := range []struct {
		name     string
		a, b     reply
		code     int // 0 for an error
		from     string
		took     time.Duration
		closed   []string // besides the one that the caller gets
		evidence []breaker.Outcome
	}{
		{"hedge", reply{takes: time.Minute}, reply{takes: 5 * ms, code: 200}, 200, "b", 15 * ms, nil, is(success)},
		{"first", reply{takes: 15 * ms, code: 200}, reply{takes: time.Minute}, 200, "a", 15 * ms, nil, is(success)},
		{"too late", reply{takes: 50 * ms, code: 200, deaf: true}, reply{takes: 5 * ms, code: 200},
			200, "b", 50 * ms, []string{"a"}, is(success)},
		{"first fails", reply{takes: 15 * ms, code: 503}, reply{takes: 20 * ms, code: 200},
			200, "b", 30 * ms, []string{"a"}, is(failure, success)},
		{"hedge fails", reply{takes: 30 * ms, code: 200}, reply{takes: 5 * ms, code: 503},
			200, "a", 30 * ms, []string{"b"}, is(failure, success)},
		{"both fail", reply{takes: 15 * ms, code: 503}, reply{takes: 20 * ms, code: 502},
			502, "b", 30 * ms, []string{"a"}, is(failure, failure)},
		{"both fail, the hedge before", reply{takes: 30 * ms, code: 503}, reply{takes: 5 * ms, code: 502},
			503, "a", 30 * ms, []string{"b"}, is(failure, failure)},
		{"an error after a response", reply{takes: 15 * ms, code: 503}, reply{takes: 20 * ms, err: boom},
			0, "", 30 * ms, []string{"a"}, is(failure, failure)},
		{"a response after an error", reply{takes: 15 * ms, err: boom}, reply{takes: 20 * ms, code: 503},
			503, "b", 30 * ms, nil, is(failure, failure)},
		{"first fails for good", reply{takes: 15 * ms, code: 500}, reply{takes: time.Minute}, 500, "a", 15 * ms, nil, is(failure)},
		{"hedge fails for good", reply{takes: time.Minute}, reply{takes: 5 * ms, code: 404}, 404, "b", 15 * ms, nil, is(neutral)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := &replies{by: map[string]reply{"a": tc.a, "b": tc.b}}
				s := newSetup(t, hedging(), base, "http://a", "http://b")
				start := time.Now()
				resp, err := s.client.Do(request(t, "GET", "http://svc/", ""))
				if took := time.Since(start); took != tc.took || !slices.Equal(base.asked, []string{"a", "b"}) {
					t.Errorf("took %v, asked %q", took, base.asked)
				}
				synctest.Wait()
				if !slices.Equal(base.closed, tc.closed) {
					t.Errorf("closed bodies of %q, want %q", base.closed, tc.closed)
				}
				s.Want(t, tc.evidence...)
				if tc.code == 0 {
					var e *retry.Error
					if !errors.Is(err, boom) || !errors.As(err, &e) || e.Attempts != 2 {
						t.Errorf("got %v, %v", resp, err)
					}
					return
				}
				if code, from := read(t, resp, err); code != tc.code || from != tc.from {
					t.Errorf("got %d of %q, want %d of %q", code, from, tc.code, tc.from)
				}
			})
		})
	}
}

func is(list ...breaker.Outcome) []breaker.Outcome { return list }

// The attempts after a hedged pair discard both of its responses.
func TestRetryAfterAHedge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := &replies{by: map[string]reply{
			"a": {takes: 15 * ms, code: 503}, "b": {takes: 10 * ms, code: 503}, "c": {takes: ms, code: 200},
		}}
		c := hedging()
		c.Retry.MaxAttempts = 3
		s := newSetup(t, c, base, "http://a", "http://b", "http://c")
		if code, from := read2(s.client.Get("http://svc/"))(t); code != 200 || from != "c" {
			t.Errorf("got %d of %q", code, from)
		}
		synctest.Wait()
		if slices.Sort(base.closed); !slices.Equal(base.closed, []string{"a", "b", "c"}) {
			t.Errorf("closed bodies of %q", base.closed)
		}
	})
}

// Which requests may be under way twice at once.
func TestWhatIsHedged(t *testing.T) {
	set := func(name string) func(*http.Request) { return func(r *http.Request) { r.Header.Set(name, "x") } }
	for _, tc := range []struct {
		name, method, body string
		change             func(*http.Request)
		hedged             bool
	}{
		{name: "GET", method: "GET", hedged: true},
		{name: "GET with a body", method: "GET", body: "b", hedged: true},
		{name: "POST", method: "POST", body: "b"},
		{name: "key", method: "POST", body: "b", change: set("Idempotency-Key"), hedged: true},
		{name: "no GetBody", method: "GET", body: "b", change: func(r *http.Request) { r.GetBody = nil }},
		{name: "marked", method: "GET", change: func(r *http.Request) { *r = *r.WithContext(retry.WithoutHedge(r.Context())) }},
		{name: "upgrade", method: "GET", change: set("Upgrade")},
		{name: "expect", method: "GET", body: "b", change: set("Expect")},
		{name: "trailer", method: "GET", body: "b", change: func(r *http.Request) { r.Trailer = http.Header{"X-Sum": nil} }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := &replies{by: map[string]reply{"a": {takes: 50 * ms, code: 200}, "b": {takes: 5 * ms, code: 200}}}
				s := newSetup(t, hedging(), base, "http://a", "http://b")
				req := request(t, tc.method, "http://svc/", tc.body)
				if tc.change != nil {
					tc.change(req)
				}
				resp, err := s.transport.RoundTrip(req)
				if code, _ := read(t, resp, err); code != 200 || len(base.asked) > 1 != tc.hedged {
					t.Errorf("got %d, asked %q", code, base.asked)
				}
			})
		})
	}
}

// Each attempt has a body of its own, and all are closed.
func TestBodiesOfAHedgedRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		got := map[string]string{}
		s := newSetup(t, hedging(), stub(func(r *http.Request) (*http.Response, error) {
			var b strings.Builder
			piece := make([]byte, 1)
			for n, err := r.Body.Read(piece); err == nil; n, err = r.Body.Read(piece) { // both in turns
				b.Write(piece[:n])
				time.Sleep(3 * ms)
			}
			_ = r.Body.Close()
			mu.Lock()
			got[r.URL.Host] = b.String()
			mu.Unlock()
			return respond(200), nil
		}), "http://a", "http://b")
		var bodies []*trackedBody
		body := func() (io.ReadCloser, error) {
			b := &trackedBody{Reader: strings.NewReader("payload")}
			bodies = append(bodies, b)
			return b, nil
		}
		req := request(t, "GET", "http://svc/", "payload")
		req.Body, _ = body()
		req.GetBody = body
		if code, _ := read2(s.client.Do(req))(t); code != 200 {
			t.Errorf("got %d", code)
		}
		if got["a"] != "payload" || got["b"] != "payload" {
			t.Errorf("the endpoints got %q", got)
		}
		for _, b := range bodies {
			b.wantClosed(t)
		}
	})
}
