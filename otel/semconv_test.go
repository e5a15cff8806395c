package otel_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failoverhttp"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
	"github.com/murmuration-go/murmuration/retry/retryhttp"
)

// spansHTTP makes a CLIENT span a request, as the conventions want it, the way
// otelhttp does.
func (l *lab) spansHTTP(base http.RoundTripper) http.RoundTripper {
	tracer := l.tracers.Tracer(theirHTTP)
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		port, _ := strconv.Atoi(r.URL.Port())
		ctx, span := tracer.Start(r.Context(), r.Method, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
			attribute.String("http.request.method", r.Method), attribute.String("url.full", r.URL.String()),
			attribute.String("server.address", r.URL.Hostname()), attribute.Int("server.port", port)))
		defer span.End()
		resp, err := base.RoundTrip(r.WithContext(ctx))
		switch {
		case err != nil:
			span.SetStatus(codes.Error, "")
			span.SetAttributes(attribute.String("error.type", "_OTHER"))
			return resp, err
		case resp.StatusCode >= 400:
			span.SetStatus(codes.Error, "")
			span.SetAttributes(attribute.String("error.type", strconv.Itoa(resp.StatusCode)))
		}
		span.SetAttributes(attribute.Int("http.response.status_code", resp.StatusCode))
		return resp, err
	})
}

// httpLab is two servers, and clients to them.
type httpLab struct {
	*lab
	urls []string
}

// newHTTPLab starts the servers. What they do is what the path says: to answer with a
// code, at one request in so many if it says so, or to take as long as it takes.
func newHTTPLab(t *testing.T) *httpLab {
	h := &httpLab{lab: newLab(t)}
	var asked atomic.Int64
	for i := range 2 {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			code, rest, _ := strings.Cut(strings.Trim(r.URL.Path, "/"), "/")
			n, err := strconv.Atoi(code)
			switch {
			case r.URL.Path == "/slow" && i == 0:
				<-r.Context().Done()
			case err == nil && (rest == "" || asked.Add(1)%2 == 1):
				w.WriteHeader(n)
			}
		}))
		t.Cleanup(s.Close)
		h.urls = append(h.urls, s.URL)
	}
	return h
}

func (h *httpLab) client(change func(*failover.Config)) *http.Client {
	g := h.group(func(c *failover.Config) {
		for i := range c.Endpoints {
			c.Endpoints[i].URL, c.Endpoints[i].Internal = h.urls[i], true
		}
		if change != nil {
			change(c)
		}
	}, "a", "b")
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.Proxy = nil
	h.tb.(*testing.T).Cleanup(base.CloseIdleConnections)
	return &http.Client{Transport: failoverhttp.NewTransport(g, h.spansHTTP(h.Resends(base)))}
}

func (h *httpLab) get(ctx context.Context, c *http.Client, path string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://svc"+path+"?secret=1", http.NoBody)
	if err != nil {
		h.tb.Fatal(err)
	}
	resp, err := c.Do(req)
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
}

// inTrouble is a change of Config by which a cluster has advice on a, and as much room
// at b as is given.
func inTrouble(phi float64, mode coord.Mode, room float64) func(*failover.Config) {
	svc := coord.NewService("svc")
	a := coord.Advice{Phi: coord.PhiOf(phi), Mode: mode, Fresh: 3, Planned: true, AsOf: coord.Now()}
	if a.Phi < coord.PhiFull || mode != coord.RetryAll {
		a.Source, a.Evidence = coord.SourceCluster, evidence
	}
	if a.Phi < coord.PhiFull {
		a.Tag = 1
	}
	svc.Endpoint("a").Publish(a)
	svc.Endpoint("b").Publish(coord.Advice{Phi: coord.PhiFull, Fresh: 3, Planned: true, Sigma: coord.ShareOf(room)})
	return func(c *failover.Config) { c.Cluster = advised{svc} }
}

