package sim

import (
	"fmt"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/law"
	"github.com/murmuration-go/murmuration/internal/node"
)

// Advice is advice as published to a member.
type Advice = coord.Advice

// Member is one process.
type Member struct {
	Index int
	Name  string
	Zone  int

	w       *World
	alive   bool
	clients []Client // by service

	// Coordination; nil for strategies without.
	node    *node.Node
	shared  []*coord.Service
	eps     [][]*coord.Endpoint
	samples []node.Samples
	casts   casts
	view    uint64   // version of the list of members that it has been told
	width   int      // members in it
	peers   []string // their names
	waking  bool     // it is about to ask for loans

	incarnation uint64

	// Faults.
	resumes time.Duration // paused until then
	offset  time.Duration // of its clock
	rate    float64       // of its clock
	lies    lies
	island  int           // its side of a partition
	givenUp time.Duration // by the other side
}

func (w *World) add() *Member {
	i := len(w.members)
	m := &Member{Index: i, Name: fmt.Sprintf("member-%d", i), Zone: w.zoneFor(i), w: w, alive: true, rate: 1, incarnation: 1}
	w.members = append(w.members, m)
	w.live = append(w.live, m)
	w.byName[m.Name] = m
	m.start(w)
	return m
}

// zoneFor deals members out over the zones, evenly or by their shares.
func (w *World) zoneFor(i int) int {
	if len(w.cfg.ZoneShares) == 0 {
		return i % w.cfg.Zones
	}
	have := make([]float64, len(w.cfg.ZoneShares))
	for _, m := range w.members {
		have[m.Zone]++
	}
	poorest, lacks := 0, 0.
	for z, share := range w.cfg.ZoneShares {
		if d := share*float64(i+1) - have[z]; z == 0 || d > lacks {
			poorest, lacks = z, d
		}
	}
	return poorest
}

// start makes the member's process, with no state.
func (m *Member) start(w *World) {
	if w.cfg.Strategy.coordinated {
		m.coordinate(w)
	}
	m.clients = nil
	for _, s := range w.services {
		homes, away := m.tiers(s)
		m.clients = append(m.clients, w.cfg.Strategy.New(w.now, Env{
			Member: m.Index, Endpoints: len(s.Servers), Home: m.home(s), Timeout: w.cfg.Timeout,
			Rand: w.clientRand, member: m, service: s.index, homes: homes, away: away,
		}))
	}
}

// coordinate makes the member a node of the cluster.
func (m *Member) coordinate(w *World) {
	n := node.New(m.Name, m.incarnation)
	m.node, m.waking = n, false
	m.shared, m.eps, m.samples = nil, nil, nil
	for _, s := range w.services {
		svc := coord.NewService(s.Name)
		var eps []*coord.Endpoint
		for i, server := range s.Servers {
			ep := svc.Endpoint(server.Name)
			ep.Locate(coord.Place{Zone: fmt.Sprint("zone-", m.Zone), Away: !m.isHome(s, i), Capacity: server.Told})
			eps = append(eps, ep)
		}
		m.shared = append(m.shared, svc)
		svc.WakeForLoans(func() { m.wake(w, n) })
		m.eps = append(m.eps, eps)
		m.samples = append(m.samples, node.Samples{Service: s.Name, Endpoints: make([]coord.Sample, len(eps))})
	}
	w.After(time.Duration(w.netRand.Int64N(int64(law.Tick))), func() { m.tick(w, n) })
}

// home is the endpoint nearest to the member: the first of its own zone.
func (m *Member) home(s *Service) int {
	for i, server := range s.Servers {
		if server.Zone == m.Zone {
			return i
		}
	}
	return 0
}

// tiers are the endpoints that the member's first tries go to, and the others.
func (m *Member) tiers(s *Service) (homes, away []int) {
	for i := range s.Servers {
		if m.isHome(s, i) {
			homes = append(homes, i)
		} else {
			away = append(away, i)
		}
	}
	return homes, away
}

func (m *Member) isHome(s *Service, endpoint int) bool {
	home := m.home(s)
	return endpoint == home || s.Even && s.Servers[endpoint].Zone == s.Servers[home].Zone
}

// IsHome reports whether the member's first tries go to the endpoint.
func (m *Member) IsHome(service, endpoint int) bool { return m.isHome(m.w.services[service], endpoint) }

