package gossip

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/override"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// Override is an operator's order about a service or one of its endpoints. It overrules
// the cluster, which overrules the process's own breaker, at all members until it expires
// or is revoked. It never makes room for more retries than the budget has.
//
// Members keep overrides in memory, and revocations a day long, so that none of what they
// have heard can begin anew; a fleet that has been stopped as a whole has forgotten both, and
// whoever kept an override that had been revoked may then place it again until it expires.
// So let overrides be short.
type Override = coord.Override

// OverrideKind says what an operator orders.
type OverrideKind = coord.OverrideKind

// The kinds of override. Of several about one endpoint those count that name it before
// those about its whole service, and the one that was issued last; Freeze, ForceClosed and
// ForceOpen replace each other, and so do Drain and Prefer. When one ends that held first
// tries down they come back over five seconds; what the stewards learnt before is forgotten.
const (
	Freeze      = coord.Freeze      // each member goes on as it does, but for what is diverted, of which there may be less
	ForceClosed = coord.ForceClosed // every first try goes, and retries as the budget allows
	ForceOpen   = coord.ForceOpen   // nothing goes
	Drain       = coord.Drain       // calls move to the other endpoints, over failover's Config.DrainOver
	Prefer      = coord.Prefer      // everybody's first tries move to this endpoint, likewise
	RetriesOff  = coord.RetriesOff  // no retries; what fails may still be diverted where there is room
)

// MaxOverrideLife is how long an override can be in force.
const MaxOverrideLife = coord.MaxOverrideLife

// OverrideRefusal is why an override was not taken. Its String is the key in
// Health.OverridesRefused.
type OverrideRefusal = override.Refusal

// OverrideError is the error of PlaceOverride.
type OverrideError = override.Error

// SignOverride signs an override for the cluster of that name with the private key of one
// of its Config.Operators. A new override needs no ID and no Version; the times lose
// fractions of a second. The error tells every fault.
func SignOverride(key ed25519.PrivateKey, cluster string, o Override) ([]byte, error) {
	return override.Sign(key, cluster, o)
}

// PlaceOverride takes a signed override, puts it in force here and tells everybody. The
// error is an *OverrideError, or says that the cluster is nil or closed. Placing one that
// is known already does nothing.
func (c *Cluster) PlaceOverride(signed []byte) (Override, error) {
	if c == nil || c.isClosed() {
		return Override{}, errors.New("gossip: there is no cluster, or it is closed, and so nobody to obey an override")
	}
	return c.orders.take(time.Now(), signed)
}

// Overrides returns the overrides in force, those issued last first.
func (c *Cluster) Overrides() []Override {
	if c == nil {
		return nil
	}
	active := c.orders.active()
	all := make([]Override, len(active))
	for i, o := range active {
		all[i] = *o
	}
	return all
}

// orders is the operators' part of a member.
type orders struct {
	log     *slog.Logger
	queue   *memberlist.TransmitLimitedQueue
	changed chan struct{} // holds one signal

	mu   sync.Mutex
	book *override.Book

	inForce atomic.Pointer[[]*coord.Override]
}

func newOrders(c Config, queue *memberlist.TransmitLimitedQueue) *orders {
	o := &orders{
		log: c.Logger, queue: queue, changed: make(chan struct{}, 1),
		book: override.NewBook(c.Cluster, c.Operators),
	}
	o.inForce.Store(&[]*coord.Override{})
	return o
}

// active returns the orders in force, those issued last first. They must not be changed.
func (o *orders) active() []*coord.Override { return *o.inForce.Load() }

// take takes in a signed override and passes on what is news.
func (o *orders) take(now time.Time, signed []byte) (Override, error) {
	o.mu.Lock()
	order, news, err := o.book.Take(now, signed)
	if err == nil && news {
		o.queue.QueueBroadcast(newCast("override/"+order.ID, wire.AppendOverride(nil, signed), coord.Now()))
		o.renew(now)
	}
	o.mu.Unlock()
	if err != nil {
		return Override{}, err
	}
	if news && order.Revoked {
		o.tell("gossip: an operator revokes an override", order)
	} else if news {
		o.tell("gossip: an operator overrides", order)
	}
	return *order, nil
}

// tell logs an order. A logger may do anything, so no lock is held.
func (o *orders) tell(what string, x *coord.Override) {
	o.log.Warn(what, "override", x.Kind.String(), "service", x.Service, "endpoint", x.Endpoint,
		"author", x.Author, "key", x.Key, "reason", x.Reason, "expires", x.Expires, "id", x.ID)
}

