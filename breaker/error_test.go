package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
)

func TestOpenErrorOfTheLocalMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New("eu", breaker.Config{Service: "payments", OpenTimeout: time.Minute})
		times(10, b, errDown)
		time.Sleep(6 * time.Second)
		err := b.Do(t.Context(), func(context.Context) error { t.Error("ran"); return nil })
		wrapped := fmt.Errorf("pay: %w", err)
		var e *breaker.OpenError
		var unsent interface{ NotSent() bool }
		var netErr net.Error
		switch {
		case !errors.Is(wrapped, breaker.ErrOpen) || errors.Is(wrapped, errDown):
			t.Errorf("%v is not ErrOpen alone", wrapped)
		case !errors.As(wrapped, &e) || !errors.As(wrapped, &unsent) || !unsent.NotSent():
			t.Errorf("%v does not say that nothing was sent", wrapped)
		case !errors.As(wrapped, &netErr) || netErr.Timeout():
			t.Error("a refusal passes for a timeout")
		case e.Service != "payments" || e.Endpoint != "eu" || e.Source != breaker.SourceLocal || e.Phi != 0 || e.Retry:
			t.Errorf("the error is %+v", e)
		case e.Age != 6*time.Second || e.RetryIn < 54*time.Second || e.RetryIn > 60*time.Second:
			t.Errorf("age %v, retry in %v", e.Age, e.RetryIn)
		}
	})
}

func TestOpenErrorMessages(t *testing.T) {
	evidence := breaker.Evidence{Steward: "m7", Failures: 30, Outcomes: 40, Window: 5 * time.Second, Reporters: 4}
	for _, tc := range []struct {
		err  breaker.OpenError
		want string
	}{
		{breaker.OpenError{Endpoint: "eu", RetryIn: 1500 * time.Millisecond},
			"breaker: eu refused by this process: too many of its calls failed; the next probe goes in about 1.5s"},
		{breaker.OpenError{Service: "pay", Endpoint: "eu", Age: 2 * time.Second, Evidence: breaker.Evidence{Reporters: 1, Failures: 6, Outcomes: 10, Window: 10 * time.Second}},
			"breaker: pay/eu refused by this process: too many of its calls failed (6 of 10 in 10s, 2s ago)"},
		{breaker.OpenError{Service: "pay"}, "breaker: pay refused by this process: too many of its calls failed"},
		{breaker.OpenError{Service: "pay", Endpoint: "eu", Source: breaker.SourceCluster, Phi: .25, Age: time.Second, Evidence: evidence},
			"breaker: pay/eu refused by cluster: dimmed to 0.25 of first tries (30 of 40 attempts failed in 5s as heard from 4 members; steward m7, 1s ago)"},
		{breaker.OpenError{Service: "pay", Endpoint: "eu", Source: breaker.SourceOperator, Retry: true},
			"breaker: pay/eu refused a retry by operator"},
	} {
		if got := tc.err.Error(); got != tc.want {
			t.Errorf("got  %q\nwant %q", got, tc.want)
		}
	}
}

// A refusal says nothing about the endpoint to a breaker further up.
func TestRefusalIsNeutral(t *testing.T) {
	if got := breaker.DefaultClassify(fmt.Errorf("x: %w", &breaker.OpenError{})); got != breaker.OutcomeNeutral {
		t.Errorf("a refusal is classified as %v", got)
	}
	if breaker.DefaultClassify(nil) != breaker.OutcomeSuccess || breaker.DefaultClassify(errDown) != breaker.OutcomeFailure {
		t.Error("the default classes are wrong")
	}
}

// Whoever retries elsewhere must know whether others would refuse too.
func TestByVerdict(t *testing.T) {
	for source, want := range map[breaker.Source]bool{
		breaker.SourceLocal: false, breaker.SourceCluster: true, breaker.SourceOperator: true,
	} {
		if got := (&breaker.OpenError{Source: source}).ByVerdict(); got != want {
			t.Errorf("decided by %v: by verdict %v, want %v", source, got, want)
		}
	}
}
