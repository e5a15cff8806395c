package node

import (
	"slices"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/plan"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// The plan for diverting is a service's, not an endpoint's: its stewards see all
// zones. What it comes to is told endpoint by endpoint, with the verdicts. It is
// told at once where it falls by a tenth or rises by a fifth.
const (
	shareFalls = .9
	shareRises = 1.2
	shareStep  = .01

	// A steward that is new to its office takes over what the others remember.
	planAdopts  = 10 * time.Second
	planRecalls = 5 * time.Minute
)

// planner is the state of a service's plan at one of its stewards.
type planner struct {
	plan plan.Plan
	born time.Duration
}

// divert lets the plan take its step, and puts what it comes to into the rows.
func (n *Node) divert(now time.Duration, s *service) {
	if len(s.dutyOrder) < 2 { // there is nowhere else to turn
		s.planner = nil
		return
	}
	p := s.planner
	if p == nil {
		p = &planner{born: now}
		s.planner = p
	}
	t := plan.Tick{Now: now, Missing: n.roster.Lacking()}
	for _, d := range s.dutyOrder {
		x := d.law.Traffic()
		e := plan.EndpointTick{
			Name: d.endpoint, Capacity: x.Capacity, Health: healthOf(d.row.State),
			Attempts: x.Attempts, Foreign: x.Foreign, OK: x.OK, Strained: x.Strained,
		}
		for _, h := range x.Home {
			e.Home = append(e.Home, plan.HomeTick(h))
		}
		t.Endpoints = append(t.Endpoints, e)
	}
	p.plan.Step(t)
	if now-p.born < planAdopts {
		s.adoptPlan(now)
	}
	for _, d := range s.dutyOrder {
		good, zones := p.plan.Shares(d.endpoint)
		if sharesNews(d.told, zones) {
			d.told, d.changed = zones, true
		}
		d.row.Good, d.row.Zones = good, zones
	}
}

func healthOf(s wire.State) plan.Health {
	switch s {
	case wire.Closed:
		return plan.Well
	case wire.NotLoad:
		return plan.Amiss
	case wire.Dim:
	}
	return plan.Tripped
}

// sharesNews reports whether what was told of an endpoint's shares is to be told
// anew at once.
func sharesNews(told, now []wire.ZoneShare) bool {
	for _, z := range now {
		if was := sigmaOf(told, z.Name); z.Sigma.Float() > shareRises*was+shareStep {
			return true
		}
	}
	for _, z := range told { // also those that have come to nothing
		if sigmaOf(now, z.Name) < shareFalls*z.Sigma.Float() {
			return true
		}
	}
	return false
}

func sigmaOf(zones []wire.ZoneShare, name string) float64 {
	if at := slices.IndexFunc(zones, func(z wire.ZoneShare) bool { return z.Name == name }); at >= 0 {
		return zones[at].Sigma.Float()
	}
	return 0
}

// remembered is what stewards have last said of an endpoint's part of the plan. It
// outlasts them: where a partition leaves none of them on a side, those who come
// after would think that what they hear of is all there is.
type remembered struct {
	good  float64
	zones []wire.ZoneShare
	at    time.Duration
}

// remember keeps what two fresh verdicts agree on: of the loads that were borne the
// second largest, and so of what each zone wants.
func (v *view) remember(now time.Duration, fresh []held) {
	var good [2]float64
	var zones []wire.ZoneShare
	for i := range fresh {
		largest(&good, fresh[i].row.Good)
		for _, z := range fresh[i].row.Zones {
			if slices.ContainsFunc(zones, func(k wire.ZoneShare) bool { return k.Name == z.Name }) || len(zones) == wire.MaxZones {
				continue
			}
			var memory [2]float64
			for j := range fresh {
				for _, x := range fresh[j].row.Zones {
					if x.Name == z.Name {
						largest(&memory, x.Memory)
					}
				}
			}
			zones = append(zones, wire.ZoneShare{Name: z.Name, Memory: memory[1]})
		}
	}
	if good[1] > 0 || len(zones) > 0 { // or those who have just come to office know nothing yet
		v.known = remembered{good[1], zones, now}
	}
}

// largest keeps the two largest.
func largest(l *[2]float64, x float64) {
	switch {
	case x > l[0]:
		l[0], l[1] = x, l[0]
	case x > l[1]:
		l[1] = x
	}
}

// adoptPlan takes over what the stewards before have said, however long that is
// ago: what zones want fades slowly.
func (s *service) adoptPlan(now time.Duration) {
	for _, d := range s.dutyOrder {
		if v := s.views[d.endpoint]; v != nil && v.known.at > 0 && now-v.known.at < planRecalls {
			s.planner.plan.Adopt(d.endpoint, v.known.good, v.known.zones)
		}
	}
}

// sigma is the share of what fails at home that this member may send to the
// endpoint: the second largest of the fresh verdicts', 0 where it is at home.
// While something is amiss, what is old counts for less long.
func (v *view) sigma(now time.Duration, fresh []held, amiss bool) coord.Share {
	if !v.place.Away {
		return 0
	}
	var first, second coord.Share
	for i := range fresh {
		h := &fresh[i]
		if amiss && now-h.asOf >= validTrouble {
			continue
		}
		for _, z := range h.row.Zones {
			switch x := z.Sigma; {
			case z.Name != v.place.Zone:
			case x > first:
				first, second = x, first
			case x > second:
				second = x
			}
		}
	}
	return second
}

// amiss reports whether advice is in force on any endpoint that this member uses.
func (s *service) amiss() bool {
	for _, v := range s.views {
		if v.own && v.advice.InForce() {
			return true
		}
	}
	return false
}
