package otel_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failoverhttp"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

func TestSpansOfACallThatSucceedsInTheEnd(t *testing.T) {
	l := newLab(t)
	tracer := l.tracers.Tracer("the caller's")
	ctx, parent := tracer.Start(t.Context(), "handler")
	answer := answers(errDown, errDown)
	err := l.group(nil, "a", "b").Do(ctx, func(ctx context.Context, e failover.Endpoint) error {
		_, client := tracer.Start(ctx, "client", trace.WithSpanKind(trace.SpanKindClient))
		defer client.End()
		return answer(ctx, e)
	})
	parent.End()
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, l.spans(),
		"handler ",
		"  murmuration.call attempt_count=3 endpoint=a service=svc",
		"    murmuration.attempt error.type=_OTHER attempt=1 endpoint=a service=svc Error",
		"      client ",
		"    murmuration.attempt error.type=_OTHER attempt=2 endpoint=b service=svc token=held Error",
		"      client ",
		"    murmuration.attempt attempt=3 endpoint=a service=svc token=held",
		"      client ",
	)
	for _, s := range l.rec.Ended() {
		if strings.HasPrefix(s.Name(), "murmuration.") && s.SpanKind() != trace.SpanKindInternal {
			t.Errorf("%s is of kind %v", s.Name(), s.SpanKind())
		}
		if d := s.Status().Description; d != "" || len(s.Events()) != 0 {
			t.Errorf("%s tells %q, %v", s.Name(), d, s.Events())
		}
	}
}

// The whole story is one trace, also for a caller that is not traced.
func TestSpansWithoutAParent(t *testing.T) {
	l := newLab(t)
	_ = l.group(nil, "a").Do(t.Context(), answers(errDown))
	_ = retry.Do(t.Context(), retry.Policy{Hooks: l.Retry()}, func(context.Context) error { return nil })
	wantLines(t, l.spans(),
		"murmuration.call attempt_count=2 endpoint=a service=svc",
		"  murmuration.attempt error.type=_OTHER attempt=1 endpoint=a service=svc Error",
		"  murmuration.attempt attempt=2 endpoint=a service=svc token=held",
		"murmuration.call attempt_count=1", // a policy without a budget does not know its service
		"  murmuration.attempt attempt=1",
	)
}

func TestWaitIsToldByTheNextAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		_ = l.group(nil, "a").Do(t.Context(), answers(retry.After(errDown, 1500*time.Millisecond)))
		wantLines(t, l.spans(),
			"murmuration.call attempt_count=2 endpoint=a service=svc",
			"  murmuration.attempt error.type=_OTHER attempt=1 endpoint=a service=svc Error",
			"  murmuration.attempt attempt=2 endpoint=a service=svc token=held wait=1.5",
		)
	})
}

func TestSpanOfARefusedCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, by := range []breaker.Source{breaker.SourceCluster, breaker.SourceOperator} {
			l := newLab(t)
			cluster := advised{coord.NewService("svc")}
			g := l.group(func(c *failover.Config) { c.Cluster = cluster }, "a", "b")
			a := coord.Advice{
				Phi: 0, Mode: coord.RetryNone, Source: by, Tag: 1, Planned: true, Evidence: evidence, AsOf: coord.Now() - 250*time.Millisecond,
			}
			rests := " evidence.failures=30 evidence.outcomes=40 evidence.reporters=5"
			if by == breaker.SourceOperator {
				a.Evidence, a.Override, rests = coord.Evidence{}, &coord.Override{Kind: coord.ForceOpen}, " override=force-open"
			}
			cluster.publish("a", a)
			if err := g.Do(t.Context(), answers()); !errors.Is(err, breaker.ErrOpen) {
				t.Fatal(err)
			}
			wantLines(t, l.spans(), "murmuration.call error.type=breaker_open attempt_count=0 decided_by="+by.String()+
				" evidence.age=0.25"+rests+
				" phi=0 refused_endpoint=a service=svc Error")
			got := l.metrics()
			for _, name := range []string{
				"client.call.refusal{decided_by=" + by.String() + " service=svc}",
				"breaker.refusal{decided_by=" + by.String() + " endpoint=a service=svc}",
			} {
				if !strings.HasPrefix(got[name], "1 ") {
					t.Errorf("%s is %q", name, got[name])
				}
			}
			if all := fmt.Sprint(l.spans(), got); strings.Contains(all, evidence.Steward) {
				t.Errorf("a member is named: %s", all)
			}
		}
	})
}

