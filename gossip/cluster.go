// Package gossip lets the replicas of a service decide together: it finds the
// other members, tells them what this process sees of its upstreams, and brings
// back advice for packages retry, breaker and failover.
//
//	c, err := gossip.Join(ctx, gossip.Config{
//		Cluster: "shop",
//		Seeds:   []string{"dns+shop-gossip.default.svc.cluster.local.:7960"},
//		Keys:    [][]byte{key},
//	})
//	defer c.Close()
//
// Hand the *Cluster to breaker.Config and its likes. Nothing of it is on the
// path of a request: members count in memory, and one goroutine sends and
// receives every 250 ms.
//
// A cluster is never a condition for work. A nil *Cluster is "no cluster", a
// member without peers works with local rules, and a member that loses its
// peers falls back to them. Health tells which it is and why.
//
// # Network
//
// Members talk by SWIM gossip (github.com/hashicorp/memberlist) over one port,
// both UDP and TCP. Traffic is encrypted with the keys of the Config; the name
// of the cluster keeps clusters apart. Whoever holds a key is trusted as a
// member: the clamps of the control law bound what one broken member can do,
// not what several can do in concert.
//
// # Operators
//
// With Config.Operators set, people may overrule the cluster: see Override. What they
// order is signed, and holding a key of Keys is not enough to place it.
//
// # Bounds
//
// A member keeps at most 256 overrides, 4,096 members, 256 services of its own (CoordService
// returns nil beyond), 64 endpoints a service, 4,096 waiting messages of 1,200
// bytes in and as many broadcasts out. What is refused is counted in Health.
package gossip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/murmuration-go/murmuration/gossip/internal/mlog"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/node"
)

const (
	leaveAtMost = 5 * time.Second // that Leave takes
)

// Cluster is this process's membership of a cluster. All methods may be called
// from any goroutine, and on a nil Cluster, which stands for "no cluster".
type Cluster struct {
	cfg       Config
	name      string
	addr      netip.AddrPort
	maxCast   int
	ml        *memberlist.Memberlist
	transport *transport
	bridge    *mlog.Bridge
	roster    *roster
	delegate  *delegate
	orders    *orders
	queue     memberlist.TransmitLimitedQueue

	loans      chan struct{} // holds one signal
	stopDriver chan struct{}
	driverDone chan struct{}
	stopJoiner context.CancelFunc
	background sync.WaitGroup // the joiner and a leave under way
	gone       chan struct{}  // closed when the leave is over
	close      sync.Once
	closeErr   error

	refused atomic.Uint64 // CoordService beyond the limit
	history history

	mu        sync.Mutex
	services  map[string]*coord.Service
	left      bool
	closed    bool
	tried     bool // the first round of joining is over
	lastRound round
	health    Health
	stats     node.Stats
	pruned    uint64
}

var _ coord.Cluster = (*Cluster)(nil)

// CoordService returns this process's shared state for an upstream service, the
// same for the same name. It returns nil, which stands for "no cluster", on a
// nil or closed Cluster, for a name that is empty, longer than 64 bytes or not
// UTF-8, and beyond 256 services.
func (c *Cluster) CoordService(name string) *coord.Service {
	if c == nil || coord.CheckName(name) != nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	s := c.services[name]
	if s == nil {
		if len(c.services) >= node.MaxUsed {
			c.refused.Add(1)
			return nil
		}
		s = coord.NewService(name)
		s.WakeForLoans(c.wakeForLoans)
		s.BeginWith(func(ep *coord.Endpoint) coord.Advice {
			if c.isClosed() { // nobody would end it
				return *ep.Advice()
			}
			var u under
			orders := coord.OrdersOn(c.orders.active(), name, ep.Name())
			return u.enforce(coord.Now(), *ep.Advice(), orders).Numbered(ep.Advice())
		})
		c.services[name] = s
	}
	return s
}

func (c *Cluster) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// Members returns the live members by name, this one included.
func (c *Cluster) Members() []Member {
	if c == nil {
		return nil
	}
	return c.history.heard(c.roster.members())
}

// Addr is what another member puts into its Config.Seeds to find this one.
func (c *Cluster) Addr() string {
	if c == nil {
		return ""
	}
	return c.addr.String()
}

// Zone is the Zone of the Config. Package failover prefers endpoints in it.
func (c *Cluster) Zone() string {
	if c == nil {
		return ""
	}
	return c.cfg.Zone
}

