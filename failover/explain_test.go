package failover_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/coord"
)

// Explain tells the decisions that led to the present state, local ones and the
// cluster's, with what they rest on, whether there is a cluster or not.
func TestExplainTellsTheDecisions(t *testing.T) {
	for _, clustered := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := failover.Config{Endpoints: []failover.Endpoint{{Name: "a"}}}
			c.Breaker.ConsecutiveFailures, c.Breaker.OpenTimeout = 3, time.Second
			c.Retry.MaxAttempts = 1
			service := coord.NewService("svc")
			if clustered {
				c.Cluster = shared{service: service}
			}
			g := group(t, c)
			ok := true
			call := func() {
				_ = g.Do(t.Context(), func(context.Context, failover.Endpoint) error {
					if ok {
						return nil
					}
					return errDown
				})
			}
			if d := g.Explain().Decisions; len(d) != 0 {
				t.Errorf("before anything was decided: %+v", d)
			}
			call()
			ok = false
			for range 3 {
				call()
			}
			ok = true
			time.Sleep(2 * time.Second)
			call()
			want := []string{"local open 0 4/3", "local half-open 1 0/0", "local closed 1 0/0"}
			if clustered {
				why := coord.Evidence{Steward: "m", Reporters: 5, Failures: 30, Outcomes: 40}
				service.Endpoint("a").Publish(coord.Advice{Phi: coord.PhiOf(.2), Mode: coord.RetryNone, Source: coord.SourceCluster, Tag: 1, Evidence: why})
				service.Endpoint("a").Publish(coord.Advice{Phi: coord.PhiFull, Tag: 2, Era: 1})
				want = append(want, "cluster dimmed 0.2 40/30", "local closed 1 0/0")
			}
			var got []string
			last := time.Time{}
			for _, d := range g.Explain().Decisions {
				if d.Endpoint != "a" || d.At.Before(last) {
					t.Errorf("%+v comes after %v", d, last)
				}
				last = d.At
				got = append(got, fmt.Sprintf("%v %s %.3g %d/%d", d.Source, d.State, d.Phi, d.Evidence.Outcomes, d.Evidence.Failures))
			}
			if !slices.Equal(got, want) {
				t.Errorf("in a cluster %v: decided were %q, want %q", clustered, got, want)
			}
		})
	}
}
