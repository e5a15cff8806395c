package sim

import (
	"math"
	"slices"
	"time"

	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/rendezvous"
)

// views is who believes whom to be a member. Crashes are noticed late, those who
// are cut off are taken for crashed, and what was split finds together by the
// rejoin loop, all with delays as measured with memberlist.
type views struct {
	version uint64
	block   Blocked
	islands [2]island // at most two sides of a partition
	splits  int       // and heals
	lost    bool      // a side has taken some of the other for dead
	crashed bool      // somebody has, and may come back
}

// island is a side of a partition as its members see it in the end.
type island struct {
	roster *node.Roster
	names  []string
}

// detection is how long it takes until a crash is noticed by the first.
func detection(members int) time.Duration {
	return 7*time.Second + time.Duration(1.3*math.Log(float64(max(members, 10))/10)*float64(time.Second))
}

// Those behind a split are given up one after the other: the smaller a side, the fewer
// there are to confirm a suspicion, and the more to be suspected. Measured with
// memberlist and 5 to 60 members in virtual time (15 splits 60/40): half of the others
// are given up 2 to 4 s after the first by the larger side, and 6 to 10 s after it by
// the smaller, the last ones 5 to 16 s and 15 to 37 s.
const (
	evenLag  = 5 * time.Second // on average, of sides alike
	lagPower = 2               // of the ratio of the sides
	mostLag  = 33 * time.Second
	noticing = time.Second // between one look and the next
)

// lag draws after the first detection how late one of theirs is given up by ours.
func (w *World) lag(ours, theirs int) time.Duration {
	mean := evenLag.Seconds() * math.Pow(float64(theirs)/float64(max(ours, 1)), lagPower)
	return min(time.Duration(w.faultRand.ExpFloat64()*mean*float64(time.Second)), mostLag)
}

// spread is how long news takes from the first member to the last.
func spread(members int) time.Duration {
	return 100*time.Millisecond + time.Duration(.1*math.Log(float64(members+1))*float64(time.Second))
}

// settle tells every member at once how things are.
func (v *views) settle(w *World) {
	v.count(w)
	for _, m := range w.live {
		v.tell(w, m, v.version, v.islands[m.island])
	}
}

// change tells every member after about d how things are now. What was on its way
// to be told is overtaken by it, unless it comes first.
func (v *views) change(w *World, d time.Duration) {
	v.count(w)
	version, islands := v.version, v.islands
	for _, m := range w.live {
		late := d + time.Duration(w.faultRand.Float64()*float64(spread(len(w.live))))
		side := islands[m.island]
		w.After(late, func() { v.tell(w, m, version, side) })
	}
}

func (v *views) count(w *World) {
	v.version++
	for i := range v.islands {
		v.islands[i] = island{}
	}
	for _, m := range w.live {
		v.islands[m.island].names = append(v.islands[m.island].names, m.Name)
		if v.block != nil && m.givenUp > w.now {
			other := &v.islands[1-m.island]
			other.names = append(other.names, m.Name)
		}
	}
	for i := range v.islands {
		v.islands[i].roster = node.NewRoster(v.islands[i].names)
		if v.lost || v.crashed {
			v.islands[i].roster = v.islands[i].roster.AsLacking()
		}
	}
}

func (v *views) tell(w *World, m *Member, version uint64, now island) {
	if !m.alive || version <= m.view {
		return
	}
	m.view, m.width = version, len(now.names)
	if m.node != nil {
		m.node.SetMembers(now.roster)
		m.peers = now.names
		if w.watch != nil {
			w.watch.Told(w, m)
		}
	}
}

func (v *views) blocked(from, to *Member) bool {
	return !to.alive || v.block != nil && v.block(from, to)
}

// some picks up to n different members that m believes to be alive, at random
// and as memberlist does.
func (v *views) some(w *World, m *Member, n int) (l []*Member) {
	for try := 0; try < 3*len(m.peers) && len(l) < n; try++ {
		to := w.byName[m.peers[w.netRand.IntN(len(m.peers))]]
		if to != m && !slices.Contains(l, to) {
			l = append(l, to)
		}
	}
	return l
}

