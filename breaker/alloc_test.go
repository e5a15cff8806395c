package breaker_test

import (
	"context"
	"testing"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/race"
)

// A healthy call and a refused one allocate nothing.
func TestCallsDoNotAllocate(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	ctx := t.Context()
	dimmed := newAdvisor()
	for name, b := range map[string]*breaker.Breaker{
		"healthy":               breaker.New("a", breaker.Config{}),
		"healthy in a cluster":  breaker.New("a", in(newCluster())),
		"open":                  breaker.New("a", breaker.Config{ConsecutiveFailures: 1}),
		"dimmed by the cluster": breaker.New("a", in(dimmed)),
	} {
		dimmed.publish(coord.Advice{Mode: coord.RetryNone, Source: coord.SourceCluster})
		refused := name == "open" || name == "dimmed by the cluster"
		if name == "open" {
			times(1, b, errDown)
		}
		fn := func(context.Context) error { return nil }
		var err error
		if n := testing.AllocsPerRun(500, func() { err = b.Do(ctx, fn) }); n != 0 {
			t.Errorf("%s: %v allocations a call", name, n)
		}
		if (err != nil) != refused {
			t.Errorf("%s: ended with %v", name, err)
		}
	}
}
