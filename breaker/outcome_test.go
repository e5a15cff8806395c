package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/internal/coord"
)

var errDown = errors.New("down")

// cluster is one that advises whatever a test publishes.
type cluster struct{ service *coord.Service }

func (c *cluster) CoordService(string) *coord.Service { return c.service }

func newCluster() *cluster { return &cluster{coord.NewService("svc")} }

func (c *cluster) endpoint() *coord.Endpoint { return c.service.Endpoint("a") }

func in(c breaker.Cluster) breaker.Config { return breaker.Config{Service: "svc", Cluster: c} }

func times(n int, b *breaker.Breaker, err error) (ran int) {
	for range n {
		_ = b.Do(context.Background(), func(context.Context) error { ran++; return err })
	}
	return ran
}

type unsent struct{}

func (unsent) Error() string { return "not sent" }
func (unsent) NotSent() bool { return true }

// What each kind of ending counts as, seen by what it is reported as.
func TestOutcomes(t *testing.T) {
	type counts struct{ ok, slow, fast uint64 }
	const none = time.Duration(0)
	hangs := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	after := func(d time.Duration, err error) func(context.Context) error {
		return func(context.Context) error { time.Sleep(d); return err }
	}
	classify := func(o breaker.Outcome) func(error) breaker.Outcome {
		return func(error) breaker.Outcome { return o }
	}
	for _, tc := range []struct {
		name             string
		config           breaker.Config
		deadline, cancel time.Duration // of the caller
		thr              time.Duration // the cluster's bound of a good latency
		fn               func(context.Context) error
		want             counts
	}{
		{name: "success", fn: after(0, nil), want: counts{ok: 1}},
		{name: "failure", fn: after(0, errDown), want: counts{fast: 1}},
		{name: "slow failure", fn: after(501*time.Millisecond, errDown), want: counts{slow: 1}},
		{name: "slow by the attempt timeout", config: breaker.Config{AttemptTimeout: 10 * time.Second}, fn: after(4*time.Second, errDown), want: counts{fast: 1}},
		{name: "timeout of its own", fn: after(0, context.DeadlineExceeded), want: counts{slow: 1}},
		{name: "marked neutral", fn: after(0, fmt.Errorf("call: %w", breaker.Neutral(errDown)))},
		{name: "refused further down", fn: after(0, fmt.Errorf("call: %w", unsent{}))},
		{name: "caller's cancel", cancel: 5 * time.Second, fn: hangs},
		{name: "cancel, whatever the error", cancel: time.Second, fn: after(2*time.Second, errDown)},
		{name: "cancelled, but went well", cancel: time.Second, fn: after(2*time.Second, nil), want: counts{ok: 1}},
		{name: "an error called Canceled", fn: after(0, context.Canceled), want: counts{fast: 1}},
		{name: "caller's deadline after long", deadline: 2 * time.Second, fn: hangs, want: counts{slow: 1}},
		{name: "caller's deadline after short", config: breaker.Config{AttemptTimeout: 5 * time.Second}, deadline: 2 * time.Second, fn: hangs},
		{name: "short, but longer than a healthy answer", config: breaker.Config{AttemptTimeout: 5 * time.Second}, deadline: 2 * time.Second,
			thr: time.Second, fn: hangs, want: counts{slow: 1}},
		{name: "classified as success", config: breaker.Config{Classify: classify(breaker.OutcomeSuccess)}, fn: after(0, errDown), want: counts{ok: 1}},
		{name: "classified as failure", config: breaker.Config{Classify: classify(breaker.OutcomeFailure)}, fn: after(0, nil), want: counts{fast: 1}},
		{name: "classified as neutral", config: breaker.Config{Classify: classify(breaker.OutcomeNeutral)}, fn: after(0, errDown)},
		{name: "left to the default", config: breaker.Config{Classify: classify(breaker.OutcomeDefault)}, fn: after(0, errDown), want: counts{fast: 1}},
		{name: "panic", fn: func(context.Context) error { panic("boom") }, want: counts{fast: 1}},
		{name: "end of the goroutine", fn: func(context.Context) error { runtime.Goexit(); return nil }, want: counts{fast: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cl := newCluster()
				tc.config.Service, tc.config.Cluster = "svc", cl
				b := breaker.New("a", tc.config)
				cl.endpoint().Publish(coord.Advice{Phi: coord.PhiFull, Thr: tc.thr})
				ctx, stop := context.WithCancel(t.Context())
				if tc.cancel > none {
					time.AfterFunc(tc.cancel, stop)
				}
				if tc.deadline > none {
					ctx, stop = context.WithTimeout(ctx, tc.deadline)
				}
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { _ = recover() }()
					_ = b.Do(ctx, tc.fn)
				}()
				<-done
				stop()
				s := cl.endpoint().Sample()
				if got := (counts{s.Totals.OK, s.Totals.FailSlow, s.Totals.FailFast}); got != tc.want || s.Totals.Demand != 1 {
					t.Errorf("counted %+v of %d wanted; want %+v of 1", got, s.Totals.Demand, tc.want)
				}
				if s.Tagged.Sent != s.Tagged.Resolved() {
					t.Errorf("%d sent, %d resolved", s.Tagged.Sent, s.Tagged.Resolved())
				}
			})
		})
	}
}

func TestNeutralOutcomesNeverOpen(t *testing.T) {
	b := breaker.New("a", breaker.Config{})
	if got := times(100, b, breaker.Neutral(errDown)); got != 100 || b.State() != breaker.Closed {
		t.Errorf("%d ran, %v", got, b.State())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		_ = b.Do(ctx, func(context.Context) error { return ctx.Err() })
	}
	if b.State() != breaker.Closed {
		t.Error("cancelled calls opened it")
	}
	if err := breaker.Neutral(errDown); !errors.Is(err, errDown) || err.Error() != "down" || breaker.Neutral(nil) != nil {
		t.Error("Neutral changes more than the meaning")
	}
}

func TestPanicsCountAndGoOn(t *testing.T) {
	for _, twoStep := range []bool{false, true} {
		b := breaker.New("a", breaker.Config{})
		if twoStep {
			done, _ := b.Allow()
			done(nil)
		}
		for range 10 {
			func() {
				defer func() {
					if got := recover(); got != "boom" {
						t.Errorf("recovered %v", got)
					}
				}()
				_ = b.Do(t.Context(), func(context.Context) error { panic("boom") })
			}()
		}
		if b.State() != breaker.Open {
			t.Errorf("two-step %v: ten panics leave it %v", twoStep, b.State())
		}
	}
}

func TestReport(t *testing.T) {
	cl := newCluster()
	b := breaker.New("a", breaker.Config{Service: "svc", Cluster: cl, ConsecutiveFailures: 3,
		Classify: func(error) breaker.Outcome { return breaker.OutcomeDefault }})
	b.Report(nil)
	b.Report(breaker.Neutral(errDown))
	if got := cl.endpoint().Sample().Totals; got != (coord.Totals{}) {
		t.Errorf("nil and neutral news counted %+v", got)
	}
	for range 5 {
		b.Report(errDown)
	}
	if got := cl.endpoint().Sample().Totals.FailFast; got != 5 || b.State() != breaker.Open {
		t.Errorf("%d failures counted, %v", got, b.State())
	}
}
