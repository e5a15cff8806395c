// Package failover sends each call of a service to the nearest endpoint that
// can take it.
//
// A Group holds a service's endpoints, a breaker for each, one retry policy and
// one retry budget. A call goes to the nearest endpoint; one that its breaker
// refuses is passed over at no cost; a retry prefers an endpoint not yet tried.
//
// In a cluster first tries go home, to the nearest endpoints, and stay there: what
// fails or is dimmed makes one final attempt elsewhere as far as the cluster knows
// of room there, at once and for no token. What nobody has room for ends with the
// endpoint's own error, or is refused at once with a *breaker.OpenError that says
// who decided and why. Where the cluster is heard no more, what was known of room counts
// for 45 s; after that, and where there never was one, each client is on its own: a call
// that the breaker of its home refuses goes to the next endpoint.
package failover

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

// drainOver is the default of Config.DrainOver.
const drainOver = 10 * time.Second

// ErrClosed is what calls of a closed Group get.
var ErrClosed = errors.New("failover: group is closed")

// Group is the way to one service. It is safe for concurrent use. Make one with
// New, once a service and process.
type Group struct {
	service string
	zone    string
	config  Config
	policy  retry.Policy
	routes  atomic.Pointer[routes]

	shared *coord.Service // nil: no cluster
	log    *coord.Log     // of the service, if it has one in a cluster
	forget func()         // ends the watch for an operator's orders

	mu       sync.Mutex // serialises changes of routes
	closed   atomic.Bool
	watchers watchers
}

// New returns a group for a service, or every fault of its configuration,
// joined together. The service's name is 1 to 64 bytes and the same in all
// members of a cluster.
func New(service string, c Config) (*Group, error) {
	err := c.Validate()
	if bad := coord.CheckName(service); bad != nil {
		err = errors.Join(&ConfigError{Field: "service", Problem: bad.Error()}, err)
	}
	if err != nil {
		return nil, err
	}
	g := &Group{service: service, zone: c.Zone, config: c, policy: c.Retry}
	if z, ok := c.Cluster.(interface{ Zone() string }); ok && g.zone == "" && coord.Present(c.Cluster) {
		g.zone = z.Zone()
	}
	if g.policy.Budget == nil {
		g.policy.Budget = retry.NewBudget(c.budget(service))
	}
	g.shared = coord.Resolve(c.Cluster, service)
	if g.log = g.shared.Log(); g.log == nil {
		g.log = new(coord.Log)
	}
	g.setRoutes(c.Endpoints, nil)
	g.forget = g.shared.WatchRouting(g.reroute)
	g.reroute() // what was ordered in between
	return g, nil
}

// setRoutes makes the endpoints' routes, keeping what is known of old ones.
func (g *Group) setRoutes(list []Endpoint, old *routes) {
	targets := make([]*target, len(list))
	for i, e := range list {
		e.Name = e.name()
		t := &target{Endpoint: e}
		if was := old.find(e.Name); was != nil {
			t.breaker, t.tail = was.breaker, was.tail
		} else {
			t.breaker = breaker.New(e.Name, g.config.breaker(g.service))
			t.breaker.LogTo(g.log)
			if g.Hedges() {
				t.tail = new(retry.Tail)
			}
		}
		targets[i] = t
	}
	g.routes.Store(g.route(targets))
	g.shared.TellPolicy("group", g.config.policy(list))
}

// route makes routes of targets, and tells the cluster how this process stands to
// them.
func (g *Group) route(targets []*target) *routes {
	left := false
	for _, t := range targets {
		t.ordered = t.breaker.Ordered()
		t.off = t.drained || t.ordered == coord.Drain
		left = left || !t.off
	}
	for _, t := range targets {
		t.off = t.off && (left || t.drained) // who orders all of them drained would have none left
	}
	r := newRoutes(g.zone, targets)
	r.spills = len(targets) > 1 && coord.Present(g.config.Cluster)
	for i, t := range r.targets {
		t.breaker.Locate(g.zone, !r.isHome(i), t.Capacity)
	}
	return r
}