// A call that turned elsewhere says why, and has no error.
func TestSpanOfADivertedCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		g := l.group(nil, "a", "b")
		for range 10 {
			g.Report("a", errDown)
		}
		time.Sleep(time.Second)
		if err := g.Do(t.Context(), answers()); err != nil {
			t.Fatal(err)
		}
		wantLines(t, l.spans(),
			"murmuration.call attempt_count=1 decided_by=local endpoint=b evidence.age=1 evidence.failures=10 evidence.outcomes=10 evidence.reporters=1 phi=0 refused_endpoint=a service=svc",
			"  murmuration.attempt attempt=1 endpoint=b service=svc",
		)
		got := l.metrics()
		if got["breaker.refusal{decided_by=local endpoint=a service=svc}"] != "1 {refusal}" ||
			got["breaker.transition{endpoint=a from=closed service=svc to=open}"] != "1 {transition}" {
			t.Errorf("measured %v", got)
		}
		for name := range got {
			if strings.HasPrefix(name, "client.call.refusal") {
				t.Errorf("the call counts as refused: %s", name)
			}
		}
	})
}

// A breaker inside a retry loop refuses what the loop takes for an attempt.
func TestSpanOfARefusedAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		b := breaker.New("a", breaker.Config{ConsecutiveFailures: 1, Hooks: l.Breaker()})
		p := retry.Policy{BaseDelay: -1, Hooks: l.Retry()}
		_ = retry.Do(t.Context(), p, func(ctx context.Context) error {
			return b.Do(ctx, func(context.Context) error { return errDown })
		})
		wantLines(t, l.spans(),
			"murmuration.call error.type=breaker_open attempt_count=1 decided_by=local"+
				" evidence.age=0 evidence.failures=1 evidence.outcomes=1 evidence.reporters=1 phi=0 refused_endpoint=a stop=breaker_open Error",
			"  murmuration.attempt error.type=_OTHER attempt=1 Error",
			"  murmuration.attempt error.type=breaker_open attempt=2 Error",
		)
		for name := range l.metrics() {
			if strings.HasPrefix(name, "client.retry") {
				t.Error("a retry that was not sent is counted")
			}
		}
	})
}

type timeoutError struct{}

func (timeoutError) Error() string { return "too late" }
func (timeoutError) Timeout() bool { return true }

// coded is an error with a gRPC code, as package failovergrpc makes them.
type coded uint32

func (coded) Error() string      { return "rpc error" }
func (c coded) GRPCCode() uint32 { return uint32(c) }

func TestErrorTypes(t *testing.T) {
	status := func(code int) error {
		return retry.Permanent(breaker.Neutral(&failoverhttp.StatusError{StatusCode: code}))
	}
	wrapped := func(err error) error { return fmt.Errorf("call http://secret.example/?key=1: %w", err) }
	for _, tc := range []struct {
		name          string
		err           error
		attempt, call string
	}{
		{"plain", wrapped(errDown), "error.type=_OTHER", "error.type=_OTHER"},
		{"permanent", retry.Permanent(errDown), "error.type=_OTHER", "error.type=_OTHER"},
		{"deadline", wrapped(context.DeadlineExceeded), "error.type=timeout", "error.type=timeout"},
		{"net.Error", wrapped(timeoutError{}), "error.type=timeout", "error.type=timeout"},
		{"canceled", wrapped(context.Canceled), "error.type=canceled", "error.type=canceled"},
		{"inner breaker", retry.Permanent(breaker.ErrOpen), "error.type=breaker_open", "error.type=breaker_open"},
		{"inner budget", retry.Permanent(&retry.Error{Err: errDown, Stop: retry.ErrBudgetExhausted}), "error.type=budget_exhausted", "error.type=budget_exhausted"},
		{"inner retries", retry.Permanent(retry.ErrRetriesOff), "error.type=retries_off", "error.type=retries_off"},
		{"404", status(404), "", ""},
		{"429", status(429), "error.type=429", ""},
		{"500", status(500), "error.type=500", "error.type=500"},
		{"503", &failoverhttp.StatusError{StatusCode: 503}, "error.type=503", "error.type=503"},
		{"gRPC", retry.Permanent(breaker.Neutral(coded(5))), "", ""},
		{"gRPC failure", wrapped(coded(14)), "error.type=UNAVAILABLE", "error.type=UNAVAILABLE"},
		{"gRPC cancellation", coded(1), "error.type=CANCELLED", "error.type=CANCELLED"},
		{"gRPC's last code", coded(16), "", ""},
		{"no code", coded(17), "error.type=_OTHER", "error.type=_OTHER"},
		{"no code at all", coded(1 << 31), "error.type=_OTHER", "error.type=_OTHER"},
		{"no status", status(999), "error.type=_OTHER", "error.type=_OTHER"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLab(t)
			_ = l.group(nil, "a").Do(t.Context(), func(context.Context, failover.Endpoint) error { return tc.err })
			for _, line := range l.spans() {
				want := tc.attempt
				if strings.HasPrefix(line, "murmuration.call") {
					want = tc.call
				}
				if strings.Contains(line, "error.type") != (want != "") || strings.HasSuffix(line, " Error") != (want != "") ||
					!strings.Contains(line, want) || strings.Contains(line, "secret") {
					t.Errorf("%s; want %q", line, want)
				}
			}
			for name := range l.metrics() {
				want := tc.attempt
				if strings.HasPrefix(name, "client.call.duration") {
					want = tc.call
				}
				if strings.Contains(name, "duration") && (strings.Contains(name, "error.type") != (want != "") || !strings.Contains(name, want)) {
					t.Errorf("%s; want %q", name, want)
				}
			}
		})
	}
}

