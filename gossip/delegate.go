package gossip

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/memberlist"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/wire"
)

const (
	// maxLive bounds the members that are kept. Alive messages about further
	// ones are ignored.
	maxLive = 4096

	// lacksFor is how long members who died count as missing.
	lacksFor = 5 * time.Minute

	// inboxSize bounds the messages that wait for the driver.
	inboxSize = 4096

	// maxQueued bounds the casts that wait to be gossiped.
	maxQueued = 4096
)

// Member is one live process of the cluster.
type Member struct {
	Name string `json:"name"` // unique to one start of the process
	Addr string `json:"addr"` // host:port, fit for Config.Seeds
	Zone string `json:"zone,omitempty"`
	Self bool   `json:"self,omitempty"`

	// Heard is when it last had something to say to this member, and Trust how far it
	// then trusted its own view, 0 to 1. They are kept from the first call of History
	// on, and only of those who do: members speak to the stewards of the services that
	// they use, and else now and then of loans.
	Heard time.Time `json:"heard,omitzero"`
	Trust *float64  `json:"trust,omitempty"`
}

// peer is a live member as the roster knows it.
type peer struct {
	Member
	leaving bool // it has said so
}

// roster is the list of live members, kept from memberlist's events. Its
// methods are called under memberlist's lock, so they never call memberlist.
type roster struct {
	self    string
	count   atomic.Int64
	refused atomic.Uint64
	changed chan struct{} // holds one signal

	mu     sync.Mutex
	live   map[string]peer
	addrs  map[netip.AddrPort]int   // live members at an address
	lost   bool                     // a member was found dead that had not left,
	lostAt time.Duration            // at last then
	dead   map[string]time.Duration // those, and when; at most maxLive
	frozen bool                     // this member has left: nobody else counts any more
}

func newRoster(self string) *roster {
	return &roster{
		self: self, changed: make(chan struct{}, 1),
		live: map[string]peer{}, addrs: map[netip.AddrPort]int{}, dead: map[string]time.Duration{},
	}
}

// NotifyAlive refuses members that cannot be worked with, before memberlist
// keeps them.
func (r *roster) NotifyAlive(n *memberlist.Node) error {
	if why := badMember(n); why != "" {
		r.refused.Add(1)
		return fmt.Errorf("its %s", why)
	}
	r.mu.Lock()
	_, known := r.live[n.Name]
	full := len(r.live) >= maxLive
	r.mu.Unlock()
	if full && !known {
		r.refused.Add(1)
		return fmt.Errorf("it would be more than %d members", maxLive)
	}
	return nil
}

func badMember(n *memberlist.Node) string {
	switch {
	case n.Name == "" || len(n.Name) > wire.MaxMember:
		return "name has a bad length"
	case !utf8.ValidString(n.Name) || strings.ContainsFunc(n.Name, func(c rune) bool { return c <= ' ' || c == 0x7f }):
		return "name has bad characters"
	case len(n.Addr) != 4 && len(n.Addr) != 16 || n.Port == 0:
		return "address is none"
	}
	return ""
}

func (r *roster) NotifyJoin(n *memberlist.Node)   { r.put(n) }
func (r *roster) NotifyUpdate(n *memberlist.Node) { r.put(n) }

func (r *roster) put(n *memberlist.Node) {
	addr := addrPort(n)
	meta := decodeMeta(n.Meta)
	m := Member{Name: strings.Clone(n.Name), Addr: addr.String(), Zone: meta.zone, Self: n.Name == r.self}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.frozen {
		return
	}
	r.drop(n.Name)
	delete(r.dead, m.Name)
	r.live[m.Name] = peer{m, meta.leaving}
	r.addrs[addr]++
	r.touch()
}

// NotifyLeave forgets a member that has left or died. Which it is, memberlist does not
// tell (the State of a Node is not set here), so whoever leaves has said so before, in
// its metadata. This member itself stays in its own list.
func (r *roster) NotifyLeave(n *memberlist.Node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.frozen || n.Name == r.self {
		return
	}
	m, known := r.live[n.Name]
	r.drop(n.Name)
	if now := coord.Now(); known && !m.leaving {
		r.lost, r.lostAt = true, now
		if len(r.dead) < maxLive {
			r.dead[strings.Clone(n.Name)] = now
		}
	}
	r.touch()
}

// lacks reports whether a member has been found dead of late that had not left:
// it crashed or was cut off, and what it wanted may come back.
func (r *roster) lacks(now time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost && now-r.lostAt < lacksFor
}

