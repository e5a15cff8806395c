package failover_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

// A call whose last attempt was diverted, and failed as well, says why it left home:
// what the cluster has found there, or no more than that its first try had failed.
func TestDivertedErrorSaysWhy(t *testing.T) {
	why := coord.Evidence{Steward: "m", Reporters: 5, Failures: 30, Outcomes: 40}
	cluster := func(a coord.Advice) coord.Advice {
		a.Source, a.Evidence = coord.SourceCluster, why
		return heard(a)
	}
	ownTry := coord.Evidence{Reporters: 1, Failures: 1, Outcomes: 1}
	for name, test := range map[string]struct {
		home     coord.Advice
		source   breaker.Source
		age      time.Duration
		phi      float64
		evidence coord.Evidence
	}{
		"fails at home":           {allWell, breaker.SourceLocal, 0, 1, ownTry},
		"retries are off at home": {cluster(retriesOff), breaker.SourceCluster, time.Second, 1, why},
		"dimmed at home":          {cluster(dimmedOut), breaker.SourceCluster, 0, 0, why}, // of when the refusal was made
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := inCluster("a", "b")
				var told *failover.DivertedError
				c.Hooks.DivertedFor = func(_ context.Context, why *failover.DivertedError) { told = why }
				g := group(t, c)
				test.home.AsOf = coord.Now()
				advise(s, "a", test.home)
				advise(s, "b", room(1))
				time.Sleep(time.Second)
				went, err := call(t, g, "a", "b")
				var diverted *failover.DivertedError
				if !errors.As(err, &diverted) || diverted != told || went[len(went)-1] != "b" {
					t.Fatalf("went to %q: %v; the hook was told %v", went, err, told)
				}
				want := failover.DivertedError{
					Service: "svc", From: "a", To: "b", Source: test.source, Age: diverted.Age, Phi: test.phi, Evidence: test.evidence,
				}
				if *diverted != want || diverted.Age.Round(100*time.Millisecond) != test.age {
					t.Errorf("%+v, want %+v of %v ago", *diverted, want, test.age)
				}
				var e *retry.Error
				if !errors.As(err, &e) || !errors.Is(e.Err, errDown) || errors.Is(err, breaker.ErrOpen) || coord.NotSent(err) {
					t.Errorf("the call was sent, and its last attempt failed: %v", err)
				}
				if text := err.Error(); !strings.Contains(text, "diverted to b") || !strings.Contains(text, "svc/a is in trouble by "+test.source.String()) {
					t.Error(text)
				}
			})
		})
	}
}

// That the caller has given up hides nothing.
func TestDivertedErrorOfACallerThatHasGone(t *testing.T) {
	c, s := inCluster("a", "b")
	g := group(t, c)
	advise(s, "b", room(1))
	ctx, cancel := context.WithCancel(t.Context())
	err := g.Do(ctx, func(_ context.Context, e failover.Endpoint) error {
		if e.Name == "b" {
			cancel()
		}
		return errDown
	})
	var diverted *failover.DivertedError
	if !errors.As(err, &diverted) || !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}
