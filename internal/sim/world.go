// Package sim is a discrete-event simulation of a fleet of clients, the shipped
// coordination core among them, and the services they call.
//
// What decides is what is shipped: internal/node with internal/law and
// internal/wire (every message is encoded and decoded), internal/coord's counters
// and advice, internal/ledger's budget. Only the local breaker is a stand-in,
// proven equal to package breaker in internal/sim/standin, since gobreaker reads
// the clock itself. What is simulated is the world around them: arrivals, servers
// with queues, a network that loses, delays, repeats and reorders, gossip as
// memberlist spreads it, clocks, crashes and lies.
//
// A world is one goroutine and a heap of events. Everything random is drawn from
// the seed, from streams of their own for arrivals, servers, clients, network
// and faults: the same seed gives the same history to the byte, and strategies
// that are compared see the same arrivals.
package sim

import (
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/murmuration-go/murmuration/internal/node"
)

// Start is the virtual time at which a world begins.
const Start = time.Hour

// Config is a world. Zero means the default.
type Config struct {
	Seed     uint64
	Members  int
	Strategy Strategy
	Services []ServiceConfig // default: one, with the defaults of its fields

	Timeout time.Duration // of an attempt; default 1 s
	RTT     time.Duration // of a request, beyond its wait and service; default 2 ms
	Zones   int           // members are dealt out over them; default 1
	// ZoneShares are the shares of the members in the zones; nil: all alike.
	ZoneShares []float64
	Network    Network

	Trace io.Writer // told what happens, a line each; nil: nobody
	Watch Watch     // nil: nobody
}

// ServiceConfig is a service that all members use.
type ServiceConfig struct {
	Name    string         // default "svc"
	Load    float64        // first tries a second, all members together; default .8 of the capacity
	Servers []ServerConfig // its endpoints; default: one
	// ZoneLoads are the zones' parts of Load; nil: by the number of members.
	ZoneLoads []float64
	// Even says that first tries go to all endpoints of a member's zone alike, not
	// to the first of them.
	Even bool
}

// Watch looks on. Its methods must not change the world.
type Watch interface {
	After(w *World)                                                   // after every event
	Sent(w *World, m *Member, service int, a *Attempt)                // an attempt reaches an endpoint
	Delivered(w *World, m *Member, data []byte)                       // before the node takes it in
	Published(w *World, m *Member, service, endpoint int, now Advice) // before advice takes force
	Decided(w *World, m *Member, d *node.Decision)                    // a steward has decided anew
	Ticked(w *World, m *Member)                                       // after a member's tick
	Told(w *World, m *Member)                                         // a member has a new list of members, or starts
}

// World is a simulated fleet. It is for one goroutine.
type World struct {
	cfg      Config
	now      time.Duration
	agenda   agenda
	planned  uint64
	events   uint64
	stopped  bool
	forged   bool
	garbled  bool
	watch    Watch
	answers  line
	timeouts line
	free     []*call

	services []*Service
	members  []*Member // all there ever were
	live     []*Member
	byName   map[string]*Member

	net      Network
	views    views
	messages Messages
	lending  Lending

	arrivalRand, serverRand, clientRand, netRand, faultRand *rand.Rand
}

// Service is a service as the world sees it.
type Service struct {
	ServiceConfig
	Servers []*Server
	Count   Counts

	index  int
	starts uint64 // of its arrivals
}

// New returns a world at Start, its members just begun.
func New(c Config) *World {
	if c.Timeout == 0 {
		c.Timeout = time.Second
	}
	if c.RTT == 0 {
		c.RTT = 2 * time.Millisecond
	}
	c.Zones = max(c.Zones, 1)
	if len(c.Services) == 0 {
		c.Services = []ServiceConfig{{}}
	}
	w := &World{
		cfg: c, now: Start, watch: c.Watch, net: c.Network, byName: map[string]*Member{},
		answers: line{delay: c.RTT}, timeouts: line{delay: c.Timeout},
	}
	for i, r := range []**rand.Rand{&w.arrivalRand, &w.serverRand, &w.clientRand, &w.netRand, &w.faultRand} {
		*r = rand.New(rand.NewPCG(c.Seed, uint64(i)+1))
	}
	for i, sc := range c.Services {
		w.addService(i, sc)
	}
	for range c.Members {
		w.add()
	}
	w.views.settle(w)
	for _, s := range w.services {
		w.arrive(s)
	}
	return w
}

