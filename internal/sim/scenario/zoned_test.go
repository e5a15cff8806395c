package scenario

import (
	"fmt"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// TestSpareZones (G7): what fails in zone A fills the room that other zones have and
// no more, whatever happens to the gossip meanwhile; and the other zones' own users
// notice nothing.
func TestSpareZones(t *testing.T) {
	seeds := uint64(2)
	if testing.Short() {
		seeds = 1
	}
	for _, tc := range []struct{ scenarios, faults string }{
		{"F1r,F1b,F7x,F7z,F3-20", ""},
		{"F1r", "crash-steward,churn,loss,split,silence,one-way,skew"},
	} {
		scenarios, err := Find(tc.scenarios)
		if err != nil {
			t.Fatal(err)
		}
		extras, err := FindExtras(tc.faults)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range scenarios {
			if len(extras) == 0 {
				spareZones(t, s, seeds, nil)
			}
			for _, x := range extras {
				spareZones(t, s, seeds, []Extra{x})
			}
		}
	}
}

func spareZones(t *testing.T, s Scenario, seeds uint64, extras []Extra) {
	t.Helper()
	name := s.ID
	for _, x := range extras {
		name += " with " + x.ID
	}
	for _, members := range []int{12, 50} {
		for seed := range seeds {
			t.Run(fmt.Sprintf("%s %d members seed %d", name, members, seed+1), func(t *testing.T) {
				t.Parallel()
				x := s.Run(Params{N: members, Seed: seed + 1, Strategy: sim.Ours(sim.Options{}), Extras: extras}).Spare
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

// siblings is a tier of three endpoints without zones, of which one refuses for 60 s.
func siblings(capacity, told float64) Scenario {
	return Scenario{
		ID: "siblings", Title: "one of three endpoints refuses for 60 s", Lasts: time.Minute, fault: refuse(time.Minute),
		configure: func(c *sim.Config, _ *Params) {
			s := sim.ServiceConfig{Load: 300, Even: true}
			for range 3 {
				s.Servers = append(s.Servers, sim.ServerConfig{Capacity: capacity, Told: told})
			}
			c.Services = []sim.ServiceConfig{s}
		},
	}
}

// TestSiblingDies: what goes to an endpoint that is down is taken by the others of
// its tier, as far as they have room. What is said of their load is that budgets
// still pay for some retries beside.
func TestSiblingDies(t *testing.T) {
	for _, tc := range []struct {
		capacity, told float64
		goodput        float64 // in the fault, at least
		load           float64 // of the others in 5 s, at most
	}{
		{400, 400, .985, .45}, // room for everything
		{400, 0, .985, .45},   // the same, but nobody knows
		{167, 167, .86, .92},  // .75 of it is 25 more than the 100 that each has of its own
	} {
		for _, members := range []int{3, 20, 200} {
			t.Run(fmt.Sprintf("%d members, capacity %v, told %v", members, tc.capacity, tc.told), func(t *testing.T) {
				t.Parallel()
				s := siblings(tc.capacity, tc.told)
				x := s.Run(Params{N: members, Seed: 1, Strategy: sim.Ours(sim.Options{})}).Spare
				t.Logf("%.3f of all calls succeed in the fault; the others' load in 5 s is at most %.2f", x.InFault, x.Mean)
				if x.InFault < tc.goodput || x.Mean > tc.load {
					t.Errorf("want %v at least, and a load of %v at most", tc.goodput, tc.load)
				}
			})
		}
	}
}
