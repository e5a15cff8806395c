package guarantee

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/rendezvous"
	"github.com/murmuration-go/murmuration/internal/sim"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// How long verdicts count, and how advice fades without them, as the design has
// it.
const (
	validTrouble = 5 * time.Second
	validClosed  = 15 * time.Second
	holdFor      = 10 * time.Second
	slack        = 1300 * time.Millisecond // a step of the fading, and a tick until it is noticed
)

// book is what a member has heard of its stewards, as somebody would write it
// down who had nothing else to do.
type book struct {
	zone        string
	incarnation uint64
	self        string
	members     map[string]bool
	stewards    [][]string // by service
	heard       map[place]map[string]entry
	advised     map[place]*advised
	wants       map[place]wants
	planned     map[place]time.Duration // when two fresh verdicts were there last
	ticked      map[place]float64       // lone at the last tick
}

// entry is the newest verdict of one steward.
type entry struct {
	origin    wire.Origin
	asOf      time.Duration // by the member's clock
	phi       coord.Phi
	mode      coord.Mode
	state     wire.State
	reporters uint64
	until     time.Duration // of a pushback, by the member's clock
	sigma     coord.Share   // for the member's zone
	good      float64
	zones     []wire.ZoneShare
}

func (e *entry) fresh(now time.Duration) bool {
	if e.state == wire.Closed && e.phi == coord.PhiFull && e.mode == coord.RetryAll {
		return now-e.asOf < validClosed
	}
	return now-e.asOf < validTrouble
}

// advised is the advice at the last look, and since when it has been without two
// fresh verdicts.
type advised struct {
	phi    coord.Phi
	until  time.Duration
	fading bool
	since  time.Duration
	held   coord.Phi
}

func newBook(w *sim.World, m *sim.Member) *book {
	b := &book{incarnation: m.Incarnation(), self: m.Name, zone: fmt.Sprint("zone-", m.Zone), heard: map[place]map[string]entry{}, advised: map[place]*advised{}, wants: map[place]wants{}, planned: map[place]time.Duration{}, ticked: map[place]float64{}}
	for i, s := range w.Services() {
		for j := range s.Servers {
			b.heard[place{i, j}] = map[string]entry{}
			b.advised[place{i, j}] = &advised{phi: coord.PhiFull}
			b.wants[place{i, j}] = wants{zones: map[string]want{}}
		}
	}
	return b
}

// told takes over the member's list; what those say who are no stewards by it is
// forgotten.
func (b *book) told(w *sim.World, m *sim.Member) {
	b.members = map[string]bool{}
	for _, name := range m.Peers() {
		b.members[name] = true
	}
	list := rendezvous.List(m.Peers())
	b.stewards = b.stewards[:0]
	for _, s := range w.Services() {
		b.stewards = append(b.stewards, rendezvous.Top(list, s.Name))
	}
	for p, heard := range b.heard {
		for name := range heard {
			if !slices.Contains(b.stewards[p.service], name) {
				delete(heard, name)
			}
		}
	}
}

// hear writes a message down.
func (b *book) hear(w *sim.World, now time.Duration, data []byte) {
	msg, err := wire.Decode(data)
	if err != nil || msg.Verdicts == nil {
		return
	}
	v := msg.Verdicts
	if v.Origin.Member == b.self || !b.members[v.Origin.Member] {
		return
	}
	for i := range v.Rows {
		row := &v.Rows[i]
		p, ok := find(w, row.Service, row.Endpoint)
		if !ok || !slices.Contains(b.stewards[p.service], v.Origin.Member) {
			continue
		}
		if old, ok := b.heard[p][v.Origin.Member]; ok && !v.Origin.Newer(old.origin) {
			continue
		}
		b.heard[p][v.Origin.Member] = entry{
			v.Origin, now - v.Age, max(row.Phi, 1), row.Mode, row.State, row.Reporters, ends(now-v.Age, row.Pushback),
			shareOf(row.Zones, b.zone), row.Good, row.Zones,
		}
		b.remember(p, now)
	}
}

func find(w *sim.World, service, endpoint string) (place, bool) {
	for i, s := range w.Services() {
		if s.Name != service {
			continue
		}
		for j, e := range s.Servers {
			if e.Name == endpoint {
				return place{i, j}, true
			}
		}
	}
	return place{}, false
}