// troubles are Configs by which calls are resent, denied that, refused, diverted and
// hedged.
var troubles = map[string]func() func(*failover.Config){
	"resent": func() func(*failover.Config) { return nil },
	"waits": func() func(*failover.Config) {
		return func(c *failover.Config) { c.Retry.BaseDelay, c.Retry.MaxDelay = time.Millisecond, 2*time.Millisecond }
	},
	"no budget": func() func(*failover.Config) {
		return func(c *failover.Config) { c.Budget = retry.BudgetConfig{Ratio: -1, Burst: -1} }
	},
	"times out": func() func(*failover.Config) {
		return func(c *failover.Config) { c.Retry.AttemptTimeout = 20 * time.Millisecond }
	},
	"hedged": func() func(*failover.Config) {
		return func(c *failover.Config) { c.Retry.Hedge = &retry.Hedge{Delay: 5 * time.Millisecond} }
	},
	"own breaker": func() func(*failover.Config) {
		return func(c *failover.Config) {
			c.Endpoints, c.Retry.MaxAttempts = c.Endpoints[:1], 1
			c.Breaker.ConsecutiveFailures = 1
		}
	},
	"own breaker, passed over": func() func(*failover.Config) {
		return func(c *failover.Config) { c.Breaker.ConsecutiveFailures = 1 }
	},
	"dimmed":                     func() func(*failover.Config) { return inTrouble(0, coord.RetryNone, 0) },
	"dimmed and diverted":        func() func(*failover.Config) { return inTrouble(0, coord.RetryNone, 1) },
	"retries off":                func() func(*failover.Config) { return inTrouble(1, coord.RetryNone, 0) },
	"retries off, and diverted":  func() func(*failover.Config) { return inTrouble(1, coord.RetryNone, 1) },
	"fails at home, is diverted": func() func(*failover.Config) { return inTrouble(1, coord.RetryAll, 1) },
}

// Whatever becomes of HTTP requests, with instrumentation inside and outside, the spans
// are as the conventions and the documentation have them.
func TestHTTPSpansFollowTheConventions(t *testing.T) {
	h := newHTTPLab(t)
	for name, trouble := range troubles {
		c := h.client(trouble())
		for _, path := range []string{"/", "/404", "/429", "/500", "/503", "/503/once", "/slow"} {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			if name == "resent" && path == "/500" {
				ctx, cancel = context.WithCancel(t.Context())
				cancel()
			}
			h.get(ctx, c, path)
			cancel()
		}
	}

	// A tier between: a server that is instrumented makes calls of its own, and is
	// called by a client that resends.
	inner := h.client(nil)
	server := httptest.NewServer(retryhttp.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.get(r.Context(), inner, "/503")
		w.WriteHeader(http.StatusServiceUnavailable)
	})))
	defer server.Close()
	between := h.client(func(c *failover.Config) { c.Endpoints[0].URL, c.Endpoints = server.URL, c.Endpoints[:1] })
	h.get(t.Context(), between, "/")

	// Nothing listens.
	gone := h.client(func(c *failover.Config) { c.Endpoints[0].URL, c.Endpoints = "http://"+nobody(t), c.Endpoints[:1] })
	h.get(t.Context(), gone, "/")

	h.wantConventions(t,
		"error.type", "http.request.method", "http.request.resend_count", "http.response.status_code",
		"murmuration.attempt", "murmuration.attempt_count", "murmuration.decided_by", "murmuration.diverted_from",
		"murmuration.endpoint", "murmuration.evidence.age", "murmuration.hedged_after", "murmuration.refused_endpoint",
		"murmuration.service", "murmuration.stop", "murmuration.wait")
	h.wantResends(t)
}

