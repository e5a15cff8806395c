package scenario

import (
	"fmt"
	"slices"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// The zones of the scenarios about failover: what their endpoints can take and
// what their members want.
var (
	zoneCapacity = []float64{600, 400, 400}
	zoneLoad     = []float64{480, 200, 200}
)

// Zoned are the scenarios about failover, in the order of tables. Zone A has 600
// requests a second and wants 480, zone B has 400 and wants 200; names with a 3 at
// the end have a third zone like B. Members know the capacities.
var Zoned = slices.Concat(zoned(2), zoned(3))

func zoned(zones int) []Scenario {
	const minute = time.Minute
	suffix := ""
	if zones > 2 {
		suffix = fmt.Sprint("-", zones)
	}
	place := func(c *sim.Config, _ *Params) {
		c.Zones, c.ZoneShares = zones, nil
		s := sim.ServiceConfig{ZoneLoads: slices.Clone(zoneLoad[:zones])}
		for z := range zones {
			s.Load += zoneLoad[z]
			s.Servers = append(s.Servers, sim.ServerConfig{Zone: z, Capacity: zoneCapacity[z], Told: zoneCapacity[z]})
		}
		for z := range zones {
			c.ZoneShares = append(c.ZoneShares, zoneLoad[z]/s.Load)
		}
		c.Services = []sim.ServiceConfig{s}
	}
	list := []Scenario{
		{ID: "F0", Title: "5 % errors everywhere for 2 min", Lasts: 2 * minute, fault: everywhere(.05, sim.Rejected, 2*minute)},
		{ID: "F1r", Title: "zone A refuses for 60 s", Lasts: minute, fault: refuse(minute)},
		{ID: "F1b", Title: "zone A is a black hole for 60 s", Lasts: minute, fault: errors(1, sim.Swallowed, minute)},
		{ID: "F2-30f", Title: "zone A: 30 % errors for 60 s, fast", Lasts: minute, fault: errors(.3, sim.Rejected, minute)},
		{ID: "F2-50f", Title: "zone A: 50 % errors for 60 s, fast", Lasts: minute, fault: errors(.5, sim.Rejected, minute)},
		{ID: "F2-70f", Title: "zone A: 70 % errors for 60 s, fast", Lasts: minute, fault: errors(.7, sim.Rejected, minute)},
		{ID: "F2-30t", Title: "zone A: 30 % of requests vanish for 60 s", Lasts: minute, fault: errors(.3, sim.Swallowed, minute)},
		{ID: "F2-50t", Title: "zone A: 50 % of requests vanish for 60 s", Lasts: minute, fault: errors(.5, sim.Swallowed, minute)},
		{ID: "F2-70t", Title: "zone A: 70 % of requests vanish for 60 s", Lasts: minute, fault: errors(.7, sim.Swallowed, minute)},
	}
	for _, period := range []time.Duration{5 * time.Second, 20 * time.Second, minute, 2 * minute} {
		list = append(list, Scenario{
			ID: fmt.Sprintf("F3-%d", period/time.Second), Title: fmt.Sprintf("zone A flaps for 10 min, refusing for half of every %v", period),
			Lasts: 10 * minute, fault: flapping(period, 10*minute),
		})
	}
	list = append(list,
		Scenario{ID: "F4", Title: "zone A is a black hole for 60 s and comes back at 30 %, full after another 60 s", Lasts: minute, fault: coldAfter(minute)},
		Scenario{ID: "F5f", Title: "30 % errors in all zones for 60 s, fast", Lasts: minute, fault: everywhere(.3, sim.Rejected, minute)},
		Scenario{ID: "F5s", Title: "all zones have 40 % of their capacity for 60 s", Lasts: minute, fault: allAt(.4, minute)},
		Scenario{ID: "F6", Title: "zone A refuses for 60 s, and B refuses for 20 s of it", Lasts: minute, fault: func(r *run) {
			refuse(minute)(r)
			r.at(minute/2, func() { r.Service(0).Servers[1].Fate = always(sim.Rejected) })
			r.at(minute/2+20*time.Second, func() { r.Service(0).Servers[1].Fate = nil })
		}},
		Scenario{ID: "F6b", Title: "zone A refuses for 60 s, and B is a black hole for 20 s of it", Lasts: minute, fault: func(r *run) {
			refuse(minute)(r)
			r.at(minute/2, func() { r.Service(0).Servers[1].Fate = always(sim.Swallowed) })
			r.at(minute/2+20*time.Second, func() { r.Service(0).Servers[1].Fate = nil })
		}},
		Scenario{ID: "F7z", Title: "F1r while the gossip is split by zones", Lasts: minute, fault: func(r *run) {
			refuse(minute)(r)
			r.Split(func(m *sim.Member) bool { return m.Zone > 0 }, false)
			r.at(minute, r.Heal)
		}},
		Scenario{ID: "F7x", Title: "F1r while the gossip is split 60/40 at random", Lasts: minute, fault: func(r *run) {
			refuse(minute)(r)
			rng := r.FaultRand()
			side := map[*sim.Member]bool{}
			for _, m := range r.Members() {
				side[m] = rng.Float64() < 1-split
			}
			r.Split(func(m *sim.Member) bool { return side[m] }, false)
			r.at(minute, r.Heal)
		}},
		Scenario{ID: "F8", Title: "F1r while B has 60 % of the capacity that it is said to have", Lasts: minute,
			begin: func(r *run) { b := r.Service(0).Servers[1]; b.SetCapacity(r.World, .6*b.Capacity) }, fault: refuse(minute)},
		Scenario{ID: "F9", Title: "F1r while B's own users want 80 % more", Lasts: minute, fault: func(r *run) {
			refuse(minute)(r)
			r.SetZoneLoad(0, 1, 1.8*zoneLoad[1])
			r.at(minute, func() { r.SetZoneLoad(0, 1, zoneLoad[1]) })
		}},
		Scenario{ID: "F10", Title: "zone A: 30 % errors for 30 s, then all, fast", Lasts: minute, fault: func(r *run) {
			errors(.3, sim.Rejected, 30*time.Second)(r)
			r.at(30*time.Second+time.Millisecond, func() { r.server().Fate = always(sim.Rejected) })
			r.at(minute, func() { r.server().Fate = nil })
		}},
	)
	for i := range list {
		list[i].ID += suffix
		list[i].configure = place
	}
	return list
}

func everywhere(share float64, how sim.Fate, d time.Duration) func(*run) {
	return func(r *run) {
		rng := r.FaultRand()
		for _, s := range r.Service(0).Servers {
			s.Fate = func(*sim.Member) sim.Fate {
				if rng.Float64() < share {
					return how
				}
				return sim.Queued
			}
			r.at(d, func() { s.Fate = nil })
		}
	}
}

func allAt(share float64, d time.Duration) func(*run) {
	return func(r *run) {
		for _, s := range r.Service(0).Servers {
			s.SetCapacity(r.World, share*s.Capacity)
			r.at(d, func() { s.SetCapacity(r.World, s.Capacity) })
		}
	}
}

func flapping(period, d time.Duration) func(*run) {
	return func(r *run) {
		for t := time.Duration(0); t < d; t += period {
			r.at(t, func() { r.server().Fate = always(sim.Rejected) })
			r.at(t+period/2, func() { r.server().Fate = nil })
		}
	}
}

func coldAfter(d time.Duration) func(*run) {
	return func(r *run) {
		errors(1, sim.Swallowed, d)(r)
		s := r.server()
		const step = 250 * time.Millisecond
		for t := time.Duration(0); t <= time.Minute; t += step {
			r.at(d+t, func() { s.SetCapacity(r.World, s.Capacity*(.3+.7*t.Minutes())) })
		}
	}
}

// spare measures the zones that the fault does not begin in.
func (r *run) spare(end int) *Spare {
	s := r.Service(0)
	x := &Spare{InFault: s.Count.Goodput(r.onset, end), Own: 1}
	var diverted []float64
	for _, server := range s.Servers[1:] {
		if z := server.Zone; z < len(s.Count.Zones) {
			x.Own = min(x.Own, s.Count.Zones[z].Goodput(r.onset, end+10))
		}
		for i := r.onset; i < end+60; i++ {
			if c := server.CapacityNow(); c > 0 {
				x.Peak = max(x.Peak, float64(server.Arrived(i, i+1))/c)
				x.Mean = max(x.Mean, float64(server.Arrived(i, i+5))/5/c)
			}
		}
		for i := r.onset; i < end; i++ {
			n := float64(server.Arrived(i, i+5)) / 5
			if k := i - r.onset; k < len(diverted) {
				diverted[k] += n
			} else {
				diverted = append(diverted, n)
			}
		}
	}
	before := 0.
	for _, server := range s.Servers[1:] {
		before += float64(server.Arrived(r.onset-10, r.onset)) / 10
	}
	if most := slices.Max(diverted) - before; most > .05*before {
		for i, n := range diverted {
			if n-before >= .9*most {
				x.Shifted = pointer(float64(i))
				break
			}
		}
	}
	return x
}

// meanSpare averages what became of the spare zones; of peaks the most counts.
func meanSpare(l []Result) *Spare {
	if l[0].Spare == nil {
		return nil
	}
	n := float64(len(l))
	m, shifted, never := &Spare{}, 0., false
	for _, r := range l {
		x := r.Spare
		m.InFault += x.InFault / n
		m.Own += x.Own / n
		m.Peak, m.Mean = max(m.Peak, x.Peak), max(m.Mean, x.Mean)
		if x.Shifted == nil {
			never = true
			continue
		}
		shifted += *x.Shifted / n
	}
	if !never {
		m.Shifted = pointer(shifted)
	}
	return m
}