// Stewards are the members that watch over a service as most see it, best first.
func (w *World) Stewards(service int) (l []*Member) {
	var names []string
	for _, m := range w.live {
		names = append(names, m.Name)
	}
	for _, name := range rendezvous.Top(rendezvous.List(names), w.services[service].Name) {
		l = append(l, w.byName[name])
	}
	return l
}

// Crash ends a member; the others notice after a while.
func (w *World) Crash(m *Member) {
	w.Tracef("%s crashes", m.Name)
	w.remove(m)
	w.views.crashed = true
	w.views.change(w, detection(len(w.live)))
}

// Leave ends a member that says so.
func (w *World) Leave(m *Member) {
	w.Tracef("%s leaves", m.Name)
	w.remove(m)
	w.views.change(w, 100*time.Millisecond)
}

func (w *World) remove(m *Member) {
	m.alive = false
	for i, l := range w.live {
		if l == m {
			w.live = append(w.live[:i:i], w.live[i+1:]...)
		}
	}
	for i := range m.eps {
		for _, ep := range m.eps[i] {
			w.services[i].Count.advised(w, ep.Advice(), &Advice{Phi: fullPhi})
		}
	}
}

// Join starts a new member.
func (w *World) Join() *Member {
	m := w.add()
	w.Tracef("%s joins", m.Name)
	w.views.count(w)
	w.views.tell(w, m, w.views.version, w.views.islands[m.island])
	w.views.change(w, 100*time.Millisecond)
	return m
}

// Restart ends a member and starts it again at once under the same name, its
// state lost.
func (w *World) Restart(m *Member) {
	w.Tracef("%s restarts", m.Name)
	m.incarnation++
	for i := range m.eps {
		for _, ep := range m.eps[i] {
			w.services[i].Count.advised(w, ep.Advice(), &Advice{Phi: fullPhi})
		}
	}
	m.view = 0
	m.casts = casts{due: m.casts.due}
	m.start(w)
	w.views.tell(w, m, w.views.version, w.views.islands[m.island])
}

// Split cuts the members for which far holds off from the others, both ways, or
// only in the direction from far to near. Each side notices as if the other had
// crashed.
func (w *World) Split(far func(*Member) bool, oneWay bool) {
	w.Tracef("the members split")
	for _, m := range w.members {
		m.island = 0
		if far(m) {
			m.island = 1
		}
	}
	w.views.block = func(from, to *Member) bool {
		return from.island != to.island && (!oneWay || from.island == 1)
	}
	sides := [2]int{}
	for _, m := range w.live {
		sides[m.island]++
	}
	first := detection(len(w.live))
	last := w.now + first
	for _, m := range w.live {
		m.givenUp = w.now + first + w.lag(sides[1-m.island], sides[m.island])
		last = max(last, m.givenUp)
	}
	w.views.splits++
	w.views.giveUp(w, w.views.splits, first, last)
}

// giveUp lets each side take for dead whom it has given up after d, and goes on with
// that until the last.
func (v *views) giveUp(w *World, split int, d, last time.Duration) {
	w.After(d, func() {
		if v.splits != split {
			return
		}
		v.lost = true
		v.change(w, 0)
		if w.now < last {
			v.giveUp(w, split, noticing, last)
		}
	})
}

// Heal ends a split; the sides find together by the rejoin loop.
func (w *World) Heal() {
	w.Tracef("the split heals")
	w.views.block, w.views.lost = nil, false
	w.views.splits++
	for _, m := range w.members {
		m.island = 0
	}
	late := time.Duration(w.faultRand.Float64() * 15 * float64(time.Second))
	w.views.change(w, late)
}

// Sides is how many parts the members are split into.
func (w *World) Sides() int {
	if w.views.block != nil {
		return 2
	}
	return 1
}

// Processes is how many processes there have been, restarts included.
func (w *World) Processes() (n int) {
	for _, m := range w.members {
		n += int(m.incarnation)
	}
	return n
}
