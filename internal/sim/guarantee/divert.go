package guarantee

import (
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

// ownShare is what the member says itself, as a steward.
func (b *book) ownShare(m *sim.Member, s *sim.Service, p place) coord.Share {
	for _, v := range m.Node().Verdicts(s.Name, s.Servers[p.endpoint].Name) {
		if v.Origin.Member == b.self {
			return shareOf(v.Row.Zones, b.zone)
		}
	}
	return 0
}

// diverts checks of G7 what concerns one member: it sends elsewhere no more than
// two stewards agree that there is room for, and nothing on the strength of what is
// old.
func (c *Checker) diverts(w *sim.World, m *sim.Member, p place, now time.Duration, a *sim.Advice) {
	var first, second coord.Share
	for _, e := range c.books[m].heard[p] {
		switch {
		case !e.fresh(now):
		case e.sigma > first:
			first, second = e.sigma, first
		case e.sigma > second:
			second = e.sigma
		}
	}
	c.check(w, "G7", a.Sigma <= second, "%s: sigma %.3f; no two of its stewards' fresh verdicts allow more than %.3f", m.Name, a.Sigma.Float(), second.Float())
}
