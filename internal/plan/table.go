package plan

import (
	"cmp"
	"slices"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// zone returns the state of a zone, making it if there is room.
func (p *Plan) zone(name string) *zone {
	at, ok := slices.BinarySearchFunc(p.zones, name, func(z *zone, name string) int { return cmp.Compare(z.name, name) })
	if ok {
		return p.zones[at]
	}
	if len(p.zones) >= MaxZones {
		return nil
	}
	z := &zone{name: name}
	p.zones = slices.Insert(p.zones, at, z)
	return z
}

// endpoint returns the state of an endpoint, making it if there is room.
func (p *Plan) endpoint(name string) *endpoint {
	at, ok := p.search(name)
	if ok {
		return p.endpoints[at]
	}
	if len(p.endpoints) >= coord.MaxEndpoints {
		return nil
	}
	e := &endpoint{name: name, m: 1}
	p.endpoints = slices.Insert(p.endpoints, at, e)
	return e
}

func (p *Plan) search(name string) (at int, ok bool) {
	return slices.BinarySearchFunc(p.endpoints, name, func(e *endpoint, name string) int { return cmp.Compare(e.name, name) })
}

// keep forgets endpoints that are not listed, what zones hardly want any more, and
// zones that are at home nowhere then.
func (p *Plan) keep(listed []EndpointTick) {
	p.endpoints = slices.DeleteFunc(p.endpoints, func(e *endpoint) bool {
		return !slices.ContainsFunc(listed, func(x EndpointTick) bool { return x.Name == e.name })
	})
	for _, e := range p.endpoints {
		e.home = slices.DeleteFunc(e.home, func(h *home) bool { return h.memory < forgotten })
	}
	p.zones = slices.DeleteFunc(p.zones, func(z *zone) bool {
		return !slices.ContainsFunc(p.endpoints, func(e *endpoint) bool { return e.isHome(z) })
	})
	for _, e := range p.endpoints {
		e.sigma = slices.DeleteFunc(e.sigma, func(s share) bool { return !slices.Contains(p.zones, s.zone) })
	}
}

// at returns what a zone wants of the endpoint that it is at home at.
func (e *endpoint) at(z *zone) *home {
	for _, h := range e.home {
		if h.zone == z {
			return h
		}
	}
	h := &home{zone: z}
	e.home = append(e.home, h)
	return h
}

func (e *endpoint) isHome(z *zone) bool {
	return slices.ContainsFunc(e.home, func(h *home) bool { return h.zone == z })
}

// shareOf returns sigma for a zone, to be set.
func (e *endpoint) shareOf(z *zone) *share {
	for i := range e.sigma {
		if e.sigma[i].zone == z {
			return &e.sigma[i]
		}
	}
	e.sigma = append(e.sigma, share{zone: z})
	return &e.sigma[len(e.sigma)-1]
}

// Sigma is the chance that a request of a zone that failed or was dimmed at home
// may make one final attempt at the endpoint; 0 for what is not known.
func (p *Plan) Sigma(zone, endpoint string) float64 {
	at, ok := p.search(endpoint)
	if !ok {
		return 0
	}
	for _, s := range p.endpoints[at].sigma {
		if s.zone.name == zone {
			return s.sigma
		}
	}
	return 0
}

// Shares returns what a verdict about an endpoint tells: the load that it has borne
// with ease, and for each zone in order of name sigma, or, of a zone at home
// there, what it wants.
func (p *Plan) Shares(endpoint string) (good float64, zones []wire.ZoneShare) {
	at, ok := p.search(endpoint)
	if !ok {
		return 0, nil
	}
	e := p.endpoints[at]
	for _, z := range p.zones {
		share := wire.ZoneShare{Name: z.name}
		for _, h := range e.home {
			if h.zone == z {
				share.Memory = h.memory
			}
		}
		for _, s := range e.sigma {
			if s.zone == z {
				share.Sigma = coord.ShareOf(s.sigma)
			}
		}
		if share.Sigma > 0 || share.Memory >= .001 {
			zones = append(zones, share)
		}
	}
	return e.good, zones
}

// Adopt takes over what others remember of an endpoint, as far as it is news.
func (p *Plan) Adopt(endpoint string, good float64, zones []wire.ZoneShare) {
	at, ok := p.search(endpoint)
	if !ok {
		return
	}
	e := p.endpoints[at]
	e.good = max(e.good, good)
	for _, x := range zones {
		z := p.zone(x.Name)
		if z == nil || x.Memory <= 0 {
			continue
		}
		h := e.at(z)
		h.memory = max(h.memory, x.Memory)
		sum := 0.
		for _, other := range p.endpoints {
			for _, h := range other.home {
				if h.zone == z {
					sum += h.memory
				}
			}
		}
		z.memory = max(z.memory, sum)
	}
}
