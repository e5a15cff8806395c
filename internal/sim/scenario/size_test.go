package scenario

import (
	"runtime"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// TestTenThousand runs S1 with 10,000 members, each an encoding, decoding,
// deciding node. It says what that costs, and checks that the outcome is as with
// few.
func TestTenThousand(t *testing.T) {
	if brief() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	stop, peak := watchHeap()
	began := time.Now()
	r := longStall.Run(Params{N: 10_000, Seed: 1, Strategy: sim.Ours(sim.Options{})})
	took := time.Since(began)
	close(stop)
	t.Logf("%d events, %.0f virtual seconds, in %v (%.2f million events a second), %d MB of heap at most, with whatever ran beside it",
		r.Events, r.VirtualSec, took.Round(100*time.Millisecond), float64(r.Events)/1e6/took.Seconds(), <-peak>>20)
	t.Logf("goodput %.3f, recovered in %s, peak %.2f, %d attempts while down, 99 %% of the members act after %s, %.0f and %.0f bytes a second and member direct and by gossip",
		r.Goodput, seconds(r.Recovery), r.Peak, r.AttemptsDown, seconds(r.Acted), r.Sent, r.Gossiped)
	if r.Goodput < .68 || r.Recovery == nil || *r.Recovery > 21 || r.Before > 0 || r.Trips < 10_000 || r.Undimmed > 0 {
		t.Errorf("out of bounds: %+v", r)
	}
}

// watchHeap samples the heap until it is told to stop, and then says the most that
// was in use.
func watchHeap() (stop chan struct{}, peak chan uint64) {
	stop, peak = make(chan struct{}), make(chan uint64, 1)
	go func() {
		var most uint64
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
			select {
			case <-tick.C:
			case <-stop:
				peak <- most
				return
			}
		}
	}()
	return stop, peak
}