// Leave tells the others that this member goes, and waits until that is on its
// way, ctx ends or 5 s have passed; the error says which. The member works
// alone from then on, and cannot come back. Leaving twice does nothing.
func (c *Cluster) Leave(ctx context.Context) error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	if c.left || c.closed {
		c.mu.Unlock()
		return nil
	}
	c.left = true
	done := make(chan error, 1)
	wait := leaveAtMost
	if d, ok := ctx.Deadline(); ok {
		wait = min(wait, max(time.Until(d), time.Millisecond))
	}
	c.background.Go(func() { // Close is not waiting yet, for closed is not set
		defer close(c.gone)
		done <- c.leave(time.Now().Add(wait))
	})
	c.mu.Unlock()

	c.stopJoiner()
	defer c.roster.freeze()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("gossip: leave: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("gossip: leave: %w", ctx.Err())
	}
}

// leave tells that this member is about to go, and then goes. Whoever misses the first
// takes it for one that crashed, which costs nothing but a longer memory.
func (c *Cluster) leave(deadline time.Time) error {
	c.delegate.leaving.Store(true)
	left := func() time.Duration { return max(time.Until(deadline), time.Millisecond) }
	_ = c.ml.UpdateNode(left() / 2)
	return c.ml.Leave(left())
}

// Close closes the sockets and waits for every goroutine. It says nothing to the
// others, who take this member for crashed and find out within some seconds:
// call Leave first where a process ends in good order. It takes some milliseconds,
// or while a peer that does not answer is being probed, until that times out:
// about a second, ten at most. Local rules are in force afterwards. Closing twice
// does nothing.
func (c *Cluster) Close() error {
	if c == nil {
		return nil
	}
	c.close.Do(func() {
		c.mu.Lock()
		c.closed = true
		leaving := c.left
		c.mu.Unlock()
		c.stopJoiner()
		if leaving {
			<-c.gone // memberlist panics when it is to leave after its shutdown
		}
		close(c.stopDriver)
		<-c.driverDone
		c.closeErr = c.ml.Shutdown()
		c.background.Wait()
		c.closeErr = errors.Join(c.closeErr, awaitLabelled(c.name))
		c.roster.freeze()
	})
	return c.closeErr
}

func (c *Cluster) send(to memberlist.Address, data []byte) error {
	return c.ml.SendToAddress(to, data)
}

func (c *Cluster) decryptFailures() uint64 { return c.bridge.Count(mlog.Key) }

func (c *Cluster) labelMismatches() uint64 { return c.transport.strangers.Load() }

// solitude gathers what explains that there is no peer, if there is none.
func (c *Cluster) solitude() (left bool, s solitude) {
	s = solitude{seeds: c.cfg.Seeds, decrypt: c.decryptFailures(), labels: c.labelMismatches()}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.tried, s.last = c.tried || len(s.seeds) == 0, c.lastRound
	return c.left, s
}

func (c *Cluster) setHealth(h Health, s node.Stats, pruned uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.health, c.stats, c.pruned = h, s, pruned
}

// Health returns the state of the coordination, at most a tick (250 ms) old.
func (c *Cluster) Health() Health {
	if c == nil {
		return Health{Reason: "no cluster is configured; working with local rules"}
	}
	c.mu.Lock()
	h, stats, pruned, r, closed := c.health, c.stats, c.pruned, c.lastRound, c.closed
	c.mu.Unlock()
	h.Seeds = append([]Seed(nil), r.seeds...)
	if r.err != nil {
		h.SeedError = r.err.Error()
	}
	h.counts(stats)
	c.orders.fill(&h)
	d, t := c.delegate, c.transport
	h.Dropped[dropOverflow] = d.overflow.Load()
	h.Dropped[dropOversized] = d.oversized.Load()
	h.Dropped[dropMembers] = c.roster.refused.Load()
	h.Dropped[dropServices] = c.refused.Load()
	h.Dropped[dropCasts] = pruned
	h.Received = d.received.Load()
	h.PacketsIn, h.PacketsOut = t.packetsIn.Load(), t.packetsOut.Load()
	h.BytesIn, h.BytesOut = t.bytesIn.Load(), t.bytesOut.Load()
	h.DecryptFailures, h.LabelMismatches = c.decryptFailures(), c.labelMismatches()
	if closed {
		h.Mode, h.Reason, h.Members, h.Coverage = ModeAlone, "closed; working with local rules", 1, 0
	}
	return h
}
