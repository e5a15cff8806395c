package guarantee

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/sim"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// witness checks G8: it keeps a second node for one member, which hears the same
// verdicts in another order and more than once, and must hold the same ones after
// every tick. It does not hear reports: a steward judges as they come, so that
// their order may matter, though what they say in the end does not. Nor does it look
// any further once messages have been forged: of two that bear the same version
// and say different things, either may come first.
type witness struct {
	of      *sim.Member
	twin    *node.Node
	pending []pending
	rand    *rand.Rand
}

type pending struct {
	data []byte
	at   time.Duration // by the member's clock
}

func (x *witness) told(w *sim.World, m *sim.Member) {
	switch {
	case x.of == nil && m.Index == len(w.Members())/2 || x.of == m && x.twin == nil:
		x.of, x.rand = m, rand.New(rand.NewPCG(1, uint64(m.Index)))
		x.twin = node.New(m.Name, m.Incarnation())
	case x.of != m:
		return
	}
	x.hear() // what came before was heard by the old list
	x.twin.SetMembers(node.NewRoster(m.Peers()))
}

func (x *witness) restarted(m *sim.Member) {
	if x.of == m {
		x.twin, x.pending = nil, nil
	}
}

func (x *witness) delivered(w *sim.World, m *sim.Member, data []byte) {
	if x.of == m && x.twin != nil {
		if _, ok := wire.Age(data); ok {
			x.pending = append(x.pending, pending{bytes.Clone(data), m.Local(w.Now())})
		}
	}
}

// hear lets the twin hear what is pending, shuffled, each message once to three
// times.
func (x *witness) hear() {
	var all []pending
	for _, p := range x.pending {
		for range 1 + x.rand.IntN(3) {
			all = append(all, p)
		}
	}
	x.rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, p := range all {
		x.twin.Deliver(p.at, p.data)
	}
	x.pending = x.pending[:0]
}

func (x *witness) ticked(c *Checker, w *sim.World, m *sim.Member) {
	if x.of != m || x.twin == nil || w.Forged() {
		return
	}
	x.hear()
	for _, s := range w.Services() {
		for _, e := range s.Servers {
			ours, twins := held(m.Node(), s.Name, e.Name, m.Name), held(x.twin, s.Name, e.Name, m.Name)
			c.check(w, "G8", ours == twins, "%s holds %s; having heard the same in another order it would hold %s", m.Name, ours, twins)
		}
	}
}

// held says which verdicts a node holds of others.
func held(n *node.Node, service, endpoint, self string) string {
	var l []string
	for v := range n.Verdicts(0, service, endpoint) {
		if o := v.Origin; o.Member != self {
			l = append(l, fmt.Sprintf("%s:%d.%d phi %d, %v, %v", o.Member, o.Incarnation, o.Seq, v.Row.Phi, v.Row.Mode, v.Row.Pushback))
		}
	}
	slices.Sort(l)
	return strings.Join(l, "; ")
}