// own writes down what the member decides itself, as a steward: with every tick,
// and when it decides anew between two.
func (b *book) own(m *sim.Member, w *sim.World, now time.Duration, p place) {
	if !slices.Contains(b.stewards[p.service], b.self) {
		return
	}
	s := w.Service(p.service)
	if d, ok := m.Node().Decided(s.Name, s.Servers[p.endpoint].Name); ok {
		e := entry{asOf: now, phi: d.Phi, mode: d.Mode, state: d.State, reporters: uint64(d.Reporters), until: ends(now, d.Pushback)}
		e.sigma, e.good, e.zones = b.ownShares(m, s, p)
		b.heard[p][b.self] = e
		b.remember(p, now)
	}
}

// advice checks G3 and G4 for one endpoint: the member's advice is, of phi and of
// the retry mode each, the second most restrictive of the fresh verdicts of its
// stewards; with fewer than two fresh ones it fades.
func (c *Checker) advice(w *sim.World, m *sim.Member, p place) {
	b := c.books[m]
	if b == nil {
		return
	}
	now := m.Local(w.Now())
	a := m.Advice(p.service, p.endpoint)
	was := b.advised[p]
	defer func() { was.phi, was.until = a.Phi, a.Until }()
	c.pushback(w, m, p, now, a)
	c.diverts(w, m, p, now, a)

	var phis []coord.Phi
	var modes []coord.Mode
	rests := false // on one reporter's word: that binds only who reports, which is not written down here
	for _, e := range b.heard[p] {
		if e.fresh(now) {
			phis, modes = append(phis, e.phi), append(modes, e.mode)
			rests = rests || e.reporters == 1
		}
	}
	if len(phis) < 2 || len(b.members) < 2 {
		c.fades(w, m, p, now, a, len(phis))
		return
	}
	was.fading = false
	slices.Sort(phis)
	slices.Sort(modes)
	phi, mode := phis[1], modes[len(modes)-2]
	c.check(w, "G3", a.Phi >= phi && a.Mode <= mode,
		"%s: phi %.4f, retries %v; no two of its stewards' fresh verdicts agree on more than %.4f, %v", m.Name, a.Phi.Float(), a.Mode, phi.Float(), mode)
	c.check(w, "G3", rests || a.Phi == phi && a.Mode == mode,
		"%s: phi %.4f, retries %v; the second most restrictive of its stewards' fresh verdicts is %.4f, %v", m.Name, a.Phi.Float(), a.Mode, phi.Float(), mode)
	c.check(w, "G3", c.unwell || liars(w) > 1 || !m.Honest() || a.Phi == coord.PhiFull,
		"%s: phi %.4f of an endpoint that has been healthy all the time, with %d member(s) broken", m.Name, a.Phi.Float(), liars(w))
}

// fades checks G4: without two fresh verdicts the last phi is held for ten
// seconds and then doubles each second; meanwhile there are no retries. Where
// nothing was dimmed, nothing is left.
func (c *Checker) fades(w *sim.World, m *sim.Member, p place, now time.Duration, a *sim.Advice, fresh int) {
	was := c.books[m].advised[p]
	if !was.fading {
		was.fading, was.since, was.held = true, now, was.phi
	}
	gone := now - was.since
	if was.held == coord.PhiFull {
		guarantee := "G4"
		if fresh > 0 {
			guarantee = "G3" // a single voice
		}
		c.check(w, guarantee, a.Phi == coord.PhiFull && a.Mode == coord.RetryAll,
			"%s: phi %.4f, retries %v, with fewer than two fresh verdicts", m.Name, a.Phi.Float(), a.Mode)
		return
	}
	least := was.held.Float()
	if steps := math.Floor((gone - holdFor - slack).Seconds()) + 1; steps > 0 {
		least = min(least*math.Exp2(steps), 1)
	}
	c.check(w, "G4", a.Phi >= was.phi && a.Phi.Float() >= least-1./65535,
		"%s: phi %.4f after %.4f, %v after the last two fresh verdicts; at least %.4f is due", m.Name, a.Phi.Float(), was.phi.Float(), gone, least)
	c.check(w, "G4", gone >= holdFor || a.Phi == was.held,
		"%s: phi %.4f, %v after the last two fresh verdicts; %.4f is to be held", m.Name, a.Phi.Float(), gone, was.held.Float())
	c.check(w, "G4", a.Phi == coord.PhiFull || a.Mode == coord.RetryNone,
		"%s: retries %v while advice fades", m.Name, a.Mode)
}
