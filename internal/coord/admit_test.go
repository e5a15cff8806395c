package coord

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestAdmitIsFair: over many tries the share that goes is phi, whatever phi is,
// and also for every second or third try alone.
func TestAdmitIsFair(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, f := range []float64{.003, .01, .1, .25, .3333, .4, .5, .7, .99} {
		phi := PhiOf(f)
		e := NewService("svc").Endpoint("a")
		const tries = 600_000
		var went [6]int
		total := 0
		for i := range tries {
			if e.Admit(phi, rng.Uint32()) {
				went[i%6]++
				total++
			}
		}
		check := func(name string, got, of int) {
			want := float64(of) * f
			if off := math.Abs(float64(got) - want); off > 5*math.Sqrt(want)+2 {
				t.Errorf("phi %v, %s: %d of %d went, want about %.0f", f, name, got, of, want)
			}
		}
		check("all", total, tries)
		for k, n := range went {
			check("every sixth, from "+string(rune('0'+k)), n, tries/6)
		}
	}
}

// TestAdmitIsEven: probes neither bunch up nor fail to come.
func TestAdmitIsEven(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	e := NewService("svc").Endpoint("a")
	phi := PhiOf(.02)
	gap, longest := 0, 0
	for range 200_000 {
		gap++
		if e.Admit(phi, rng.Uint32()) {
			longest, gap = max(longest, gap), 0
		}
	}
	if longest > 100 { // 50 on average; a coin's longest of 4,000 gaps is about 400
		t.Errorf("%d tries without one that goes", longest)
	}
}

func TestAdmitAtTheEnds(t *testing.T) {
	for _, e := range []*Endpoint{nil, NewService("svc").Endpoint("a")} {
		for r := range uint32(200_000) {
			if !e.Admit(PhiFull, r) {
				t.Fatalf("full phi refuses %d", r)
			}
			if e.Admit(0, r) {
				t.Fatalf("phi 0 lets %d go", r)
			}
		}
	}
}