// Alive reports whether the member runs.
func (m *Member) Alive() bool { return m.alive }

// Node is the member's node, nil without coordination.
func (m *Member) Node() *node.Node { return m.node }

// Advice is the advice that the member follows.
func (m *Member) Advice(service, endpoint int) *Advice { return m.eps[service][endpoint].Advice() }

// Peers are the names of those that the member believes to be members, itself
// included.
func (m *Member) Peers() []string { return m.peers }

// Incarnation counts the starts of the member's process.
func (m *Member) Incarnation() uint64 { return m.incarnation }

// local is what the member's clock says.
func (m *Member) local(now time.Duration) time.Duration {
	if m.rate == 1 {
		return now + m.offset
	}
	return Start + time.Duration(float64(now-Start)*m.rate) + m.offset
}

// Local is what the member's clock says.
func (m *Member) Local(now time.Duration) time.Duration { return m.local(now) }

func (m *Member) paused(w *World) bool { return w.now < m.resumes }

// tick lets the node take its tick, and plans the next.
func (m *Member) tick(w *World, n *node.Node) {
	if !m.alive || m.node != n { // crashed, or started anew
		return
	}
	if m.paused(w) {
		w.After(m.resumes-w.now, func() { m.tick(w, n) })
		return
	}
	w.After(time.Duration(float64(law.Tick)/m.rate), func() { m.tick(w, n) })
	for i, eps := range m.eps {
		for j, ep := range eps {
			m.samples[i].Endpoints[j] = ep.SampleAt(m.local(w.now))
		}
	}
	m.apply(w, n.Tick(m.local(w.now), m.samples, 255))
	if w.watch != nil {
		w.watch.Ticked(w, m)
	}
}

// apply carries out what the node asks for.
func (m *Member) apply(w *World, out *node.Output) {
	for i := range out.Decisions {
		d := &out.Decisions[i]
		w.Tracef("%s decides on %s/%s: %v, phi %.4f -> %.4f, retries %v (%v)", m.Name, d.Service, d.Endpoint,
			d.Is.State, d.Was.Phi.Float(), d.Is.Phi.Float(), d.Is.Mode, d.Is.Why)
		if w.watch != nil {
			w.watch.Decided(w, m, d)
		}
	}
	for i := range out.Advice {
		m.publish(w, &out.Advice[i])
	}
	for _, l := range out.Loads {
		for i, s := range w.services {
			if s.Name == l.Service {
				m.shared[i].SetLoad(m.local(w.now), l.Rate, l.Members)
			}
		}
	}
	for _, s := range out.Sends {
		if to := w.byName[s.To]; to != nil {
			w.messages.Sends++
			w.messages.SendBytes += uint64(len(s.Data))
			w.transmit(m, to, m.lies.tamper(w, m.Name, s.Data))
		}
	}
	for _, c := range out.Casts {
		w.messages.Casts++
		m.casts.queue(w, m, c.Key, m.lies.tamper(w, m.Name, c.Data))
	}
	m.lending(w, out)
}

func (m *Member) publish(w *World, a *node.Advice) {
	for i, s := range w.services {
		if s.Name != a.Service {
			continue
		}
		for j, server := range s.Servers {
			if server.Name == a.Endpoint {
				m.follow(w, s, i, j, a.Advice)
			}
		}
	}
}

// follow publishes advice and keeps count of who is restricted.
func (m *Member) follow(w *World, s *Service, service, endpoint int, a Advice) {
	was := m.eps[service][endpoint].Advice()
	s.Count.advised(w, was, &a)
	if was.Phi != a.Phi || was.Mode != a.Mode {
		w.Tracef("%s %s/%s phi %.4f, retries %v, by %s", m.Name, s.Name, s.Servers[endpoint].Name, a.Phi.Float(), a.Mode, a.Source)
	}
	if w.watch != nil {
		w.watch.Published(w, m, service, endpoint, a)
	}
	m.eps[service][endpoint].Publish(a)
}

// deliver hands a message to the node.
func (m *Member) deliver(w *World, data []byte) {
	if !m.alive || m.node == nil {
		return
	}
	if m.paused(w) { // it waits in the socket's buffer
		w.After(m.resumes-w.now, func() { m.deliver(w, data) })
		return
	}
	if w.watch != nil {
		w.watch.Delivered(w, m, data)
	}
	m.apply(w, m.node.Deliver(m.local(w.now), data))
}