// reroute has calls move as an operator orders, or as before once that is over.
func (g *Group) reroute() {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.routes.Load()
	targets := make([]*target, len(r.targets))
	changed := false
	for i, t := range r.targets {
		c := *t
		targets[i] = &c
		changed = changed || t.breaker.Ordered() != t.ordered
	}
	if changed {
		g.drain(r, targets)
	}
}

// drain makes the routes of targets gradually the present ones.
func (g *Group) drain(before *routes, targets []*target) {
	r := g.route(targets)
	if g.config.DrainOver >= 0 {
		r.before, r.since = before, coord.Now()
	}
	g.routes.Store(r)
}

// present returns the routes for a call while an endpoint is being drained: r, or the
// ones before, ever less often. All drains under way share one draw, so that each
// endpoint's calls go as they would if it were the only one.
func (g *Group) present(r *routes) *routes {
	over := g.config.drainOver()
	now := coord.Now()
	if now-r.since >= over {
		done := *r
		done.before = nil
		g.routes.CompareAndSwap(r, &done)
		return r
	}
	for late := rand.Float64() * float64(over); r.before != nil && late >= float64(now-r.since); {
		r = r.before
	}
	return r
}

func (r *routes) find(name string) *target {
	if r == nil {
		return nil
	}
	for _, t := range r.targets {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// Update replaces the endpoints. Those that stay, by name, keep the state of
// their breakers; calls under way end on the endpoints they began with. Drains
// end. On an error, which tells every fault, nothing changes.
func (g *Group) Update(endpoints []Endpoint) error {
	if err := checkEndpoints(endpoints); err != nil {
		return err
	}
	g.mu.Lock()
	g.setRoutes(endpoints, g.routes.Load())
	g.mu.Unlock()
	g.tell()
	return nil
}

// Drain takes an endpoint out of use: over Config.DrainOver its calls move to where
// they go without it, and then none turns to it any more, while those under way end
// there. Update brings it back. Draining it again changes nothing; draining the last
// endpoint that is left in use is an error.
func (g *Group) Drain(endpoint string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.routes.Load()
	switch t := r.find(endpoint); {
	case t == nil:
		return fmt.Errorf("failover: service %q has no endpoint %q to drain", g.service, endpoint)
	case t.drained:
		return nil
	}
	left := 0
	targets := make([]*target, len(r.targets))
	for i, t := range r.targets {
		c := *t
		c.drained = c.drained || c.Name == endpoint
		if !c.drained {
			left++
		}
		targets[i] = &c
	}
	if left == 0 {
		return fmt.Errorf("failover: endpoint %q is the last one of service %q; draining it would leave none", endpoint, g.service)
	}
	g.drain(r, targets)
	return nil
}

// Service returns the service's name.
func (g *Group) Service() string { return g.service }

// Close ends the group: later calls get ErrClosed, those under way go on. It
// always returns nil. A group in a cluster that is not closed is kept for as long as the
// cluster.
func (g *Group) Close() error {
	g.closed.Store(true)
	g.forget()
	return nil
}

// Report counts against an endpoint a failure that became known only after the
// call had returned, such as a response body that broke midway. An unknown
// endpoint, a nil error and a neutral one do nothing.
func (g *Group) Report(endpoint string, err error) {
	if t := g.routes.Load().find(endpoint); t != nil {
		t.breaker.Report(err)
	}
}

// Explanation is what a group makes of the present state.
type Explanation struct {
	Service      string
	Zone         string
	BudgetTokens float64 // what the retry budget holds
	Endpoints    []EndpointState
	Decisions    []Decision // the last 256 about the service in this process, the oldest first
}

// Decision is a change of what is done about an endpoint, with who decided it and why.
type Decision = coord.Decision

// EndpointState is one endpoint's state and its reasons.
type EndpointState struct {
	Endpoint
	breaker.Status
	Drained bool
}

// Explain returns the state of every endpoint, nearest first, with who decided
// it, on what evidence, and how old that is, and the decisions that led there.
func (g *Group) Explain() Explanation {
	x := Explanation{Service: g.service, Zone: g.zone, BudgetTokens: g.policy.Budget.Tokens(), Decisions: g.log.Decisions()}
	for _, t := range g.routes.Load().targets {
		x.Endpoints = append(x.Endpoints, EndpointState{t.Endpoint, t.breaker.Status(), t.off})
	}
	return x
}