// Why there was no further attempt is what the call ended with.
func TestErrorTypeOfACallThatWasDeniedARetry(t *testing.T) {
	call := func(t *testing.T, l *lab) string {
		t.Helper()
		return l.spans()[0]
	}
	t.Run("budget", func(t *testing.T) {
		l := newLab(t)
		g := l.group(func(c *failover.Config) { c.Budget = retry.BudgetConfig{Ratio: -1, Burst: -1} }, "a")
		_ = g.Do(t.Context(), answers(errDown))
		if got := call(t, l); got != "murmuration.call error.type=budget_exhausted attempt_count=1 endpoint=a service=svc stop=budget_exhausted Error" {
			t.Error(got)
		}
	})
	t.Run("budget after 429", func(t *testing.T) {
		l := newLab(t)
		g := l.group(func(c *failover.Config) { c.Budget = retry.BudgetConfig{Ratio: -1, Burst: -1} }, "a")
		_ = g.Do(t.Context(), answers(&failoverhttp.StatusError{StatusCode: 429}))
		if got := call(t, l); got != "murmuration.call http.response.status_code=429 attempt_count=1 endpoint=a service=svc stop=budget_exhausted" {
			t.Error(got)
		}
	})
	t.Run("cluster", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t)
			cluster := advised{coord.NewService("svc")}
			g := l.group(func(c *failover.Config) { c.Cluster = cluster }, "a")
			cluster.publish("a", coord.Advice{Phi: coord.PhiFull, Mode: coord.RetryNone, Source: coord.SourceCluster, Evidence: evidence, AsOf: coord.Now()})
			_ = g.Do(t.Context(), answers(errDown))
			if got := call(t, l); got != "murmuration.call error.type=retries_off attempt_count=1 decided_by=cluster endpoint=a"+
				" evidence.age=0 evidence.failures=30 evidence.outcomes=40 evidence.reporters=5 phi=1 refused_endpoint=a service=svc stop=retries_off Error" {
				t.Error(got)
			}
		})
	})
	t.Run("deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_ = l.group(nil, "a").Do(ctx, answers(retry.After(errDown, time.Minute)))
			if got := call(t, l); got != "murmuration.call error.type=timeout attempt_count=1 endpoint=a service=svc stop=timeout Error" {
				t.Error(got)
			}
		})
	})
	t.Run("canceled, with an error that does not say so", func(t *testing.T) {
		l := newLab(t)
		ctx, cancel := context.WithCancel(t.Context())
		_ = l.group(nil, "a").Do(ctx, func(context.Context, failover.Endpoint) error { cancel(); return errDown })
		wantLines(t, l.spans(),
			"murmuration.call error.type=canceled attempt_count=1 endpoint=a service=svc stop=canceled Error",
			"  murmuration.attempt error.type=canceled attempt=1 endpoint=a service=svc Error")
	})
	t.Run("attempt timeout", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t)
			g := l.group(func(c *failover.Config) { c.Retry.AttemptTimeout, c.Retry.MaxAttempts = time.Second, 1 }, "a")
			_ = g.Do(t.Context(), func(ctx context.Context, _ failover.Endpoint) error {
				<-ctx.Done()
				return errDown
			})
			if got := l.spans()[1]; got != "  murmuration.attempt error.type=timeout attempt=1 endpoint=a service=svc Error" {
				t.Error(got)
			}
		})
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestHTTPResponses(t *testing.T) {
	for status, want := range map[int][]string{
		200: {"murmuration.call attempt_count=1 endpoint=a service=svc",
			"  murmuration.attempt attempt=1 endpoint=a service=svc"},
		404: {"murmuration.call http.response.status_code=404 attempt_count=1 endpoint=a service=svc",
			"  murmuration.attempt http.response.status_code=404 attempt=1 endpoint=a service=svc"},
		500: {"murmuration.call error.type=500 http.response.status_code=500 attempt_count=1 endpoint=a service=svc Error",
			"  murmuration.attempt error.type=500 http.response.status_code=500 attempt=1 endpoint=a service=svc Error"},
	} {
		l := newLab(t)
		tr := failoverhttp.NewTransport(l.group(nil, "a"), roundTripper(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Body: http.NoBody, Request: r}, nil
		}))
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://svc/path?secret", nil)
		resp, err := tr.RoundTrip(req)
		if err != nil || resp.StatusCode != status {
			t.Fatalf("%v, %v", resp, err)
		}
		_ = resp.Body.Close()
		wantLines(t, l.spans(), want...)
	}
}

