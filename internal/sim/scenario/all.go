package scenario

import (
	"slices"
	"strings"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
	"github.com/murmuration-go/murmuration/internal/wire"
)

const (
	shortQueue = 100 // a tenth of a second at the default capacity
	split      = .6  // share of the members on the larger side
)

// All are the scenarios, in the order of tables.
var All = slices.Concat(
	[]Scenario{
		{ID: "S1", Title: "the server stalls for 10 s, its backlog intact", Lasts: 10 * time.Second, fault: stall},
		{ID: "S2", Title: "hard down for 30 s: instant refusals", Lasts: 30 * time.Second, fault: refuse(30 * time.Second)},
		{ID: "S3", Title: "capacity halved for 30 s, deep queue", Lasts: 30 * time.Second, fault: halve},
		{ID: "S3r", Title: "capacity halved for 30 s, short queue that refuses", Lasts: 30 * time.Second, configure: short, fault: halve},
		{ID: "S4-30f", Title: "30 % errors for 60 s, fast", Lasts: time.Minute, fault: errors(.3, sim.Rejected, time.Minute)},
		{ID: "S4-60f", Title: "60 % errors for 60 s, fast", Lasts: time.Minute, fault: errors(.6, sim.Rejected, time.Minute)},
		{ID: "S4-30b", Title: "30 % of requests vanish for 60 s", Lasts: time.Minute, fault: errors(.3, sim.Swallowed, time.Minute)},
		{ID: "S4-60b", Title: "60 % of requests vanish for 60 s", Lasts: time.Minute, fault: errors(.6, sim.Swallowed, time.Minute)},
		{ID: "S5", Title: "flapping, 10 s refusing, 10 s up, for 2 min", Lasts: 2 * time.Minute, fault: flap},
		{ID: "S6", Title: "refuses for 10 s, comes back at 30 % of capacity, full after 60 s, deep queue", Lasts: 70 * time.Second, fault: cold},
		{ID: "S6r", Title: "the same with a short queue that refuses", Lasts: 70 * time.Second, configure: short, fault: cold},
		{ID: "S7", Title: "healthy with 5 % errors for 10 min", Lasts: 10 * time.Minute, fault: errors(.05, sim.Rejected, 10*time.Minute)},
		{ID: "S8", Title: "the gossip splits 60/40 during S1", Lasts: 10 * time.Second, fault: func(r *run) {
			stall(r)
			sixtyForty(r)
		}},
		{ID: "S9-closed", Title: "S1 while one steward says: closed to all", Lasts: 10 * time.Second, begin: lyingSteward(sim.ClosedToAll), fault: stall},
		{ID: "S9-well", Title: "S1 while one steward says: all is well", Lasts: 10 * time.Second, begin: lyingSteward(sim.AllIsWell), fault: stall},
	},
	lyingReporters(),
	[]Scenario{
		{ID: "S10", Title: "one member's own path is broken for 60 s", Lasts: time.Minute, fault: ownPath},
		{ID: "S11", Title: "demand surges to 1.5 x capacity for 60 s", Lasts: time.Minute, fault: surge},
		{ID: "S11r", Title: "the same with a short queue that refuses", Lasts: time.Minute, configure: short, fault: surge},
		{ID: "S12", Title: "10 % of the members see 50 % fast failures for 60 s", Lasts: time.Minute, fault: someSee},
		{ID: "S13", Title: "very low traffic, .1 a second and member: hard down for 5 min", Lasts: 5 * time.Minute, configure: lowTraffic, fault: refuse(5 * time.Minute)},
		{ID: "S34", Title: "30 % of requests vanish and capacity is halved, for 30 s", Lasts: 30 * time.Second, fault: func(r *run) {
			errors(.3, sim.Swallowed, 30*time.Second)(r)
			halve(r)
		}},
	},
)

func short(c *sim.Config, _ *Params) { c.Services[0].Servers[0].Queue = shortQueue }

