package world

import (
	"math"
	"math/rand/v2"
	"time"
)

// Plan is one run of a scenario: sizes, times and traffic, the same for all
// strategies.
type Plan struct {
	Scenario
	Members  int
	Capacity float64       // requests a second, of all zones together
	Load     float64       // first tries, as a share of the capacity; with zones it is that of the scenario
	Onset    time.Duration // how long all is well before the fault
	Seed     uint64
}

// The zones' shares: capacities of 600 and 400 of 1,000, demands of 480 and 200.
var zoneCapacity, zoneDemand = [2]float64{.6, .4}, [2]float64{.48, .2}

// Zones is how many zones there are.
func (p *Plan) Zones() int {
	if p.Zoned {
		return 2
	}
	return 1
}

// CapacityOf is what a zone can take when it is well, in requests a second.
func (p *Plan) CapacityOf(zone int) float64 {
	if p.Zoned {
		return p.Capacity * zoneCapacity[zone]
	}
	return p.Capacity
}

// CapacityAt is what it can take at t, from the start of the run.
func (p *Plan) CapacityAt(zone int, t time.Duration) float64 {
	s := p.At(zone, t-p.Onset)
	if s.Down() {
		return 0
	}
	return p.CapacityOf(zone) * s.Share
}

// Home is where a member stands: members are dealt out to zones by demand.
func (p *Plan) Home(member int) int {
	if !p.Zoned {
		return 0
	}
	if member < p.inA() {
		return 0
	}
	return 1
}

func (p *Plan) inA() int {
	share := zoneDemand[0] / (zoneDemand[0] + zoneDemand[1])
	return min(max(int(math.Round(share*float64(p.Members))), 1), p.Members-1)
}

// End is when the fault ends.
func (p *Plan) End() time.Duration { return p.Onset + p.Fault }

// Traffic is when the last calls are made.
func (p *Plan) Traffic() time.Duration { return p.End() + p.After }

// Demand is how many first tries a second a member's users want at t.
func (p *Plan) Demand(member int, t time.Duration) float64 {
	if p.Zoned {
		n := [2]int{p.inA(), p.Members - p.inA()}
		home := p.Home(member)
		return p.Capacity * zoneDemand[home] / float64(n[home])
	}
	load := p.Load
	if p.Surge > 0 && t >= p.Onset && t < p.End() {
		load = p.Surge
	}
	return p.Capacity * load / float64(p.Members)
}

// Arrivals draws when one member's users call: by chance, whether or not earlier
// calls have ended. A surge is drawn by thinning, so that the traffic before it is
// that of a Poisson process too.
func (p *Plan) Arrivals(member int) []time.Duration {
	rng := rand.New(rand.NewPCG(p.Seed, uint64(member)))
	most := max(p.Demand(member, 0), p.Demand(member, p.Onset))
	var due []time.Duration
	for t := 0.0; ; {
		t += rng.ExpFloat64() / most
		d := time.Duration(t * float64(time.Second))
		if d >= p.Traffic() {
			return due
		}
		if rng.Float64()*most < p.Demand(member, d) {
			due = append(due, d)
		}
	}
}
