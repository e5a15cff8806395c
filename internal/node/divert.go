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
	p := s.planner
	if p == nil && len(s.dutyOrder) < 2 { // there is nowhere else to turn
		return
	}
	if p == nil {
		p = &planner{born: now}
		s.planner = p
	}
	t := plan.Tick{Now: now, Missing: n.roster.Lacking()}
	for _, d := range s.dutyOrder {
		x := d.law.Traffic()
		e := plan.EndpointTick{
			Name: d.endpoint, Capacity: x.Capacity, Health: healthOf(d.law.Decision().State),
			Attempts: x.Attempts, Foreign: x.Foreign, OK: x.OK, Strained: x.Strained,
		}
		for _, z := range x.Zones {
			e.Zones = append(e.Zones, plan.ZoneTick{Zone: z.Zone, Home: z.Home, Demand: z.Demand, Need: z.Need})
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

// withoutSigma is what zones want, and nothing that they may divert.
func withoutSigma(zones []wire.ZoneShare) (rest []wire.ZoneShare) {
	for _, z := range zones {
		if z.Memory > 0 {
			rest = append(rest, wire.ZoneShare{Name: z.Name, Memory: z.Memory})
		}
	}
	return rest
}

// mostShares raises what was told to what is told now.
func mostShares(told, now []wire.ZoneShare) []wire.ZoneShare {
	for _, z := range now {
		if was := sigmaOf(told, z.Name); z.Sigma.Float() > was {
			told = slices.DeleteFunc(slices.Clone(told), func(t wire.ZoneShare) bool { return t.Name == z.Name })
			told = append(told, z)
		}
	}
	return told
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
	at    time.Duration // when that was said
	zones []zoneMemory
}

type zoneMemory struct {
	name   string
	wants  float64
	saidAt time.Duration
}

// remember keeps what two fresh verdicts agree on: of the loads that were borne the
// second largest, and so of what each zone wants, which fades as it does in the plan:
// of two who agree one may have just come to office, and know little yet.
func (v *view) remember(now time.Duration) {
	var good [2]float64
	k := &v.known
	k.zones = slices.DeleteFunc(k.zones, func(z zoneMemory) bool { return now-z.saidAt >= planRecalls })
	for i := range v.held {
		h := &v.held[i]
		if !h.fresh(now) {
			continue
		}
		largest(&good, h.row.Good)
		for _, z := range h.row.Zones {
			if wants := v.agreed(now, z.Name); wants > 0 {
				k.zone(z.Name, wants, now)
			}
		}
	}
	if good[1] > 0 {
		k.good, k.at = good[1], now
	}
}

func (k *remembered) zone(name string, wants float64, now time.Duration) {
	for i := range k.zones {
		if z := &k.zones[i]; z.name == name {
			z.wants = max(wants, plan.Faded(z.wants, now-z.saidAt))
			z.saidAt = now
			return
		}
	}
	if len(k.zones) < wire.MaxZones {
		k.zones = append(k.zones, zoneMemory{name, wants, now})
	}
}

// agreed is what a zone wants, the second largest of the fresh verdicts.
func (v *view) agreed(now time.Duration, zone string) float64 {
	var wants [2]float64
	for i := range v.held {
		if h := &v.held[i]; h.fresh(now) {
			for _, z := range h.row.Zones {
				if z.Name == zone {
					largest(&wants, z.Memory)
				}
			}
		}
	}
	return wants[1]
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
		v := s.views[d.endpoint]
		if v == nil {
			continue
		}
		if k := &v.known; k.good > 0 && now-k.at < planRecalls {
			s.planner.plan.AdoptGood(d.endpoint, k.good)
		}
		for _, z := range v.known.zones {
			if now-z.saidAt < planRecalls {
				s.planner.plan.AdoptMemory(d.endpoint, z.name, z.wants)
			}
		}
	}
}

// sigma is the share of what fails at home that this member may send to the
// endpoint: the second largest of the fresh verdicts'. Where it is at home that is
// of what fails at others of its home. While something is amiss, what is old counts
// for less long.
func (v *view) sigma(now time.Duration, fresh []held, amiss bool) coord.Share {
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

// loneSigma is the share for a member that hears its stewards no more: that of the plan,
// by what is remembered of it, undiminished. If all members were cut off from all others,
// they would divert together what there was room for.
//
// With a zone named it is that zone's alone that are wanted elsewhere.
func (s *service) loneSigma(endpoint string, v *view, zone string) coord.Share {
	own, elsewhere := 0., 0.
	for _, z := range v.known.zones {
		if z.name == v.place.Zone { // siblings are a matter of retries
			return 0
		}
		own += z.wants
	}
	for name, other := range s.views {
		if name == endpoint || !other.own {
			continue
		}
		for _, z := range other.known.zones {
			if zone != "" && z.name != zone {
				continue
			}
			if !slices.ContainsFunc(v.known.zones, func(at zoneMemory) bool { return at.name == z.name }) {
				elsewhere += z.wants
			}
		}
	}
	return coord.ShareOf(plan.Lone(v.place.Capacity, v.known.good, own, elsewhere))
}

// ease lets the share grow no faster than the plan does, whoever are the stewards: when
// a split heals, these are others from one moment to the next, who have seen another
// part of the whole.
func (s *service) ease(now time.Duration, endpoint string, v *view, want coord.Share) coord.Share {
	dt := now - v.shareAt
	if v.shareAt == 0 {
		dt = 0
	}
	v.shareAt = now
	if most := v.share + plan.Rise*dt.Seconds(); v.place.Away && want.Float() > most {
		if most = max(most, s.loneSigma(endpoint, v, v.place.Zone).Float()); most < want.Float() {
			v.share = most
			return coord.ShareOf(most)
		}
	}
	v.share = want.Float()
	return want
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
