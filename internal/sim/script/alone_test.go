package script_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/ledger"
	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/sim"
	"github.com/murmuration-go/murmuration/internal/sim/script"
)

// still looks on and says nothing.
type still struct{}

func (still) After(*sim.World)                                        {}
func (still) Sent(*sim.World, *sim.Member, int, *sim.Attempt)         {}
func (still) Delivered(*sim.World, *sim.Member, []byte)               {}
func (still) Published(*sim.World, *sim.Member, int, int, sim.Advice) {}
func (still) Decided(*sim.World, *sim.Member, *node.Decision)         {}
func (still) Ticked(*sim.World, *sim.Member)                          {}
func (still) Told(*sim.World, *sim.Member)                            {}

// sent is an attempt that was sent; which were refused shows by their absence,
// since both worlds see the same arrivals.
type sent struct {
	at       time.Duration
	member   int
	n        int
	endpoint int
}

type attempts struct {
	still
	list []sent
	w    *sim.World
}

func (x *attempts) Sent(w *sim.World, m *sim.Member, _ int, a *sim.Attempt) {
	x.w = w
	x.list = append(x.list, sent{w.Now(), m.Index, a.N, a.Endpoint})
}

// TestHearingNobody is G2: members of a cluster who hear nobody decide as if
// there were no cluster, attempt for attempt. Bursts are set, for their defaults
// differ, and there is no stipend, which is a cluster's.
func TestHearingNobody(t *testing.T) {
	rules := ledger.Rules{Burst: 5, Stipend: -1}
	refused, retries := 0, 0
	for seed := uint64(1); seed <= 50; seed++ {
		s := deaf(script.Random(seed))
		var histories [2]attempts
		for i, alone := range []bool{false, true} {
			o := script.Options{Strategy: sim.Ours(sim.Options{Alone: alone, Rules: rules}), Watch: &histories[i]}
			if _, err := script.Run(s, o); err != nil {
				t.Fatal(err)
			}
		}
		a, b := &histories[0], &histories[1]
		for i := range min(len(a.list), len(b.list)) {
			if a.list[i] != b.list[i] {
				t.Fatalf("seed %d: the %d-th attempt is %+v with a cluster that is not heard, %+v without one:\n%v", seed, i, a.list[i], b.list[i], s)
			}
		}
		if len(a.list) != len(b.list) {
			t.Fatalf("seed %d: %d attempts with a cluster that is not heard, %d without one:\n%v", seed, len(a.list), len(b.list), s)
		}
		if len(a.list) == 0 {
			continue
		}
		for i, service := range a.w.Services() {
			with, without := service.Count, b.w.Services()[i].Count
			with.Lowest, without.Lowest = 0, 0 // written with the first advice, which there is none of alone
			if !reflect.DeepEqual(with, without) {
				t.Fatalf("seed %d: %+v with a cluster that is not heard, %+v without one", seed, with, without)
			}
			refused, retries = refused+with.Refused, retries+with.Retries
		}
	}
	t.Log(fmt.Sprint(refused, " first tries refused and ", retries, " retries made, by both alike"))
	if refused == 0 || retries == 0 {
		t.Error("nothing was refused, or nothing sent again: there was nothing to tell them apart")
	}
}

// deaf is a history in which no message arrives. Lies are left out: whoever lies
// draws lots for it, and would change what befalls the servers.
func deaf(s script.Script) script.Script {
	s = slices.DeleteFunc(slices.Clone(s), func(l script.Line) bool {
		return l.Name == "network" || l.Name == "lie" || l.Name == "poison" || l.Name == "garble" || l.Name == "mend"
	})
	return slices.Insert(s, 0, script.Line{Name: "network", Net: sim.Network{Loss: 1}})
}
