package plan

import "math"

// spareRaw is what is free of an endpoint beside its own users.
func (e *endpoint) spareRaw() float64 {
	limit := e.good
	if e.capacity > 0 {
		limit = min(limit, usable(e.capacity))
	}
	memory, fast := e.own()
	return max(0, limit-max(memory, fast))
}

// usable is how much of a capacity may be used: the larger, the less matters chance.
func usable(capacity float64) float64 {
	return max(useMost, .88-2.5/math.Sqrt(capacity)) * capacity
}

// Lone is sigma for a member that has lost sight of all others: of the endpoint's
// capacity, or if that is unknown of the load that it has borne, what its own users
// leave, over what is wanted elsewhere in all; 0 if nothing is.
func Lone(capacity, good, own, elsewhere float64) float64 {
	limit := good
	if capacity > 0 {
		limit = usable(capacity)
	}
	if limit <= own || elsewhere < forgotten {
		return 0
	}
	return min(1, (limit-own)/elsewhere)
}

// spare is what others may have of it now.
func (p *Plan) spare(e *endpoint) float64 {
	if e.health != Well || e.hadStrain && p.now-e.strainedAt < strainForget {
		return 0
	}
	return e.m * e.spareRaw()
}

// share works out every sigma. What counts is what zones want of each endpoint that
// they are at home at: where some of these are in trouble, only of those.
func (p *Plan) share(sec float64) {
	troubled := 0
	for _, z := range p.zones {
		if z.ill = p.ill(z); z.ill > 0 {
			troubled++
		}
	}
	for _, e := range p.endpoints {
		spare, need := p.spare(e), p.need(e, troubled > 0)
		for _, z := range p.zones {
			want := 0.
			if need > 0 && p.mayDivert(z, e, troubled > 0) {
				want = min(1, spare/need)
			}
			s := e.shareOf(z)
			if want > s.sigma {
				easy := 1.
				if m := p.elsewhere(z, e, troubled > 0); m > 0 {
					easy = spare / m
				}
				if troubled > 1 {
					easy = spare / need / 2
				}
				want = min(want, max(s.sigma+Rise*sec, easy))
			}
			s.sigma = want
		}
	}
}

// mayDivert reports whether calls of a zone may be diverted to an endpoint at all: in
// trouble those of the zones that are in it; and to a sibling, one more of the
// endpoints that the zone is at home at, nothing but what another one of them has
// failed, for where all is well retries turn to it anyhow.
func (p *Plan) mayDivert(z *zone, e *endpoint, trouble bool) bool {
	switch {
	case !e.isHome(z):
		return z.ill > 0 || !trouble
	case e.health == Well:
		return z.ill > 0
	}
	return z.ill > 1
}

// need is what may come to an endpoint from where it is at home.
func (p *Plan) need(e *endpoint, trouble bool) (sum float64) {
	floor := standing
	if trouble {
		floor = tripped
	}
	for _, other := range p.endpoints {
		if other == e {
			continue
		}
		for _, h := range other.home {
			z, well := h.zone, other.health == Well
			if h.gone || !p.mayDivert(z, e, trouble) || well && e.isHome(z) {
				continue
			}
			grows := 1.
			if z.demand.value > 0 {
				grows = max(1, z.memory/z.demand.value)
			}
			least := floor * h.memory
			if trouble && well {
				least = 0
			}
			sum += max(h.need*grows, least)
		}
	}
	return sum
}

// elsewhere is what a zone wants at most of all endpoints but this one, or of those
// that are not well.
func (p *Plan) elsewhere(z *zone, e *endpoint, ill bool) (sum float64) {
	for _, other := range p.endpoints {
		if h := other.known(z.name); h != nil && other != e && !(ill && other.health == Well) {
			sum += h.memory
		}
	}
	return sum
}

// ill counts the endpoints that a zone is at home at and that are not well.
func (p *Plan) ill(z *zone) (n int) {
	for _, e := range p.endpoints {
		if e.health != Well && e.isHome(z) {
			n++
		}
	}
	return n
}
