package failover_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/murmuration-go/murmuration/failover"
)

func TestWatch(t *testing.T) {
	g := group(t, quick("b", "a"))
	var told [][]string
	stop := g.Watch(func(list []failover.Endpoint) {
		names := []string{}
		for _, e := range list {
			names = append(names, e.Name)
		}
		told = append(told, names)
	})
	other := 0
	stopOther := g.Watch(func([]failover.Endpoint) { other++ })
	_ = g.Update(named("c", ""))                         // faulty
	_ = g.Update(named("c", "b"))                        // both are told
	stopOther()                                          //
	_ = g.Drain("b")                                     // no change of endpoints
	_ = g.Update([]failover.Endpoint{{URL: "dns:///d"}}) // the name is filled in
	stop()
	stop()
	_ = g.Update(named("e"))
	want := [][]string{{"b", "a"}, {"c", "b"}, {"dns:///d"}}
	if !slices.EqualFunc(told, want, slices.Equal) || other != 2 {
		t.Errorf("told %q, want %q; the other was told %d times, want 2", told, want, other)
	}
}

// Whoever is told last is told of the endpoints that are there.
func TestWatchUnderUpdates(t *testing.T) {
	g := group(t, quick("a"))
	var last string
	defer g.Watch(func(list []failover.Endpoint) { last = list[0].Name })()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 50 {
				_ = g.Update(named(string(rune('a' + i))))
			}
		})
	}
	wg.Wait()
	if now := g.Explain().Endpoints[0].Name; last != now {
		t.Errorf("told last of %q; there is %q", last, now)
	}
}
