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
	Foreign  float64 // of them those that are no first tries of members at home here
	OK       float64
	Strained float64       // of OK those that took longer than when all is well
	Capacity float64       // requests a second, as the median reporter has it; 0: nobody knows
	Zones    []ZoneTraffic // of the reporters, by name
}

// ZoneTraffic is how the members of one zone stand to an endpoint, and what those
// who are at home at it want of it.
type ZoneTraffic struct {
	Zone   string
	Home   bool    // the zone is at home here
	Demand float64 // first tries
	Need   float64 // of them those that failed or were dimmed

	at, away int // reporters who say so
}

// Traffic is the last tick's; what it holds is replaced at the next.
func (s *Steward) Traffic() *Traffic { return &s.traffic }

// flow works out the tick's traffic. Reporters are clamped as elsewhere: attempts
// at clampAt of those of members who are at home here, or are not; demand and need at
// that of demand, successes by the scale of outcomes. A zone is at home here if half of its reporters say so, or two
// of them: where it is, nothing is diverted, which one voice is not to bring about.
func (s *Steward) flow(demandMax float64) {
	t := &s.traffic
	*t = Traffic{Zones: t.Zones[:0]}
	capacities := []float64(nil)
	homeMax, awayMax := s.sentMax(false), s.sentMax(true)
	for _, r := range s.order {
		place := &r.row.Place
		n := min(r.sent, homeMax)
		if place.Away {
			n = min(r.sent, awayMax)
		}
		t.Attempts += n
		t.OK += r.ok
		t.Strained += min(r.strained, r.ok)
		z := t.zone(place.Zone)
		if place.Away {
			t.Foreign += n
			z.away++
		} else {
			z.at++
			first := min(r.demand, demandMax)
			t.Foreign += max(0, n-first)
			z.Demand += first
			z.Need += min(r.need, demandMax)
		}
		if place.Capacity > 0 {
			capacities = append(capacities, place.Capacity)
		}
	}
	if len(capacities) > 0 {
		t.Capacity = median(capacities)
	}
	for i := range t.Zones {
		z := &t.Zones[i]
		if z.Home = z.at > 1 || z.at > 0 && z.at >= z.away; !z.Home {
			z.Demand, z.Need = 0, 0
		}
	}
}

// sentMax is the clamp of what members sent who are at home here, or are not.
func (s *Steward) sentMax(away bool) float64 {
	sent := s.scratch[:0]
	for _, r := range s.order {
		if r.sent > 0 && r.row.Place.Away == away {
			sent = append(sent, r.sent)
		}
	}
	s.scratch = sent[:0]
	return clampAt(sent)
}

// zone returns a zone's part, making it if there is room; if there is none what is
// written to it is lost.
func (t *Traffic) zone(name string) *ZoneTraffic {
	at, ok := slices.BinarySearchFunc(t.Zones, name, func(z ZoneTraffic, name string) int { return cmp.Compare(z.Zone, name) })
	if !ok {
		if len(t.Zones) >= wire.MaxZones {
			return &ZoneTraffic{}
		}
		t.Zones = slices.Insert(t.Zones, at, ZoneTraffic{Zone: name})
	}
	return &t.Zones[at]
}
