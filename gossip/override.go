package gossip

import (
	"crypto/ed25519"
	"encoding/binary"
	"log/slog"
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
type Override = coord.Override

// OverrideKind says what an operator orders.
type OverrideKind = coord.OverrideKind

// The kinds of override. Of several about one endpoint those count that name it before
// those about its whole service, and the one that was issued last; Freeze, ForceClosed and
// ForceOpen replace each other, and so do Drain and Prefer.
const (
	Freeze      = coord.Freeze      // each member goes on as it does: neither the cluster nor its breaker changes anything
	ForceClosed = coord.ForceClosed // every first try goes, and retries as the budget allows
	ForceOpen   = coord.ForceOpen   // nothing goes
	Drain       = coord.Drain       // calls move to the other endpoints, over failover's Config.DrainOver
	Prefer      = coord.Prefer      // everybody's first tries move to this endpoint, likewise
	RetriesOff  = coord.RetriesOff  // no retries
)

// MaxOverrideLife is how long an override can be in force.
const MaxOverrideLife = override.MaxLife

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
// error is an *OverrideError. Placing one that is known already does nothing.
func (c *Cluster) PlaceOverride(signed []byte) (Override, error) {
	if c == nil {
		return Override{}, &OverrideError{Refusal: override.NoOperators}
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
	o.signal()
	return o
}

// active returns the orders in force, those issued last first. They must not be changed.
func (o *orders) active() []*coord.Override { return *o.inForce.Load() }

// take takes in a signed override and passes on what is news.
func (o *orders) take(now time.Time, signed []byte) (Override, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	order, news, err := o.book.Take(now, signed)
	if err != nil {
		return Override{}, err
	}
	if news {
		o.tell("gossip: an operator overrides", order)
		o.queue.QueueBroadcast(newCast("override/"+order.ID, wire.AppendOverride(nil, signed), coord.Now()))
		o.signal()
	}
	return *order, nil
}

func (o *orders) tell(what string, x *coord.Override) {
	if x.Revoked {
		what = "gossip: an operator revokes an override"
	}
	o.log.Warn(what, "override", x.Kind.String(), "service", x.Service, "endpoint", x.Endpoint,
		"author", x.Author, "reason", x.Reason, "expires", x.Expires, "id", x.ID)
}

// signal makes known what is in force now.
func (o *orders) signal() {
	active := o.book.Active()
	o.inForce.Store(&active)
	select {
	case o.changed <- struct{}{}:
	default:
	}
}

// expire ends what is over.
func (o *orders) expire(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, x := range o.book.Expire(now) {
		o.tell("gossip: an operator's override has expired", x)
		o.signal()
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
	maxState     = 1 + override.MaxHeld*(override.MaxSigned+2)
)

func (o *orders) state(now time.Time) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := []byte{stateVersion}
	for _, signed := range o.book.Signed(now) {
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
	for b = b[1:]; len(b) > 0; {
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
	if len(d.c.orders.active()) > 0 {
		d.enforceAll(now)
	}
}

func (d *driver) enforce(now time.Duration, service string, u *usedEndpoint, active []*coord.Override) {
	x := &u.under
	orders := coord.OrdersOn(active, service, u.ep.Name())
	if orders != x.orders {
		if f := orders.Admission; f == nil || f.Kind != coord.Freeze || f != x.orders.Admission {
			x.frozen, x.since = nil, now
		}
		x.orders, x.asOf = orders, now
	}
	a := u.advice
	if f := orders.Admission; f != nil && f.Kind == coord.Freeze && x.frozen == nil {
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
	u.ep.Publish(orders.Apply(a, frozen, x.asOf).Numbered(u.ep.Advice()))
}
