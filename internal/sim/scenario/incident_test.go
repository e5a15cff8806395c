package scenario

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/sim"
)

var (
	shortStall = Scenario{ID: "short", Title: "the server stalls for 6 s", Lasts: 6 * time.Second, fault: func(r *run) {
		r.server().Stall()
		r.at(6*time.Second, func() { r.server().Resume(r.World) })
	}}
	longStall = Scenario{ID: "stall", Title: "the server stalls for 10 s", Lasts: 10 * time.Second, fault: stall}
	half      = Scenario{ID: "half", Title: "capacity halved for 30 s", Lasts: 30 * time.Second, fault: halve}
	rush      = Scenario{ID: "surge", Title: "demand surges for 60 s", Lasts: time.Minute, fault: surge}
)

// incidents are scenarios with a bound on what the fleet makes of them, whatever
// the seed. The bounds leave room for chance; the log tells the figures.
var incidents = []struct {
	name     string
	members  int
	capacity float64
	scenario Scenario
	goodput  float64 // at least, from the fault to 60 s after it
	recovery float64 // seconds, at most
	peak     float64 // load over capacity after the trip, at most; 0 unchecked
}{
	{"stall, 12 members", 12, 1000, longStall, .72, 13, 1},
	{"stall, 100 members", 100, 1000, longStall, .72, 13, 1},
	{"short stall at a low rate", 12, 100, shortStall, .75, 13, 1.2},
	{"half capacity, 12 members", 12, 1000, half, .76, 9, 0},
	{"half capacity, 100 members", 100, 1000, half, .76, 9, 0},
	{"surge, 12 members", 12, 1000, rush, .68, 7, 0},
	{"surge, 100 members", 100, 1000, rush, .68, 7, 0},
}

// lookout counts retries that are sent by members whose advice dims.
type lookout struct{ retriesDimmed int }

func (l *lookout) Sent(_ *sim.World, m *sim.Member, service int, a *sim.Attempt) {
	if a.N > 1 && m.Advice(service, a.Endpoint).Phi < coord.PhiFull {
		l.retriesDimmed++
	}
}

func (*lookout) After(*sim.World)                                        {}
func (*lookout) Delivered(*sim.World, *sim.Member, []byte)               {}
func (*lookout) Published(*sim.World, *sim.Member, int, int, sim.Advice) {}
func (*lookout) Decided(*sim.World, *sim.Member, *node.Decision)         {}
func (*lookout) Ticked(*sim.World, *sim.Member)                          {}
func (*lookout) Told(*sim.World, *sim.Member)                            {}

func TestIncidents(t *testing.T) {
	t.Parallel()
	for _, c := range incidents {
		t.Run(c.name, func(t *testing.T) {
			if brief() && c.members > 12 {
				t.Skip("takes seconds")
			}
			t.Parallel()
			seeds := uint64(3)
			if brief() {
				seeds = 1
			}
			for seed := range seeds {
				l := &lookout{}
				r := c.scenario.Run(Params{N: c.members, Capacity: c.capacity, Seed: seed, Strategy: sim.Ours(sim.Options{}), Watch: l})
				if r.Before > 0 {
					t.Errorf("seed %d: dimmed while healthy", seed)
				}
				t.Logf("seed %d: goodput %.3f, recovered in %s, peak %.2f, amplification %.2f", seed, r.Goodput, seconds(r.Recovery), r.Peak, r.Amplification)
				if r.Goodput < c.goodput || r.Recovery == nil || *r.Recovery > c.recovery || r.Amplification > 1.05 || l.retriesDimmed > 0 || c.peak > 0 && r.Peak > c.peak {
					t.Errorf("seed %d: out of bounds (%d retries while dimmed)", seed, l.retriesDimmed)
				}
			}
		})
	}
}

// TestIncidentsAreReproducible: the same seed gives the same result and the same
// trace, with any faults on top; another seed another.
func TestIncidentsAreReproducible(t *testing.T) {
	t.Parallel()
	history := func(seed uint64) string {
		var b bytes.Buffer
		r := longStall.Run(Params{N: 12, Seed: seed, Capacity: 500, Strategy: sim.Ours(sim.Options{}), Extras: Extras[:10], Trace: &b})
		if err := json.NewEncoder(&b).Encode(r); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	a := history(7)
	if a != history(7) {
		t.Error("two runs of one seed differ")
	}
	if a == history(8) {
		t.Error("two seeds have the same history")
	}
}