func lowTraffic(c *sim.Config, p *Params) { c.Services[0].Load = .1 * float64(p.N) }

func stall(r *run) {
	r.server().Stall()
	r.down = func(int) bool { return true }
	r.at(10*time.Second, func() { r.server().Resume(r.World) })
}

func always(f sim.Fate) func(*sim.Member) sim.Fate {
	return func(*sim.Member) sim.Fate { return f }
}

func refuse(d time.Duration) func(*run) {
	return func(r *run) {
		r.down = func(int) bool { return true }
		r.server().Fate = always(sim.Rejected)
		r.at(d, func() { r.server().Fate = nil })
	}
}

func halve(r *run) {
	s := r.server()
	s.SetCapacity(r.World, s.Capacity/2)
	r.at(30*time.Second, func() { s.SetCapacity(r.World, s.Capacity) })
}

func errors(share float64, how sim.Fate, d time.Duration) func(*run) {
	return func(r *run) {
		rng := r.FaultRand()
		r.server().Fate = func(*sim.Member) sim.Fate {
			if rng.Float64() < share {
				return how
			}
			return sim.Queued
		}
		r.at(d, func() { r.server().Fate = nil })
	}
}

func flap(r *run) {
	r.down = func(s int) bool { return s/10%2 == 0 }
	for t := time.Duration(0); t < 2*time.Minute; t += 20 * time.Second {
		r.at(t, func() { r.server().Fate = always(sim.Rejected) })
		r.at(t+10*time.Second, func() { r.server().Fate = nil })
	}
}

func cold(r *run) {
	s := r.server()
	r.down = func(second int) bool { return second < 10 }
	s.Fate = always(sim.Rejected)
	const step = 250 * time.Millisecond
	for t := time.Duration(0); t <= time.Minute; t += step {
		r.at(10*time.Second+t, func() {
			s.Fate = nil
			s.SetCapacity(r.World, s.Capacity*(.3+.7*t.Minutes()))
		})
	}
}

func sixtyForty(r *run) {
	n := float64(r.params.N)
	r.Split(func(m *sim.Member) bool { return float64(m.Index) >= split*n }, false)
	r.at(40*time.Second, r.Heal)
}

func lyingSteward(lie func(*wire.VerdictRow)) func(*run) {
	return func(r *run) { r.Stewards(0)[0].LieInVerdicts(lie) }
}

func lyingReporters() (l []Scenario) {
	for _, lie := range sim.Lies() {
		id := strings.ReplaceAll(lie.Name, " ", "-")
		l = append(l, Scenario{
			ID: "S9r-" + id, Title: "S1 while one member lies: " + lie.Name, Lasts: 10 * time.Second,
			fault: stall,
			begin: func(r *run) { r.Members()[0].LieInReports(lie.Report) },
		}, Scenario{
			ID: "S9rc-" + id, Title: "S1 while a tenth of the members lie: " + lie.Name, Lasts: 10 * time.Second,
			fault: stall,
			begin: func(r *run) {
				for _, m := range r.Members()[:(r.params.N+9)/10] {
					m.LieInReports(lie.Report)
				}
			},
		})
	}
	return l
}

func ownPath(r *run) {
	mine := r.Members()[0]
	r.server().Fate = func(m *sim.Member) sim.Fate {
		if m == mine {
			return sim.Swallowed
		}
		return sim.Queued
	}
	r.at(time.Minute, func() { r.server().Fate = nil })
}

func surge(r *run) {
	load := r.Service(0).Load
	r.SetLoad(0, 1.5*r.params.Capacity)
	r.at(time.Minute, func() { r.SetLoad(0, load) })
}

func someSee(r *run) {
	rng := r.FaultRand()
	n := max(r.params.N/10, 1)
	r.server().Fate = func(m *sim.Member) sim.Fate {
		if m.Index < n && rng.Float64() < .5 {
			return sim.Rejected
		}
		return sim.Queued
	}
	r.at(time.Minute, func() { r.server().Fate = nil })
}
