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
	}
	split := len(v.islands[0].names) > 0 && len(v.islands[1].names) > 0
	for i := range v.islands {
		v.islands[i].roster = node.NewRoster(v.islands[i].names)
		if split || v.crashed {
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
	w.views.change(w, detection(len(w.live)))
}

// Heal ends a split; the sides find together by the rejoin loop.
func (w *World) Heal() {
	w.Tracef("the split heals")
	w.views.block = nil
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
