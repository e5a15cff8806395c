package breaker_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
)

// fields lists the fields that a joined error complains of.
func fields(err error) (names []string) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			names = append(names, fields(e)...)
		}
		return names
	}
	var e *breaker.ConfigError
	if errors.As(err, &e) {
		names = append(names, e.Field)
	}
	return names
}

// made reports whether New takes a Config.
func made(endpoint string, c breaker.Config) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	return breaker.New(endpoint, c) != nil
}

func TestConfigFaults(t *testing.T) {
	for _, tc := range []struct {
		config breaker.Config
		want   []string
	}{
		{breaker.Config{}, nil},
		{breaker.Config{MinRequests: -1}, nil},
		{breaker.Config{Cluster: (*cluster)(nil)}, nil}, // a nil pointer is no cluster
		{in(newCluster()), nil},
		{breaker.Config{Cluster: newCluster()}, []string{"Service"}},
		{breaker.Config{MinRequests: -1, ConsecutiveFailures: -1}, []string{"MinRequests"}},
		{breaker.Config{Service: strings.Repeat("x", 65), Window: -1, OpenTimeout: -1, AttemptTimeout: -1, FailureRatio: math.NaN()},
			[]string{"Service", "Window", "OpenTimeout", "AttemptTimeout", "FailureRatio"}},
		{breaker.Config{Window: time.Millisecond, FailureRatio: 1.1}, []string{"Window", "FailureRatio"}},
	} {
		err := tc.config.Validate()
		if got := fields(err); !slices.Equal(got, tc.want) {
			t.Errorf("faults in %q, want %q", got, tc.want)
		}
		for _, name := range tc.want {
			if !strings.Contains(err.Error(), "Config."+name+" ") {
				t.Errorf("%q does not name %s", err, name)
			}
		}
		if got := made("a", tc.config); got != (tc.want == nil) {
			t.Errorf("faults in %q: made %v", tc.want, got)
		}
	}
	if !made("", breaker.Config{}) || made("", in(newCluster())) {
		t.Error("an endpoint needs a name in a cluster, and only there")
	}
}

// A typed nil, a closed cluster and one without room are all no cluster.
func TestNoCluster(t *testing.T) {
	for _, c := range []breaker.Cluster{nil, (*cluster)(nil), &cluster{}} {
		b := breaker.New("a", in(c))
		if got := times(20, b, errDown); got != 10 || b.State() != breaker.Open || b.Endpoint() != "a" {
			t.Errorf("%T: %d ran, %v", c, got, b.State())
		}
	}
}

// The two local rules, and what turns them off.
func TestLocalRules(t *testing.T) {
	mixed := func(b *breaker.Breaker, n int) (ran int) { // every second one fails
		for i := range n {
			ran += times(1, b, []error{errDown, nil}[i%2])
		}
		return ran
	}
	if got := mixed(breaker.New("a", breaker.Config{}), 100); got != 21 {
		t.Errorf("half failing: %d ran, want 21: the one that trips is a failure", got)
	}
	if got := mixed(breaker.New("a", breaker.Config{MinRequests: -1}), 100); got != 100 {
		t.Errorf("without the ratio: %d ran", got)
	}
	if got := mixed(breaker.New("a", breaker.Config{FailureRatio: .6}), 100); got != 100 {
		t.Errorf("under the ratio: %d ran", got)
	}
	if got := times(100, breaker.New("a", breaker.Config{ConsecutiveFailures: -1}), errDown); got != 20 {
		t.Errorf("without the row: %d ran", got)
	}
	if got := times(100, breaker.New("a", breaker.Config{ConsecutiveFailures: 3}), errDown); got != 3 {
		t.Errorf("three in a row: %d ran", got)
	}
}

// A row of failures counts only as far as the window reaches.
func TestRowIsOfTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New("a", breaker.Config{})
		for range 40 {
			times(1, b, errDown)
			time.Sleep(1200 * time.Millisecond)
		}
		if b.State() != breaker.Closed {
			t.Errorf("failures 1.2s apart leave it %v", b.State())
		}
	})
}
