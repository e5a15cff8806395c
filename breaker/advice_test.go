package breaker_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

// advisor publishes advice on one endpoint as a member's driver does.
type advisor struct{ *cluster }

func newAdvisor() *advisor { return &advisor{newCluster()} }

func (c *advisor) publish(a coord.Advice) { c.endpoint().Publish(a.Numbered(c.endpoint().Advice())) }

func (c *advisor) clear() { c.publish(coord.Advice{Phi: coord.PhiFull}) }

func TestDimmingLetsAFractionThrough(t *testing.T) {
	const n = 20_000
	for _, phi := range []float64{0, .01, .25, .9} {
		c := newAdvisor()
		b := breaker.New("a", in(c))
		c.publish(coord.Advice{Phi: coord.PhiOf(phi), Mode: coord.RetryNone, Source: coord.SourceCluster})
		ran := times(n, b, nil)
		if got := float64(ran) / n; math.Abs(got-phi) > 6*math.Sqrt(phi*(1-phi)/n)+1e-4 {
			t.Errorf("phi %v let %v through", phi, got)
		}
		s := c.endpoint().Sample()
		if s.Totals.Demand != n || s.Totals.OK != uint64(ran) || s.Tagged.Sent != uint64(ran) {
			t.Errorf("of %d wanted and %d run, %+v was counted", n, ran, s)
		}
		state := breaker.Dimmed
		if phi == 0 {
			state = breaker.Open
		}
		if b.State() != state || b.Status().Phi != coord.PhiOf(phi).Float() {
			t.Errorf("the status is %+v", b.Status())
		}
	}
}

func TestRefusalSaysWhoAndWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		evidence := breaker.Evidence{Steward: "m3", State: "dim", Failures: 9, Outcomes: 10, Reporters: 4}
		for _, early := range []bool{false, true} { // published before there was a breaker
			c := newAdvisor()
			a := coord.Advice{Mode: coord.RetryNone, Source: coord.SourceCluster, Evidence: evidence, AsOf: coord.Now() - 3*time.Second}
			if early {
				c.publish(a)
			}
			b := breaker.New("a", in(c))
			if !early {
				c.publish(a)
			}
			err := b.Do(t.Context(), func(context.Context) error { t.Error("ran"); return nil })
			var e *breaker.OpenError
			if !errors.As(err, &e) || !errors.Is(err, breaker.ErrOpen) {
				t.Fatalf("published early %v: refused with %v", early, err)
			}
			if e.Service != "svc" || e.Endpoint != "a" || e.Source != breaker.SourceCluster || e.Age != 3*time.Second || e.Evidence != evidence || e.Retry {
				t.Errorf("published early %v: the refusal is %+v", early, e)
			}
			if st := b.Status(); st.Source != breaker.SourceCluster || st.Age != 3*time.Second || st.Evidence != evidence || st.Retries != breaker.RetryNone {
				t.Errorf("the status is %+v", st)
			}
		}
	})
}

// While advice is in force the local machine rests; when it ends, a new one
// begins with nothing counted.
func TestLocalMachineRestsUnderAdvice(t *testing.T) {
	for _, a := range []coord.Advice{
		{Phi: coord.PhiFull, Mode: coord.RetryRatio, Source: coord.SourceCluster},
		{Phi: coord.PhiFull, Mode: coord.RetryNone, Source: coord.SourceCluster},
		{Phi: coord.PhiFull, Source: coord.SourceOperator}, // ordered to stay in use
	} {
		c := newAdvisor()
		b := breaker.New("a", in(c))
		times(9, b, errDown)
		c.publish(a)
		if got := times(100, b, errDown); got != 100 || b.State() != breaker.Closed || b.Status().Source != a.Source {
			t.Errorf("%v: %d of 100 ran, %+v", a.Mode, got, b.Status())
		}
		c.clear()
		if got := times(9, b, errDown); got != 9 || b.State() != breaker.Closed {
			t.Errorf("%v: what came before or under the advice was counted: %d of 9 ran", a.Mode, got)
		}
		if got := times(9, b, errDown); got != 1 || b.State() != breaker.Open || b.Status().Phi != 0 {
			t.Errorf("%v: then %d ran, %v", a.Mode, got, b.State())
		}
		c.publish(a) // advice overrules an open machine as well
		if got := times(5, b, errDown); got != 5 {
			t.Errorf("%v: %d of 5 ran over an open machine", a.Mode, got)
		}
		c.clear()
		if b.State() != breaker.Closed {
			t.Errorf("%v: it came back %v", a.Mode, b.State())
		}
	}
}

// In a coordinated cluster, or one that was until a moment ago, a local trip waits
// until its condition has held for two seconds, so that the cluster gets to see the
// evidence: all of them would trip at once where stewards change.
func TestLocalTripWaitsForTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range []struct {
			lately bool
			opens  time.Duration
			broken bool // a success at one second
		}{
			{lately: false},
			{lately: true, opens: 2 * time.Second},
			{lately: true, opens: 3900 * time.Millisecond, broken: true},
		} {
			c := newAdvisor()
			b := breaker.New("a", in(c))
			c.publish(coord.Advice{Phi: coord.PhiFull, Lately: tc.lately})
			times(9, b, errDown)
			start := time.Now()
			for b.State() == breaker.Closed && time.Since(start) < 10*time.Second {
				if tc.broken && time.Since(start) == time.Second {
					times(60, b, nil)
				}
				times(1, b, errDown)
				if b.State() == breaker.Closed {
					time.Sleep(100 * time.Millisecond)
				}
			}
			if got := time.Since(start); got != tc.opens {
				t.Errorf("stewards lately %v: it opened after %v, want %v", tc.lately, got, tc.opens)
			}
		}
	})
}