func nobody(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// wantConventions checks all spans, that each hangs below what made it, and that keys
// were seen at all.
func (l *lab) wantConventions(t *testing.T, keys ...string) {
	t.Helper()
	all := map[trace.SpanID]sdktrace.ReadOnlySpan{}
	for _, s := range l.rec.Ended() {
		all[s.SpanContext().SpanID()] = s
	}
	seen := map[string]int{}
	for _, s := range all {
		for _, f := range faults(s) {
			t.Error(f)
		}
		parent := "nothing"
		if p := all[s.Parent().SpanID()]; p != nil {
			parent = p.Name()
		}
		if s.Name() != "murmuration.call" && (parent != "murmuration.attempt") == (s.Name() != "murmuration.attempt") ||
			s.Name() == "murmuration.attempt" && parent != "murmuration.call" {
			t.Errorf("%s is below %s", s.Name(), parent)
		}
		for _, kv := range s.Attributes() {
			seen[string(kv.Key)]++
			if strings.Contains(kv.Value.Emit(), evidence.Steward) || s.SpanKind() == trace.SpanKindInternal && strings.Contains(kv.Value.Emit(), "secret") {
				t.Errorf("%s tells %s", s.Name(), kv.Value.Emit())
			}
		}
	}
	for _, key := range keys {
		if seen[key] == 0 {
			t.Errorf("no span has %s", key)
		}
	}
	if started := len(l.rec.Started()); started != len(all) {
		t.Errorf("of %d spans %d have ended", started, len(all))
	}
}

// wantResends: who was sent again says so, and how often.
func (l *lab) wantResends(t *testing.T) {
	t.Helper()
	attempts := map[trace.SpanID]int64{}
	for _, s := range l.rec.Ended() {
		attempts[s.SpanContext().SpanID()] = number(s, "murmuration.attempt")
	}
	for _, s := range l.rec.Ended() {
		if s.InstrumentationScope().Name != theirHTTP {
			continue
		}
		if got, want := number(s, "http.request.resend_count"), attempts[s.Parent().SpanID()]-1; got != want {
			t.Errorf("attempt %d tells resend_count %d", want+1, got)
		}
	}
}

// number is the value of a span's attribute, 0 if it has none.
func number(s sdktrace.ReadOnlySpan, key attribute.Key) int64 {
	set := attribute.NewSet(s.Attributes()...)
	v, _ := set.Value(key)
	return v.AsInt64()
}

// The check finds what is wrong with spans.
func TestFaultsAreFound(t *testing.T) {
	well := func() tracetest.SpanStub {
		s := tracetest.SpanStub{Name: "murmuration.attempt", SpanKind: trace.SpanKindInternal}
		s.InstrumentationScope.Name, s.InstrumentationScope.SchemaURL = ours, conventions
		s.Attributes = []attribute.KeyValue{
			attribute.Int("murmuration.attempt", 2), attribute.String("murmuration.service", "svc"), attribute.String("murmuration.endpoint", "a"),
		}
		return s
	}
	if got := faults(well().Snapshot()); len(got) != 0 {
		t.Fatalf("nothing is wrong, but: %q", got)
	}
	add := func(kvs ...attribute.KeyValue) func(*tracetest.SpanStub) {
		return func(s *tracetest.SpanStub) { s.Attributes = append(s.Attributes, kvs...) }
	}
	for name, spoil := range map[string]func(*tracetest.SpanStub){
		"another name":           func(s *tracetest.SpanStub) { s.Name = "murmuration.attempts" },
		"another kind":           func(s *tracetest.SpanStub) { s.SpanKind = trace.SpanKindClient },
		"another schema":         func(s *tracetest.SpanStub) { s.InstrumentationScope.SchemaURL = "" },
		"something is lacking":   func(s *tracetest.SpanStub) { s.Attributes = s.Attributes[1:] },
		"a key nobody knows":     add(attribute.Int("murmuration.atempt", 2)),
		"a key of others":        add(attribute.String("url.path", "/")),
		"another type":           add(attribute.Int("murmuration.wait", 2)),
		"out of range":           add(attribute.Float64("murmuration.wait", -1)),
		"a URL":                  func(s *tracetest.SpanStub) { s.Attributes[2] = attribute.String("murmuration.endpoint", "http://a") },
		"an error without type":  func(s *tracetest.SpanStub) { s.Status.Code = codes.Error },
		"a type without error":   add(attribute.String("error.type", "timeout")),
		"OK":                     func(s *tracetest.SpanStub) { s.Status.Code = codes.Ok },
		"a failure of no kind":   add(attribute.Int("http.response.status_code", 500)),
		"the message of a fault": func(s *tracetest.SpanStub) { s.Events = []sdktrace.Event{{Name: "exception"}} },
		"half of an explanation": add(attribute.String("murmuration.decided_by", "local")),
	} {
		s := well()
		spoil(&s)
		if len(faults(s.Snapshot())) == 0 {
			t.Errorf("%s: nothing is found", name)
		}
	}
}
