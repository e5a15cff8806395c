package breaker_test

import (
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/internal/coord"
)

// A breaker tells its numbers, however they were given, and not how many endpoints
// have it.
func TestBreakersTellTheirPolicy(t *testing.T) {
	tell := func(c breaker.Config, endpoints ...string) uint32 {
		s := coord.NewService("svc")
		c.Service, c.Cluster = "svc", &cluster{service: s}
		for _, name := range endpoints {
			breaker.New(name, c)
		}
		return s.Policy()
	}
	plain := tell(breaker.Config{}, "a")
	same := breaker.Config{
		Window: 10 * time.Second, MinRequests: 20, FailureRatio: .5, ConsecutiveFailures: 10, OpenTimeout: 10 * time.Second,
		Classify: func(error) breaker.Outcome { return breaker.OutcomeDefault },
	}
	if plain == 0 || plain != tell(same, "b", "a") {
		t.Error("defaults tell something else than the same numbers")
	}
	if tell(breaker.Config{MinRequests: -1}, "a") != tell(breaker.Config{MinRequests: -9}, "a") {
		t.Error("two rules that are off tell different things")
	}
	for i, c := range []breaker.Config{
		{Window: time.Second}, {MinRequests: 1}, {FailureRatio: .6}, {ConsecutiveFailures: -1}, {OpenTimeout: time.Second}, {AttemptTimeout: time.Second},
	} {
		if tell(c, "a") == plain {
			t.Errorf("number %d tells nothing", i)
		}
	}
}
