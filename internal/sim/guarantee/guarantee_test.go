package guarantee_test

import (
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
	"github.com/murmuration-go/murmuration/internal/sim/guarantee"
)

func TestStall(t *testing.T) {
	for _, n := range []int{1, 2, 3, 5, 12, 50} {
		for seed := range uint64(20) {
			c := guarantee.New()
			w := sim.New(sim.Config{Seed: seed, Members: n, Strategy: sim.Ours(sim.Options{}), Watch: c})
			w.Run(10 * time.Second)
			w.Service(0).Servers[0].Stall()
			c.Down(w, 0, 0, true)
			w.Run(40 * time.Second)
			w.Service(0).Servers[0].Resume(w)
			c.Down(w, 0, 0, false)
			w.Run(30 * time.Second)
			if err := c.Err(); err != nil {
				t.Errorf("n=%d seed %d: %v", n, seed, err)
			}
			if seed == 0 {
				t.Logf("n=%d %v probes %.2f", n, c.Checks(), c.Probes)
			}
		}
	}
}