// In a coordinated cluster what fails in part is the cluster's to judge; the
// local machine opens only where hardly anything succeeds.
func TestPartialFailuresAreTheClusters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range []struct {
			lately   bool
			failures int // of ten calls
			want     breaker.State
		}{
			{false, 5, breaker.Open},
			{true, 5, breaker.Closed}, {true, 8, breaker.Closed},
			{true, 10, breaker.Open},
		} {
			c := newAdvisor()
			b := breaker.New("a", in(c))
			c.publish(coord.Advice{Phi: coord.PhiFull, Lately: tc.lately})
			for range 60 {
				times(10-tc.failures, b, nil)
				times(tc.failures, b, errDown)
				time.Sleep(100 * time.Millisecond)
			}
			if got := b.State(); got != tc.want {
				t.Errorf("stewards lately %v, %d of 10 calls failing: it is %v, want %v", tc.lately, tc.failures, got, tc.want)
			}
		}
	})
}

// How long the condition held before an earlier trip does not count.
func TestEachLocalTripWaitsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newAdvisor()
		config := in(c)
		config.ConsecutiveFailures = 1
		b := breaker.New("a", config)
		c.publish(coord.Advice{Phi: coord.PhiFull, Lately: true})
		for range 3 {
			times(5, b, errDown)
			time.Sleep(2*time.Second - 1)
			if got := times(1, b, errDown); got != 1 || b.State() != breaker.Closed {
				t.Errorf("before two seconds: %d ran, %v", got, b.State())
			}
			time.Sleep(1)
			if times(1, b, errDown); b.State() != breaker.Open {
				t.Errorf("after two seconds: %v", b.State())
			}
			time.Sleep(11*time.Second + 1)
			times(1, b, nil)
		}
	})
}

func TestRetriesUnderAdvice(t *testing.T) {
	for _, tc := range []struct {
		advice  coord.Advice
		goes    bool
		mode    breaker.Mode
		refused breaker.Source
	}{
		{advice: coord.Advice{Phi: coord.PhiFull}, goes: true, mode: breaker.RetryAll},
		{advice: coord.Advice{Phi: coord.PhiFull, Mode: coord.RetryRatio, Source: coord.SourceCluster}, goes: true, mode: breaker.RetryRatio},
		{advice: coord.Advice{Phi: coord.PhiFull, Mode: coord.RetryNone, Source: coord.SourceCluster}, mode: breaker.RetryNone, refused: breaker.SourceCluster},
		{advice: coord.Advice{Phi: coord.PhiOf(.9), Mode: coord.RetryNone, Source: coord.SourceOperator}, mode: breaker.RetryNone, refused: breaker.SourceOperator},
	} {
		c := newAdvisor()
		b := breaker.New("a", in(c))
		c.publish(tc.advice)
		mode, err := b.Retryable()
		if mode != tc.mode || (err == nil) != tc.goes {
			t.Errorf("%+v: retryable %v, %v", tc.advice, mode, err)
		}
		ran := false
		err = b.DoAttempt(t.Context(), 2, func(context.Context) error { ran = true; return nil })
		var e *breaker.OpenError
		if ran != tc.goes || ran == errors.As(err, &e) {
			t.Errorf("%+v: a retry ran: %v; %v", tc.advice, ran, err)
		}
		if e != nil && (!e.Retry || e.Source != tc.refused) {
			t.Errorf("%+v: the refusal is %+v", tc.advice, e)
		}
		if s := c.endpoint().Sample(); s.Totals.Demand != 0 || s.Totals.Retries != map[bool]uint64{true: 1}[tc.goes] {
			t.Errorf("%+v: the retry was counted as %+v", tc.advice, s.Totals)
		}
	}
}

// Under retry.Do the breaker tells retries from first tries by itself.
func TestRetriesUnderARetryLoop(t *testing.T) {
	c := newAdvisor()
	b := breaker.New("a", in(c))
	err := retry.Do(t.Context(), retry.Policy{BaseDelay: -1}, func(ctx context.Context) error {
		return b.Do(ctx, func(context.Context) error {
			c.publish(coord.Advice{Phi: coord.PhiFull, Mode: coord.RetryNone, Source: coord.SourceCluster})
			return errDown
		})
	})
	var e *retry.Error
	if !errors.As(err, &e) || e.Attempts != 1 || !errors.Is(e.Err, errDown) || !errors.Is(e.Stop, breaker.ErrOpen) {
		t.Errorf("got %#v", err)
	}
}

func TestAllowUnderAdvice(t *testing.T) {
	c := newAdvisor()
	b := breaker.New("a", in(c))
	c.publish(coord.Advice{Mode: coord.RetryNone, Source: coord.SourceCluster})
	if done, err := b.Allow(); !errors.Is(err, breaker.ErrOpen) || done != nil {
		t.Errorf("allowed under phi 0: %v", err)
	}
	c.publish(coord.Advice{Phi: coord.PhiFull, Mode: coord.RetryNone})
	done, err := b.Allow()
	if err != nil {
		t.Fatal(err)
	}
	done(errDown)
	done(nil) // once only
	if got := c.endpoint().Sample().Totals; got.FailFast != 1 || got.OK != 0 || got.Demand != 2 {
		t.Errorf("counted %+v", got)
	}
}