// missing counts the members that have been found dead of late, had not left, and have
// not come back.
func (r *roster) missing(now time.Duration) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.dead, func(_ string, at time.Duration) bool { return now-at >= lacksFor })
	return len(r.dead)
}

func (r *roster) drop(name string) {
	m, ok := r.live[name]
	if !ok {
		return
	}
	delete(r.live, name)
	if a, err := netip.ParseAddrPort(m.Addr); err == nil {
		if r.addrs[a]--; r.addrs[a] <= 0 {
			delete(r.addrs, a)
		}
	}
}

func (r *roster) touch() {
	r.count.Store(int64(len(r.live)))
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// freeze forgets everybody but this member, for good.
func (r *roster) freeze() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frozen = true
	for name := range maps.Clone(r.live) {
		if name != r.self {
			r.drop(name)
		}
	}
	r.touch()
}

func (r *roster) has(a netip.AddrPort) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.addrs[a] > 0
}

// members returns the live members by name.
func (r *roster) members() []Member {
	r.mu.Lock()
	all := make([]Member, 0, len(r.live))
	for _, p := range r.live {
		all = append(all, p.Member)
	}
	r.mu.Unlock()
	slices.SortFunc(all, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// meta is what a member tells of itself. On the wire it is a version byte and sections
// of tag, length and payload; unknown tags are skipped.
type meta struct {
	zone    string
	leaving bool
}

const (
	metaVersion = 1
	metaZone    = 1 // tags
	metaLeaving = 2
)

func (m meta) encode() []byte {
	b := []byte{metaVersion}
	if m.zone != "" {
		b = append(b, metaZone, byte(len(m.zone)))
		b = append(b, m.zone...)
	}
	if m.leaving {
		b = append(b, metaLeaving, 0)
	}
	return b
}

// decodeMeta reads what can be read.
func decodeMeta(b []byte) (m meta) {
	if len(b) == 0 || b[0] != metaVersion {
		return m
	}
	for b = b[1:]; len(b) >= 2; {
		tag, n := b[0], int(b[1])
		if len(b) < 2+n {
			return m
		}
		switch tag {
		case metaZone:
			if zone := string(b[2 : 2+n]); n <= MaxZone && utf8.ValidString(zone) {
				m.zone = zone
			}
		case metaLeaving:
			m.leaving = true
		}
		b = b[2+n:]
	}
	return m
}

// delegate is what memberlist calls about messages. Nothing in it blocks.
type delegate struct {
	zone    string
	leaving atomic.Bool
	inbox   chan inbound
	orders  *orders
	queue   *memberlist.TransmitLimitedQueue

	received, oversized, overflow atomic.Uint64
}

// inbound is a message and when it came in.
type inbound struct {
	data []byte
	at   time.Duration
}

func (d *delegate) NodeMeta(int) []byte               { return meta{d.zone, d.leaving.Load()}.encode() }
func (d *delegate) LocalState(bool) []byte            { return d.orders.state() }
func (d *delegate) MergeRemoteState(b []byte, _ bool) { d.orders.merge(time.Now(), b) }
func (d *delegate) GetBroadcasts(o, l int) [][]byte   { return d.queue.GetBroadcasts(o, l) }

// NotifyMsg takes a copy of a message, or drops and counts it.
func (d *delegate) NotifyMsg(b []byte) {
	d.received.Add(1)
	if len(b) > wire.MaxMessage {
		d.oversized.Add(1)
		return
	}
	select {
	case d.inbox <- inbound{bytes.Clone(b), coord.Now()}:
	default:
		d.overflow.Add(1)
	}
}

// cast is a verdict on its way to everybody. Every transmission carries the age
// that it then has.
type cast struct {
	key  string
	data []byte
	age  time.Duration // when queued
	at   time.Duration // when it was queued
}

func newCast(key string, data []byte, now time.Duration) *cast {
	c := &cast{key: key, data: bytes.Clone(data), at: now}
	c.age, _ = wire.Age(data)
	return c
}

func (c *cast) Name() string { return c.key }
func (c *cast) Finished()    {}

func (c *cast) Invalidates(other memberlist.Broadcast) bool {
	o, ok := other.(memberlist.NamedBroadcast)
	return ok && o.Name() == c.key
}

// Message returns a copy, since several transmissions may be under way at once.
func (c *cast) Message() []byte {
	b := bytes.Clone(c.data)
	wire.SetAge(b, c.age+coord.Now()-c.at)
	return b
}
