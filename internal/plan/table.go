package plan

import (
	"cmp"
	"slices"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// zone returns the state of a zone, making it if there is room, or if one that has
// fallen silent can go, of these the least: names are easily made up.
func (p *Plan) zone(name string) *zone {
	at, ok := p.searchZone(name)
	if ok {
		return p.zones[at]
	}
	if len(p.zones) >= MaxZones {
		least := p.least()
		if least == nil {
			return nil
		}
		p.drop(least)
		at, _ = p.searchZone(name)
	}
	z := &zone{name: name, heard: p.now}
	p.zones = slices.Insert(p.zones, at, z)
	return z
}

// least is the zone that wants least of those that have fallen silent.
func (p *Plan) least() (least *zone) {
	for _, z := range p.zones {
		if p.now-z.heard >= silence && (least == nil || z.memory < least.memory) {
			least = z
		}
	}
	return least
}

func (p *Plan) drop(gone *zone) {
	p.zones = slices.DeleteFunc(p.zones, func(z *zone) bool { return z == gone })
	for _, e := range p.endpoints {
		e.home = slices.DeleteFunc(e.home, func(h *home) bool { return h.zone == gone })
		e.sigma = slices.DeleteFunc(e.sigma, func(s share) bool { return s.zone == gone })
	}
}

func (p *Plan) searchZone(name string) (at int, ok bool) {
	return slices.BinarySearchFunc(p.zones, name, func(z *zone, name string) int { return cmp.Compare(z.name, name) })
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
		e.home = slices.DeleteFunc(e.home, func(h *home) bool { return h.memory < forgotten && h.demand.age >= settled })
	}
	p.zones = slices.DeleteFunc(p.zones, func(z *zone) bool {
		return !slices.ContainsFunc(p.endpoints, func(e *endpoint) bool { return e.known(z.name) != nil })
	})
	for _, e := range p.endpoints {
		e.sigma = slices.DeleteFunc(e.sigma, func(s share) bool { return !slices.Contains(p.zones, s.zone) })
	}
}

// at returns what a zone wants of the endpoint that it is at home at.
func (e *endpoint) at(z *zone) *home {
	if h := e.known(z.name); h != nil {
		return h
	}
	h := &home{zone: z}
	e.home = append(e.home, h)
	return h
}

// known returns the same of a zone that is or was at home at the endpoint.
func (e *endpoint) known(zone string) *home {
	for _, h := range e.home {
		if h.zone.name == zone {
			return h
		}
	}
	return nil
}

func (e *endpoint) isHome(z *zone) bool {
	h := e.known(z.name)
	return h != nil && !h.gone
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

// AdoptGood takes over what others know of the load that an endpoint has borne with
// ease, if it is news.
func (p *Plan) AdoptGood(endpoint string, good float64) {
	if at, ok := p.search(endpoint); ok {
		e := p.endpoints[at]
		e.good = max(e.good, good)
	}
}

// AdoptMemory takes over what others remember that a zone wants of an endpoint, if it
// is news.
func (p *Plan) AdoptMemory(endpoint, zone string, wants float64) {
	at, ok := p.search(endpoint)
	if !ok {
		return
	}
	z := p.zone(zone)
	if z == nil {
		return
	}
	h := p.endpoints[at].at(z)
	h.memory = max(h.memory, wants)
	sum := 0.
	for _, e := range p.endpoints {
		if h := e.known(zone); h != nil {
			sum += h.memory
		}
	}
	z.memory = max(z.memory, sum)
}
