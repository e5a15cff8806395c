package script

import (
	"math"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// effect is something that befalls the server for a while. Several may last at
// once: any stall stalls, the last load and the last capacity hold, factors
// multiply, and a request fails if any fate of the present ones makes it.
type effect struct {
	load     float64
	loads    bool
	capacity float64 // 0: as it is
	factor   float64 // of the capacity; 0: 1
	stalls   bool

	fate  sim.Fate
	share float64     // of the requests that meet it
	on    *sim.Member // whose requests; nil: everybody's
}

// begin lets an effect begin, and end after the line's time, if it has one.
func (r *run) begin(l *Line, e *effect) {
	r.w.Tracef("%v", l)
	if !e.loads && e.capacity == 0 {
		r.watch.Unwell()
	}
	r.effects = append(r.effects, e)
	r.settle()
	if l.For == 0 {
		return
	}
	r.w.After(l.For, func() {
		r.w.Tracef("%s ends", l.Name)
		for i, x := range r.effects {
			if x == e {
				r.effects = append(r.effects[:i:i], r.effects[i+1:]...)
				break
			}
		}
		r.settle()
	})
}

func (r *run) fails(l *Line, how sim.Fate, share float64) {
	e := &effect{fate: how, share: share}
	if l.Who != (Who{}) {
		if e.on = r.who(l.Who); e.on == nil {
			return
		}
	}
	r.begin(l, e)
}

func (r *run) cold(l *Line) {
	const least = .3
	e := &effect{factor: least}
	r.begin(l, e)
	for t := step; t < l.For; t += step {
		r.w.After(t, func() {
			e.factor = least + (1-least)*float64(t)/float64(l.For)
			r.settle()
		})
	}
}

// settle brings the server into the state that the present effects make.
func (r *run) settle() {
	s := r.w.Service(0).Servers[0]
	load, capacity, factor, stalled, fails := r.service.Load, s.Capacity, 1., false, false
	for _, e := range r.effects {
		if e.loads {
			load = e.load
		}
		if e.capacity > 0 {
			capacity = e.capacity
		}
		if e.factor > 0 {
			factor *= e.factor
		}
		stalled = stalled || e.stalls
		fails = fails || e.fate != sim.Queued
	}
	if load != r.w.Service(0).Load {
		r.w.SetLoad(0, load)
		r.disturb() // the stewards have yet to find out
	}
	if c := capacity * factor; c != s.CapacityNow() {
		s.SetCapacity(r.w, c)
	}
	if stalled != r.watch.stalled {
		if r.watch.stalled = stalled; stalled {
			s.Stall()
		} else {
			s.Resume(r.w)
		}
	}
	if s.Fate = nil; fails {
		s.Fate = r.fate
	}
	if r.strained(load, capacity*factor) {
		r.watch.Unwell()
	}
	r.watch.settle(r)
}

// fate is what becomes of a request.
func (r *run) fate(m *sim.Member) sim.Fate {
	for _, e := range r.effects {
		if e.fate != sim.Queued && (e.on == nil || e.on == m) && (e.share >= 1 || r.w.FaultRand().Float64() < e.share) {
			return e.fate
		}
	}
	return sim.Queued
}

// strained tells whether the server has more to do than it can, or so much that
// some requests will be late by mere chance: the chance that a request is still
// there after t falls about as exp(-t (capacity - load) / workers). With several
// servers, one in each zone, all members may come to be in one of them.
func (r *run) strained(load, capacity float64) bool {
	n := &r.server
	spare := (capacity - load) / float64(max(n.Workers, 1)) * r.w.Timeout().Seconds()
	queued := float64(n.Queue) * math.Log(capacity/max(load, 1e-9)) // a short queue refuses by chance, too
	return load >= .9*capacity || spare < 20 || n.Queue > 0 && queued < 20 || n.SlowWorkers > 0
}

// who is the member that is meant, or nil if there is none.
func (r *run) who(who Who) *sim.Member {
	pick := func(l []*sim.Member) *sim.Member {
		if who.I < len(l) {
			return l[who.I]
		}
		return nil
	}
	stewards := r.w.Stewards(0)
	switch who.Kind {
	case "member":
		return pick(r.w.Live())
	case "steward":
		return pick(stewards)
	case "other":
	next:
		for _, m := range r.w.Live() {
			for _, s := range stewards {
				if s == m {
					continue next
				}
			}
			return m
		}
	}
	return nil
}

// network takes note of a network that flips bits. It makes liars of all, of whom
// nothing is promised: neither that a healthy endpoint looks so, nor, if there is
// a liar besides, that a dead one does.
func (r *run) network(n sim.Network) {
	if n.Garble > 0 {
		r.garbled = true
		r.watch.Unwell()
	}
}

// each does something to whom a line names, which disturbs the cluster.
func (r *run) each(l *Line, f func(*sim.Member)) {
	r.w.Tracef("%v", l)
	if l.Who.Kind == "all" {
		for _, m := range r.w.Members() {
			f(m)
		}
		return
	}
	if m := r.who(l.Who); m != nil {
		r.disturb()
		f(m)
	}
}

// end ends a member, unless it is the last.
func (r *run) end(l *Line, f func(*sim.Member)) {
	if len(r.w.Live()) > 1 {
		r.each(l, f)
	}
}

// forgotten is how long it takes until a lie has lost its effect: verdicts count
// for 15 seconds at most.
const forgotten = 20 * time.Second

// lies lets somebody begin to lie. The guarantees speak of one liar; with a
// second, a healthy endpoint need not look so to anybody any more.
func (r *run) lies(l *Line, how func(*sim.Member)) {
	r.each(l, func(m *sim.Member) {
		if r.liar != nil && r.liar != m && (!r.liar.Honest() || r.w.Now()-r.mended < forgotten) {
			r.watch.Unwell()
		}
		r.liar = m
		how(m)
	})
}

func (r *run) honest(l *Line) {
	r.each(l, func(m *sim.Member) {
		if m == r.liar {
			r.mended = r.w.Now()
		}
		m.LieInReports(nil)
		m.LieInVerdicts(nil)
		m.LieInLoans(false)
		m.SendInstead(nil)
		m.Garble(0)
	})
}

func (r *run) lie(l *Line) {
	if l.Who.Kind == "steward" {
		lie := sim.AllIsWell
		if l.Word == lieClosed {
			lie = sim.ClosedToAll
		}
		r.lies(l, func(m *sim.Member) { m.LieInVerdicts(lie) })
		return
	}
	if l.Word == lieLends {
		r.lies(l, func(m *sim.Member) { m.LieInLoans(true) })
	}
	for _, lie := range sim.Lies() {
		if lie.Name == l.Word {
			r.lies(l, func(m *sim.Member) { m.LieInReports(lie.Report) })
		}
	}
}

// split cuts off the last of the members, at least one and not all.
func (r *run) split(l *Line) {
	live := r.w.Live()
	if len(live) < 2 {
		return
	}
	n := min(max(int(l.X*float64(len(live))+.5), 1), len(live)-1)
	far := map[*sim.Member]bool{}
	for _, m := range live[len(live)-n:] {
		far[m] = true
	}
	r.w.Tracef("%v", l)
	r.disturb()
	r.w.Split(func(m *sim.Member) bool { return far[m] }, l.OneWay)
	r.splits++
	if this := r.splits; l.For > 0 {
		r.w.After(l.For, func() {
			if r.splits == this {
				r.heal()
			}
		})
	}
}

// heal ends a split. The sides find together in the course of a quarter of a
// minute, and are told so; that disturbs them, and so does the wait for it.
func (r *run) heal() {
	if r.w.Sides() < 2 {
		return
	}
	r.disturb()
	r.w.After(10*time.Second, r.disturb)
	r.splits++
	r.w.Heal()
}

// mend ends all faults.
func (r *run) mend() {
	r.w.Tracef("all faults end")
	s := r.w.Service(0).Servers[0]
	load := min(r.service.Load, .6*s.Capacity)
	if r.service.Load == 0 {
		load = .6 * s.Capacity
	}
	r.effects = []*effect{{load: load, loads: true}}
	r.settle()
	for _, m := range r.w.Live() {
		m.LieInReports(nil)
		m.LieInVerdicts(nil)
		m.LieInLoans(false)
		m.SendInstead(nil)
		m.Garble(0)
	}
	r.w.SetNetwork(sim.Network{})
	r.heal()
	r.disturb()
	if !r.strained(load, s.Capacity) {
		r.watch.Mended(r.w)
	}
}

func (r *run) disturb() { r.watch.Disturbed(r.w) }
