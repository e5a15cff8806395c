package scenario

import (
	"fmt"
	"testing"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// TestSpareZones (G7): what fails in zone A fills the room that other zones have and
// no more, also where the gossip is split at random and stewards change on both
// sides; and the other zones' own users notice nothing.
func TestSpareZones(t *testing.T) {
	seeds := uint64(4)
	if testing.Short() {
		seeds = 1
	}
	for _, s := range Zoned {
		switch s.ID {
		case "F1r", "F1b", "F7x", "F7x-3":
		default:
			continue
		}
		for seed := range seeds {
			t.Run(fmt.Sprint(s.ID, " seed ", seed+1), func(t *testing.T) {
				t.Parallel()
				x := s.Run(Params{N: 20, Seed: seed + 1, Strategy: sim.Ours(sim.Options{})}).Spare
				t.Logf("in the fault %.3f, of their own users %.3f; load over capacity %.2f in 5 s, %.2f in 1 s", x.InFault, x.Own, x.Mean, x.Peak)
				if x.Mean > .84 || x.Peak > .95 {
					t.Errorf("the load of a spare zone is %.2f of its capacity in 5 s, %.2f in 1 s", x.Mean, x.Peak)
				}
				if x.Own < .99 {
					t.Errorf("%.3f of their own users' calls succeed", x.Own)
				}
			})
		}
	}
}
