package plan

import "math"

// spareRaw is what is free of an endpoint beside its own users.
func (e *endpoint) spareRaw() float64 {
	limit := e.good
	if c := e.capacity; c > 0 {
		limit = min(limit, max(useMost, .88-2.5/math.Sqrt(c))*c)
	}
	memory, fast := e.own()
	return max(0, limit-max(memory, fast))
}

// spare is what others may have of it now.
func (p *Plan) spare(e *endpoint) float64 {
	if e.health != Well || e.hadStrain && p.now-e.strainedAt < strainForget {
		return 0
	}
	return e.m * e.spareRaw()
}

// share works out every sigma.
func (p *Plan) share(sec float64) {
	troubled := 0
	for _, z := range p.zones {
		if z.tripped = p.isTripped(z); z.tripped {
			troubled++
		}
	}
	floor := standing
	if troubled > 0 {
		floor = tripped
	}
	for _, e := range p.endpoints {
		spare := p.spare(e)
		need := 0.
		for _, z := range p.zones {
			if !e.isHome(z) && (z.tripped || troubled == 0) {
				grows := 1.
				if z.demand > 0 {
					grows = max(1, z.memory/z.demand)
				}
				need += max(z.need*grows, floor*z.memory)
			}
		}
		for _, z := range p.zones {
			want := 0.
			if !e.isHome(z) && (z.tripped || troubled == 0) && need > 0 {
				want = min(1, spare/need)
			}
			s := e.shareOf(z)
			if want > s.sigma {
				easy := 1.
				if z.memory > 0 {
					easy = spare / z.memory
				}
				if troubled > 1 {
					easy = spare / need / 2
				}
				want = min(want, max(s.sigma+rise*sec, easy))
			}
			s.sigma = want
		}
	}
}

// isTripped reports whether a zone's home is down: every endpoint of it.
func (p *Plan) isTripped(z *zone) bool {
	some := false
	for _, e := range p.endpoints {
		if e.isHome(z) {
			if e.health == Well {
				return false
			}
			some = true
		}
	}
	return some
}
