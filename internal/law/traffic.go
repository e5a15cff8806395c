package law

import (
	"cmp"
	"slices"

	"github.com/murmuration-go/murmuration/internal/wire"
)

// Traffic is what the reports of one tick say of where attempts come from and go
// to, after the clamps. Counts are of the tick.
type Traffic struct {
	Attempts float64
	Foreign  float64 // of them those of members that are at home elsewhere
	OK       float64
	Strained float64 // of OK those that took longer than when all is well
	Capacity float64 // requests a second, as the median reporter has it; 0: nobody knows
	Home     []ZoneTraffic
}

// ZoneTraffic is what the members of one zone want of an endpoint that they are at
// home at.
type ZoneTraffic struct {
	Zone   string
	Demand float64 // first tries
	Need   float64 // of them those that failed or were dimmed
}

// Traffic is the last tick's; what it holds is replaced at the next.
func (s *Steward) Traffic() *Traffic { return &s.traffic }

// flow works out the tick's traffic. Reporters are clamped as elsewhere: attempts
// at clampAt of their own, demand and need at that of demand, successes by the
// scale of outcomes.
func (s *Steward) flow(demandMax float64) {
	t := &s.traffic
	*t = Traffic{Home: t.Home[:0]}
	sent, capacities := s.scratch[:0], []float64(nil)
	for _, r := range s.order {
		if r.sent > 0 {
			sent = append(sent, r.sent)
		}
	}
	sentMax := clampAt(sent)
	s.scratch = sent[:0]
	for _, r := range s.order {
		place := &r.row.Place
		n := min(r.sent, sentMax)
		t.Attempts += n
		t.OK += r.ok
		t.Strained += min(r.strained, r.ok)
		if place.Away {
			t.Foreign += n
		} else if r.demand > 0 || r.need > 0 {
			t.home(place.Zone, min(r.demand, demandMax), min(r.need, demandMax))
		}
		if place.Capacity > 0 {
			capacities = append(capacities, place.Capacity)
		}
	}
	if len(capacities) > 0 {
		t.Capacity = median(capacities)
	}
}

func (t *Traffic) home(zone string, demand, need float64) {
	at, ok := slices.BinarySearchFunc(t.Home, zone, func(z ZoneTraffic, name string) int { return cmp.Compare(z.Zone, name) })
	if !ok {
		if len(t.Home) >= wire.MaxZones {
			return
		}
		t.Home = slices.Insert(t.Home, at, ZoneTraffic{Zone: zone})
	}
	t.Home[at].Demand += demand
	t.Home[at].Need += need
}