func (w *World) addService(i int, c ServiceConfig) {
	if c.Name == "" {
		c.Name = "svc"
		if i > 0 {
			c.Name = fmt.Sprintf("svc-%d", i)
		}
	}
	if len(c.Servers) == 0 {
		c.Servers = []ServerConfig{{}}
	}
	s := &Service{ServiceConfig: c, index: i}
	capacity := 0.0
	for j, sc := range c.Servers {
		if sc.Name == "" {
			sc.Name = string(rune('a' + j))
		}
		s.Servers = append(s.Servers, newServer(j, sc))
		capacity += s.Servers[j].Capacity
	}
	if s.Load == 0 {
		s.Load = .8 * capacity
	}
	w.services = append(w.services, s)
}

// Now is the virtual time.
func (w *World) Now() time.Duration { return w.now }

// Second is the number of the present second since Start.
func (w *World) Second() int { return int((w.now - Start) / time.Second) }

// Events is how many events there have been.
func (w *World) Events() uint64 { return w.events }

// Members are all members there ever were; Live those that have not crashed.
func (w *World) Members() []*Member { return w.members }

// Live are the members that run.
func (w *World) Live() []*Member { return w.live }

// Service returns the i-th service.
func (w *World) Service(i int) *Service { return w.services[i] }

// Services are all services.
func (w *World) Services() []*Service { return w.services }

// Messages counts what members sent each other.
func (w *World) Messages() Messages { return w.messages }

// Lending counts what members lent each other.
func (w *World) Lending() Lending { return w.lending }

// Timeout is an attempt's.
func (w *World) Timeout() time.Duration { return w.cfg.Timeout }

// FaultRand is the stream from which faults are to be drawn.
func (w *World) FaultRand() *rand.Rand { return w.faultRand }

// Tracef writes a line to the trace.
func (w *World) Tracef(format string, args ...any) {
	if w.cfg.Trace != nil {
		fmt.Fprintf(w.cfg.Trace, "%9.3f  "+format+"\n", append([]any{(w.now - Start).Seconds()}, args...)...)
	}
}

// arrival is a service's stream of first tries: Poisson, each from a member
// drawn anew. A change of the load starts it anew, which a Poisson stream does not
// notice.
type arrival struct {
	s     *Service
	start uint64
}

func (w *World) arrive(s *Service) {
	s.starts++
	if s.Load > 0 {
		w.after(w.gap(s), &arrival{s, s.starts})
	}
}

func (a *arrival) fire(w *World) {
	s := a.s
	if a.start != s.starts {
		return
	}
	w.after(w.gap(s), a)
	if m := w.caller(s); m != nil {
		w.begin(s, m)
	}
}

// caller draws the member that makes a call, of the zone that it is drawn for.
func (w *World) caller(s *Service) *Member {
	if len(w.live) == 0 {
		return nil
	}
	if len(s.ZoneLoads) == 0 {
		return w.live[w.arrivalRand.IntN(len(w.live))]
	}
	x, zone := w.arrivalRand.Float64()*s.Load, 0
	for zone < len(s.ZoneLoads)-1 && x >= s.ZoneLoads[zone] {
		x -= s.ZoneLoads[zone]
		zone++
	}
	for range 1000 {
		if m := w.live[w.arrivalRand.IntN(len(w.live))]; m.Zone == zone {
			return m
		}
	}
	return nil // nobody is left there
}

func (w *World) gap(s *Service) time.Duration {
	return time.Duration(w.arrivalRand.ExpFloat64() / s.Load * float64(time.Second))
}
