package otel_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

// hedged makes a call whose endpoints answer after so many milliseconds, with a
// hedge after 10 ms. The attempt that is cut off ends with the error cut.
func (l *lab) hedged(a, b time.Duration, cut error) error {
	g := l.group(func(c *failover.Config) { c.Retry.Hedge = &retry.Hedge{Delay: 10 * time.Millisecond} }, "a", "b")
	return g.Do(l.tb.Context(), func(ctx context.Context, e failover.Endpoint) error {
		takes := map[string]time.Duration{"a": a, "b": b}[e.Name]
		select {
		case <-time.After(takes):
			return nil
		case <-ctx.Done():
			return cut
		}
	})
}

// Both attempts are children of the call, which tells who answered; the one that
// lost was no failure.
func TestSpansOfAHedgedCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ms = time.Millisecond
		for _, tc := range []struct {
			a, b time.Duration
			cut  error
			want []string
		}{
			{time.Minute, 5 * ms, context.Canceled, []string{
				"murmuration.call attempt_count=2 endpoint=b service=svc",
				"  murmuration.attempt error.type=superseded attempt=1 endpoint=a service=svc",
				"  murmuration.attempt attempt=2 endpoint=b hedged_after=0.01 service=svc token=held",
			}},
			{15 * ms, time.Minute, context.Canceled, []string{
				"murmuration.call attempt_count=2 endpoint=a service=svc",
				"  murmuration.attempt attempt=1 endpoint=a service=svc",
				"  murmuration.attempt error.type=superseded attempt=2 endpoint=b hedged_after=0.01 service=svc token=held",
			}},
			{15 * ms, time.Minute, coded(1), []string{ // as gRPC says it
				"murmuration.call attempt_count=2 endpoint=a service=svc",
				"  murmuration.attempt attempt=1 endpoint=a service=svc",
				"  murmuration.attempt error.type=superseded attempt=2 endpoint=b hedged_after=0.01 service=svc token=held",
			}},
			{15 * ms, time.Minute, coded(14), []string{ // not for having been cut off
				"murmuration.call attempt_count=2 endpoint=a service=svc",
				"  murmuration.attempt attempt=1 endpoint=a service=svc",
				"  murmuration.attempt error.type=UNAVAILABLE attempt=2 endpoint=b hedged_after=0.01 service=svc token=held rpc.response.status_code=UNAVAILABLE Error",
			}},
			{5 * ms, 5 * ms, context.Canceled, []string{
				"murmuration.call attempt_count=1 endpoint=a service=svc",
				"  murmuration.attempt attempt=1 endpoint=a service=svc",
			}},
		} {
			l := newLab(t)
			if err := l.hedged(tc.a, tc.b, tc.cut); err != nil {
				t.Fatal(err)
			}
			wantLines(t, l.spans(), tc.want...)
			for _, s := range l.rec.Ended() {
				if took := s.EndTime().Sub(s.StartTime()); took > 15*ms {
					t.Errorf("%s took %v", s.Name(), took)
				}
			}
		}
	})
}

func TestMetricsOfAHedgedCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		if err := l.hedged(time.Minute, 5*time.Millisecond, context.Canceled); err != nil {
			t.Fatal(err)
		}
		got := l.metrics()
		for name, want := range map[string]string{
			"client.hedge{endpoint=b service=svc}":                                  "1 {hedge}",
			"client.retry{endpoint=b service=svc}":                                  "1 {retry}",
			"client.call.duration{service=svc}":                                     "1: 0.015 s",
			"client.attempt.duration{error.type=superseded endpoint=a service=svc}": "1: 0.015 s",
			"client.attempt.duration{endpoint=b service=svc}":                       "1: 0.005 s",
		} {
			if got[name] != want {
				t.Errorf("%s is %q, want %q", name, got[name], want)
			}
		}
	})
}

// Cut off is also what is below an attempt that was.
func TestCallBelowALoser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		p := retry.Policy{Hooks: l.Retry(), Hedge: &retry.Hedge{Delay: 10 * time.Millisecond}}
		_ = retry.Do(t.Context(), p, func(ctx context.Context) error {
			if coord.IsHedge(ctx, t.Context()) {
				return nil
			}
			return retry.Do(ctx, retry.Policy{Hooks: l.Retry()}, func(ctx context.Context) error {
				<-ctx.Done()
				return errDown // does not say so
			})
		})
		cut := 0
		for _, line := range l.spans() {
			if strings.Contains(line, "superseded") {
				cut++
			}
			if strings.HasSuffix(line, "Error") {
				t.Error(line)
			}
		}
		if cut != 3 {
			t.Errorf("%d spans are superseded in\n%s", cut, strings.Join(l.spans(), "\n"))
		}
	})
}
