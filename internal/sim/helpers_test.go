package sim_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/race"
	"github.com/murmuration-go/murmuration/internal/sim"
)

// outcome is how an attempt of a test's client ended.
type outcome struct {
	member int
	n      int // of the attempt
	at     time.Duration
	took   time.Duration
	o      sim.Outcome
}

// retrying are clients that send every first try and, whatever happened, up to n
// retries at once. told, if any, is told how each attempt ended.
func retrying(n int, told func(outcome)) sim.Strategy {
	return sim.Strategy{Name: "retries", New: func(_ time.Duration, e sim.Env) sim.Client {
		return &retrier{n: n, member: e.Member, told: told}
	}}
}

type retrier struct {
	n      int
	member int
	told   func(outcome)
}

func (*retrier) Admit(time.Duration, *sim.Attempt) bool { return true }

func (r *retrier) End(now time.Duration, a *sim.Attempt, o sim.Outcome, took time.Duration) {
	if r.told != nil {
		r.told(outcome{r.member, a.N, now - sim.Start, took, o})
	}
}

func (r *retrier) Retry(_ time.Duration, a *sim.Attempt, _ sim.Outcome) (time.Duration, bool) {
	return 0, a.N <= r.n
}

// blind is a sim.Watch that sees nothing; a test embeds it and looks at what it
// wants to see.
type blind struct{}

func (blind) After(*sim.World)                                        {}
func (blind) Sent(*sim.World, *sim.Member, int, *sim.Attempt)         {}
func (blind) Delivered(*sim.World, *sim.Member, []byte)               {}
func (blind) Published(*sim.World, *sim.Member, int, int, sim.Advice) {}
func (blind) Decided(*sim.World, *sim.Member, *node.Decision)         {}
func (blind) Ticked(*sim.World, *sim.Member)                          {}
func (blind) Told(*sim.World, *sim.Member)                            {}

// brief reports whether tests are to be quick: that they are asked to, or that the
// race detector makes them ten times slower. A world is one goroutine, so that
// there is little for it to find.
func brief() bool { return testing.Short() || race.Enabled }

// quiet is a service of one endpoint that nobody calls by himself.
func quiet(c sim.ServerConfig) []sim.ServiceConfig {
	return []sim.ServiceConfig{{Load: -1, Servers: []sim.ServerConfig{c}}}
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// cluster is a fleet of the shipped clients before one endpoint.
type cluster struct {
	*sim.World
	blind

	retriesDimmed int // retries sent by members whose advice dims
}

func newCluster(seed uint64, members int, capacity, load float64, net sim.Network) *cluster {
	c := &cluster{}
	c.World = sim.New(sim.Config{
		Seed: seed, Members: members, Strategy: sim.Ours(sim.Options{}), Network: net, Watch: c,
		Services: []sim.ServiceConfig{{Load: load, Servers: []sim.ServerConfig{{Capacity: capacity}}}},
	})
	return c
}

func (c *cluster) After(*sim.World) {} // World has one as well

func (c *cluster) Sent(_ *sim.World, m *sim.Member, service int, a *sim.Attempt) {
	if a.N > 1 && m.Advice(service, a.Endpoint).Phi < coord.PhiFull {
		c.retriesDimmed++
	}
}

func (c *cluster) server() *sim.Server { return c.Service(0).Servers[0] }

func (c *cluster) count() *sim.Counts { return &c.Service(0).Count }

// stall stops the server for d; its queue stays.
func (c *cluster) stall(d time.Duration) {
	c.server().Stall()
	c.World.After(d, func() { c.server().Resume(c.World) })
}

// recovered is how long after a second it took until 97 % succeeded for 5 s, or -1.
func (c *cluster) recovered(from int) int { return c.count().Recovery(from, c.Second()-2) }