// Spans that are not sampled keep those below from being sampled, and nobody
// takes another call's span for its own.
func TestNotSampled(t *testing.T) {
	never := newLab(t, sdktrace.WithSampler(sdktrace.NeverSample()))
	inner := never.group(nil, "a")
	outer := newLab(t)
	_ = outer.group(nil, "a").Do(t.Context(), func(ctx context.Context, _ failover.Endpoint) error {
		above := trace.SpanContextFromContext(ctx)
		return inner.Do(ctx, func(ctx context.Context, _ failover.Endpoint) error {
			here := trace.SpanContextFromContext(ctx)
			if here.IsSampled() || here.TraceID() != above.TraceID() || here.SpanID() == above.SpanID() {
				t.Errorf("below %+v is %+v", above, here)
			}
			return errDown
		})
	})
	if n := len(never.rec.Ended()); n != 0 {
		t.Errorf("%d spans were sampled", n)
	}
	if got := never.metrics()["client.retry{endpoint=a service=svc}"]; !strings.HasPrefix(got, "6 ") {
		t.Errorf("retries: %q", got) // three outer attempts of three inner ones
	}
	if got := outer.spans()[0]; got != "murmuration.call error.type=_OTHER attempt_count=3 endpoint=a service=svc Error" {
		t.Error(got)
	}
}

// A call within a call keeps to its own span.
func TestNestedCalls(t *testing.T) {
	l := newLab(t)
	inner := l.group(func(c *failover.Config) { c.Retry.MaxAttempts = 1 }, "in")
	err := l.group(nil, "out").Do(t.Context(), func(ctx context.Context, _ failover.Endpoint) error {
		_ = inner.Do(ctx, answers(errDown))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, l.spans(),
		"murmuration.call attempt_count=1 endpoint=out service=svc",
		"  murmuration.attempt attempt=1 endpoint=out service=svc",
		"    murmuration.call error.type=_OTHER attempt_count=1 endpoint=in service=svc Error",
		"      murmuration.attempt error.type=_OTHER attempt=1 endpoint=in service=svc Error",
	)
}

// Deadlines and values go through the contexts of calls and attempts.
func TestContextsGoThrough(t *testing.T) {
	l := newLab(t)
	type key struct{}
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "v"))
	_ = l.group(func(c *failover.Config) { c.Retry.AttemptTimeout = time.Hour }, "a").
		Do(ctx, func(ctx context.Context, _ failover.Endpoint) error {
			ctx, stop := context.WithCancel(ctx)
			defer stop()
			if _, ok := ctx.Deadline(); !ok || ctx.Value(key{}) != "v" {
				t.Error("deadline or value are lost")
			}
			cancel(cause)
			if <-ctx.Done(); context.Cause(ctx) != cause {
				t.Errorf("the cause is %v", context.Cause(ctx))
			}
			if s := fmt.Sprint(ctx); !strings.Contains(s, "murmuration") {
				t.Errorf("the context prints as %s", s)
			}
			return nil
		})
}