// renew makes known what is in force now, and returns what is no more.
func (o *orders) renew(now time.Time) (ended []*coord.Override) {
	was, is := o.active(), o.book.Active(now)
	if slices.Equal(was, is) {
		return nil
	}
	o.inForce.Store(&is)
	select {
	case o.changed <- struct{}{}:
	default:
	}
	return slices.DeleteFunc(slices.Clone(was), func(x *coord.Override) bool { return slices.Contains(is, x) })
}

// expire ends what is over.
func (o *orders) expire(now time.Time) {
	o.mu.Lock()
	ended := o.renew(now)
	o.book.Forget(now)
	o.mu.Unlock()
	for _, x := range ended {
		o.tell("gossip: an operator's override has expired", x)
	}
}

// fill tells Health of overrides.
func (o *orders) fill(h *Health) {
	o.mu.Lock()
	defer o.mu.Unlock()
	h.Overrides = len(o.active())
	h.OverridesRefused = make(map[string]uint64, override.NumRefusals)
	for r, n := range o.book.Refused() {
		h.OverridesRefused[override.Refusal(r).String()] = n
	}
}

// What members tell each other when one joins, and every 30 s, over TCP: a version byte,
// and each override with its length before it.
const (
	stateVersion = 1
	maxState     = 1 + 2*override.MaxHeld*(override.MaxSigned+2)
)

func (o *orders) state() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := []byte{stateVersion}
	for _, signed := range o.book.Signed() {
		b = binary.AppendUvarint(b, uint64(len(signed)))
		b = append(b, signed...)
	}
	return b
}

// merge takes in what can be read of another member's state.
func (o *orders) merge(now time.Time, b []byte) {
	if len(b) == 0 || b[0] != stateVersion || len(b) > maxState {
		return
	}
	b = b[1:]
	for range 2 * override.MaxHeld {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return
		}
		_, _ = o.take(now, b[size:size+int(n)]) // what is refused is counted
		b = b[size+int(n):]
	}
}

// under is what an endpoint is under by operators' orders.
type under struct {
	orders coord.Orders
	asOf   time.Duration // when the orders came into force here
	frozen *coord.Advice // what was in force when a freeze began
	since  time.Duration // when it was to begin

	held  *coord.Override // the last order by which phi was held down,
	phi   coord.Phi       // to how much,
	ended time.Duration   // and when that ended
}

// freezeAtLast is how long a freeze waits for a member to hear its first verdicts.
const freezeAtLast = 15 * time.Second

// advise puts in force what the cluster advises, as far as no operator orders otherwise.
func (d *driver) advise(now time.Duration, s *usedService, u *usedEndpoint, a coord.Advice) {
	u.advice = a
	d.enforce(now, s.name, u, d.c.orders.active())
}

func (d *driver) enforceAll(now time.Duration) {
	active := d.c.orders.active()
	for _, s := range d.order {
		for _, u := range s.endpoints {
			d.enforce(now, s.name, u, active)
		}
	}
}

// enforceOrders renews what is under orders, so that refusals tell the orders' age.
func (d *driver) enforceOrders(now time.Duration) {
	active := d.c.orders.active()
	for _, s := range d.order {
		for _, u := range s.endpoints {
			if len(active) > 0 || u.under.held != nil {
				d.enforce(now, s.name, u, active)
			}
		}
	}
}

func (d *driver) enforce(now time.Duration, service string, u *usedEndpoint, active []*coord.Override) {
	was := u.ep.Advice()
	u.ep.Publish(u.under.enforce(now, u.advice, coord.OrdersOn(active, service, u.ep.Name())).Numbered(was))
}

// enforce makes of what the cluster advises what is in force.
func (x *under) enforce(now time.Duration, a coord.Advice, orders coord.Orders) coord.Advice {
	freezes := orders.Admission != nil && orders.Admission.Kind == coord.Freeze
	if orders != x.orders {
		if before := x.orders.Admission; !freezes || before == nil || before.Kind != coord.Freeze {
			x.frozen, x.since = nil, now // else a freeze goes on
		}
		x.orders, x.asOf = orders, now
	}
	if freezes && x.frozen == nil {
		if a.Coordinated() || now-x.since >= freezeAtLast {
			x.frozen = &a
		} else { // a joiner does not know yet what is to be frozen
			orders.Admission = nil
		}
	}
	frozen := a
	if x.frozen != nil {
		frozen = *x.frozen
	}
	is := orders.Apply(a, frozen, x.asOf)
	switch {
	case orders.Admission != nil:
		if x.held = nil; is.Phi < coord.PhiFull {
			x.held, x.phi, x.ended = orders.Admission, is.Phi, now
		}
	case x.held != nil:
		var over bool
		if is, over = is.Reopened(x.phi, x.held, x.ended, now); over {
			x.held = nil
		}
	}
	return is
}
