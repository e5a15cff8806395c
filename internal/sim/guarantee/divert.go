package guarantee

import (
	"math"
	"slices"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/sim"
	"github.com/murmuration-go/murmuration/internal/wire"
)

func shareOf(zones []wire.ZoneShare, zone string) coord.Share {
	for _, z := range zones {
		if z.Name == zone {
			return z.Sigma
		}
	}
	return 0
}

// ownShares is what the member says itself, as a steward.
func (b *book) ownShares(m *sim.Member, s *sim.Service, p place) (coord.Share, float64, []wire.ZoneShare) {
	for v := range m.Node().Verdicts(0, s.Name, s.Servers[p.endpoint].Name) {
		if v.Origin.Member == b.self {
			return shareOf(v.Row.Zones, b.zone), v.Row.Good, v.Row.Zones
		}
	}
	return 0, 0, nil
}

// wants is what two stewards have agreed on last, of an endpoint: the load that it has
// borne, and what zones want that are at home there.
type wants struct {
	good  float64
	zones map[string]want
}

type want struct {
	n  float64 // first tries a second
	at time.Duration
}

// fading is the half-life of what is remembered, and forgetting its end.
const (
	fading     = 300 * time.Second
	forgetting = 5 * time.Minute
	following  = 45 * time.Second // of a plan whose stewards are heard no more
)

func (x want) now(now time.Duration) float64 {
	return x.n * math.Exp2(-(now-x.at).Seconds()/fading.Seconds())
}

func (b *book) remember(p place, now time.Duration) {
	x := b.wants[p]
	var goods []float64
	said := map[string][]float64{}
	for _, e := range b.heard[p] {
		if !e.fresh(now) {
			continue
		}
		goods = append(goods, e.good)
		for _, z := range e.zones {
			said[z.Name] = append(said[z.Name], z.Memory)
		}
	}
	if good := second(goods); good > 0 {
		x.good = good
	}
	for name, l := range said {
		if n := second(l); n > 0 {
			x.zones[name] = want{max(n, x.zones[name].now(now)), now}
		}
	}
	for name, z := range x.zones {
		if now-z.at >= forgetting {
			delete(x.zones, name)
		}
	}
	b.wants[p] = x
}

// second is the second largest; 0 if there is none.
func second(l []float64) float64 {
	slices.Sort(l)
	if len(l) < 2 {
		return 0
	}
	return l[len(l)-2]
}

// lone is the most that a member may divert that hears two stewards no more: what the
// endpoint has room for of all that is wanted elsewhere.
func (b *book) lone(w *sim.World, p place) float64 {
	own, elsewhere := 0., 0.
	for _, z := range b.wants[p].zones {
		own += z.n
	}
	for at, x := range b.wants {
		if at.service != p.service || at == p {
			continue
		}
		for name, z := range x.zones {
			if _, ok := b.wants[p].zones[name]; !ok {
				elsewhere += z.n
			}
		}
	}
	room := b.wants[p].good
	if c := w.Service(p.service).Servers[p.endpoint].Told; c > 0 {
		room = c * max(.75, .88-2.5/math.Sqrt(c))
	}
	if room <= own || elsewhere == 0 {
		return 0
	}
	return min(1, (room-own)/elsewhere)
}

// diverts checks of G7 what concerns one member: it sends elsewhere no more than
// two stewards agree that there is room for, and nothing on the strength of what is
// old; but for a while, where they are heard no more, what they last agreed on.
func (c *Checker) diverts(w *sim.World, m *sim.Member, p place, now time.Duration, a *sim.Advice) {
	b := c.books[m]
	var shares []float64
	for _, e := range b.heard[p] {
		if e.fresh(now) {
			shares = append(shares, e.sigma.Float())
		}
	}
	if len(shares) >= 2 && len(b.members) > 1 {
		b.planned[p] = now
		c.check(w, "G7", a.Sigma.Float() <= second(shares), "%s: sigma %.3f; no two of its stewards' fresh verdicts allow more than %.3f", m.Name, a.Sigma.Float(), second(shares))
		return
	}
	since, ever := b.planned[p]
	c.check(w, "G7", a.Sigma == 0 || ever && now-since < following+slack, "%s: sigma %.3f, %v after its stewards were heard", m.Name, a.Sigma.Float(), now-since)
	if a.Sigma > 0 {
		// One message may speak of several endpoints, and what is wanted at one counts at
		// another: then the other's share is put right with the next tick.
		most := max(b.lone(w, p), b.ticked[p])
		c.check(w, "G7", a.Sigma.Float() <= most+.005, "%s: sigma %.3f with no stewards heard; what is remembered makes for %.3f", m.Name, a.Sigma.Float(), most)
	}
}
