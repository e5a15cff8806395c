package gossip

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/override"
	"github.com/murmuration-go/murmuration/internal/wire"
)

func operator(n byte) (ed25519.PrivateKey, []ed25519.PublicKey) {
	k := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
	return k, []ed25519.PublicKey{k.Public().(ed25519.PublicKey)}
}

func anOrder(kind OverrideKind) Override {
	now := time.Now()
	return Override{
		Kind: kind, Service: "payments", Endpoint: "eu", Author: "ada", Reason: "the deploy went wrong",
		Issued: now, Expires: now.Add(time.Hour),
	}
}

func signed(t testing.TB, k ed25519.PrivateKey, o Override) []byte {
	t.Helper()
	b, err := SignOverride(k, "test", o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// orderedBy is an override as somebody would send it who is no operator.
func orderedBy(t testing.TB, who string) [][]byte {
	k, _ := operator(66)
	o := anOrder(ForceOpen)
	o.Author = who
	return [][]byte{wire.AppendOverride(nil, signed(t, k, o))}
}

// TestOverrideReachesAll: an order placed at one member is in force at all, also at one
// that joins later, until it is revoked at another.
func TestOverrideReachesAll(t *testing.T) {
	k, operators := operator(1)
	first := join(t, Config{Operators: operators})
	c := Config{Operators: operators, Seeds: []string{first.Addr()}, RequireSeeds: true}
	second := join(t, c)
	first.waitMembers(t, 2)
	eu := func(m *cluster) *coord.Advice { return m.CoordService("payments").Endpoint("eu").Advice() }
	eu(first)
	eu(second)

	o, err := first.PlaceOverride(signed(t, k, anOrder(ForceOpen)))
	if err != nil {
		t.Fatal(err)
	}
	third := join(t, c)
	eu(third)
	all := []*cluster{first, second, third}
	poll(t, "the order to be in force", func() bool {
		for _, m := range all {
			if a := eu(m); a.Phi != 0 || a.Mode != coord.RetryNone || a.Source != coord.SourceOperator || a.Override.ID != o.ID {
				return false
			}
		}
		return true
	})
	for _, m := range all {
		if us := m.CoordService("payments").Endpoint("us").Advice(); us.InForce() {
			t.Errorf("of the other endpoint: %+v", us)
		}
		if x := m.Overrides(); len(x) != 1 || x[0].Author != "ada" || m.Health().Overrides != 1 {
			t.Errorf("%+v", x)
		}
		if e := m.Endpoints()[0]; e.DecidedBy != "operator" || e.Override == nil || e.Override.Reason != o.Reason {
			t.Errorf("%+v", e)
		}
		if m.log.count("an operator overrides") != 1 {
			t.Errorf("logged:\n%s", m.log)
		}
	}
	if _, err := third.PlaceOverride(signed(t, k, o.Revocation("bob", "all is well", time.Now()))); err != nil {
		t.Fatal(err)
	}
	poll(t, "the order to be over", func() bool {
		for _, m := range all {
			if a := eu(m); a.InForce() || a.Phi != coord.PhiFull || len(m.Overrides()) != 0 {
				return false
			}
		}
		return true
	})
}

// TestStolenKey: who has the gossip key, and so is heard by everybody, can place no
// override; and what he replays is refused.
func TestStolenKey(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	k, operators := operator(1)
	victim := join(t, Config{Operators: operators, Keys: [][]byte{key}})
	thiefs, _ := operator(66)
	thief := join(t, Config{Operators: []ed25519.PublicKey{thiefs.Public().(ed25519.PublicKey)}, Keys: [][]byte{key}, Seeds: []string{victim.Addr()}, RequireSeeds: true})
	victim.waitMembers(t, 2)
	eu := victim.CoordService("payments").Endpoint("eu")

	revoked := anOrder(ForceOpen)
	revoked.ID, revoked.Version = override.NewID(), 1
	before := signed(t, k, revoked)
	if _, err := victim.PlaceOverride(signed(t, k, revoked.Revocation("bob", "all is well", time.Now()))); err != nil {
		t.Fatal(err)
	}
	altered := signed(t, k, anOrder(ForceOpen))
	altered[len(altered)-12]++ // in the reason
	old := anOrder(ForceOpen)
	old.Issued, old.Expires = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	want := map[OverrideRefusal]uint64{override.UnknownKey: 2, override.BadSignature: 1, override.Superseded: 1, override.Expired: 1}
	to := victim.ml.LocalNode()
	for _, x := range [][]byte{signed(t, thiefs, anOrder(ForceOpen)), altered, before, signed(t, k, old)} {
		msg := wire.AppendOverride(nil, x)
		if err := thief.send(memberlist.Address{Addr: to.Address(), Name: to.Name}, msg); err != nil {
			t.Fatal(err)
		}
	}
	var refused *OverrideError
	if _, err := victim.PlaceOverride(signed(t, thiefs, anOrder(Freeze))); !errors.As(err, &refused) || refused.Refusal != override.UnknownKey {
		t.Errorf("placed: %v", err)
	}
	poll(t, "the refusals", func() bool {
		h := victim.Health()
		for r, n := range want {
			if h.OverridesRefused[r.String()] < n {
				return false
			}
		}
		return true
	})
	if h := victim.Health(); h.Overrides != 0 || len(victim.Overrides()) != 0 || eu.Advice().InForce() {
		t.Errorf("in force: %+v, %+v", victim.Overrides(), eu.Advice())
	}
}

// TestExpiry: an override ends by itself.
func TestExpiry(t *testing.T) {
	k, operators := operator(1)
	m := join(t, Config{Operators: operators})
	eu := m.CoordService("payments").Endpoint("eu")
	o := anOrder(RetriesOff)
	o.Issued, o.Expires = time.Now().Add(-time.Hour), time.Now().Add(2*time.Second)
	if _, err := m.PlaceOverride(signed(t, k, o)); err != nil {
		t.Fatal(err)
	}
	poll(t, "it to be in force", func() bool { return eu.Advice().RetryMode() == coord.RetryNone })
	poll(t, "it to be over", func() bool { return eu.Advice().RetryMode() == coord.RetryAll })
	if m.log.count("has expired") != 1 {
		t.Errorf("logged:\n%s", m.log)
	}
}

// TestState: what members tell each other on joining is bounded, and any part of it, or
// anything else, is read as far as it can be.
func TestState(t *testing.T) {
	k, operators := operator(1)
	d := bench(t)
	d.c.orders = newOrders(Config{Cluster: "test", Operators: operators, Logger: d.c.cfg.Logger}, &d.c.queue)
	from := newOrders(Config{Cluster: "test", Operators: operators, Logger: d.c.cfg.Logger}, &d.c.queue)
	now := time.Now()
	for range 3 {
		if _, err := from.take(now, signed(t, k, anOrder(Freeze))); err != nil {
			t.Fatal(err)
		}
	}
	state := from.state()
	for i := range state {
		d.c.orders.merge(now, state[:i])
		d.c.orders.merge(now, append([]byte{stateVersion, 0xff}, state[:i]...))
	}
	d.c.orders.merge(now, append([]byte{stateVersion + 1}, state[1:]...))
	if n := len(d.c.orders.active()); n != 2 {
		t.Errorf("%d orders of what was cut off before the third", n)
	}
	if d.c.orders.merge(now, state); len(d.c.orders.active()) != 3 {
		t.Errorf("%d orders", len(d.c.orders.active()))
	}
}

// TestFreeze: what is in force stays, whatever the cluster says; and a joiner freezes
// what it hears first.
func TestFreeze(t *testing.T) {
	k, operators := operator(1)
	d := bench(t)
	d.c.orders = newOrders(Config{Cluster: "test", Operators: operators, Logger: d.c.cfg.Logger}, &d.c.queue)
	ep := d.c.CoordService("payments").Endpoint("eu")
	now := coord.Now()
	d.tick(now)
	s := d.used["payments"]
	u := s.endpoints["eu"]
	said := func(phi float64) {
		d.advise(now, s, u, coord.Advice{Phi: coord.PhiOf(phi), Fresh: 3, Source: coord.SourceCluster, Mode: coord.RetryNone})
	}
	if _, err := d.c.orders.take(time.Now(), signed(t, k, anOrder(Freeze))); err != nil {
		t.Fatal(err)
	}
	d.enforceAll(now)
	if a := ep.Advice(); a.InForce() {
		t.Errorf("it froze what it does not know: %+v", a)
	}
	said(.5)
	tag := ep.Advice().Tag
	said(.25)
	said(1)
	if a := ep.Advice(); a.Phi != coord.PhiOf(.5) || a.Source != coord.SourceOperator || a.Tag != tag {
		t.Errorf("%+v", a)
	}
	later := anOrder(ForceClosed)
	later.Issued = later.Issued.Add(time.Second)
	if _, err := d.c.orders.take(time.Now(), signed(t, k, later)); err != nil {
		t.Fatal(err)
	}
	d.enforceAll(now)
	if a := ep.Advice(); a.Phi != coord.PhiFull || a.Mode != coord.RetryAll || a.Source != coord.SourceOperator {
		t.Errorf("issued later: %+v", a)
	}
	if d.c.orders.expire(time.Now().Add(2 * time.Hour)); len(d.c.orders.active()) != 0 {
		t.Fatal("in force for ever")
	}
	said(.125)
	if a := ep.Advice(); a.Phi != coord.PhiOf(.125) || a.Source != coord.SourceCluster || a.Override != nil {
		t.Errorf("afterwards: %+v", a)
	}
}

// TestReopened: after an order by which nothing goes first tries come back over seconds,
// under the order's name; a freeze that follows a freeze keeps what was frozen.
func TestReopened(t *testing.T) {
	x, now := under{}, time.Hour
	well := coord.Advice{Phi: coord.PhiFull, Fresh: 3}
	open := coord.Orders{Admission: &Override{Kind: ForceOpen}}
	if a := x.enforce(now, well, open); a.Phi != 0 || a.Source != coord.SourceOperator {
		t.Fatalf("%+v", a)
	}
	last := coord.Phi(0)
	for s := range 4 {
		now += time.Second
		a := x.enforce(now, well, coord.Orders{})
		if a.Phi <= last || a.Phi == coord.PhiFull || a.Override != open.Admission || !a.Ordered() {
			t.Errorf("%d s after: %+v", s+1, a)
		}
		last = a.Phi
	}
	now += time.Second
	if a := x.enforce(now, well, coord.Orders{}); a.Phi != coord.PhiFull || a.InForce() || x.held != nil {
		t.Errorf("at last: %+v", a)
	}
	closed := coord.Orders{Admission: &Override{Kind: ForceClosed}}
	x.enforce(now, well, open)
	if a := x.enforce(now, well, closed); a.Phi != coord.PhiFull {
		t.Errorf("forced closed at once: %+v", a)
	}
	if a := x.enforce(now, well, coord.Orders{}); a.InForce() {
		t.Errorf("what was not held down does not come back slowly: %+v", a)
	}

	dimmed := coord.Advice{Phi: coord.PhiOf(.05), Mode: coord.RetryNone, Source: coord.SourceCluster, Fresh: 3}
	for range 2 {
		freeze := coord.Orders{Admission: &Override{Kind: Freeze}}
		if a := x.enforce(now, well, freeze); a.Phi != coord.PhiFull || !a.Frozen {
			t.Errorf("frozen: %+v", a)
		}
		if a := x.enforce(now, dimmed, freeze); a.Phi != coord.PhiFull || a.Mode != coord.RetryAll {
			t.Errorf("frozen, and changed: %+v", a)
		}
		well = dimmed // what the cluster says when the next freeze comes
	}
}

// TestOrdersEndWithTheCluster: after Close local rules are in force, also for an endpoint
// that nobody had looked at yet, and for one that comes later.
func TestOrdersEndWithTheCluster(t *testing.T) {
	k, operators := operator(1)
	m := join(t, Config{Operators: operators})
	o := anOrder(ForceOpen)
	o.Endpoint = ""
	if _, err := m.PlaceOverride(signed(t, k, o)); err != nil {
		t.Fatal(err)
	}
	svc := m.CoordService("payments")
	eu := svc.Endpoint("eu")
	if eu.Advice().Phi != 0 {
		t.Errorf("begins with %+v", eu.Advice())
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	for _, e := range []*coord.Endpoint{eu, svc.Endpoint("us")} {
		if a := e.Advice(); a.InForce() || a.Phi != coord.PhiFull || a.Override != nil {
			t.Errorf("%s: %+v", e.Name(), a)
		}
	}
	if _, err := m.PlaceOverride(signed(t, k, anOrder(Freeze))); err == nil {
		t.Error("a closed cluster takes orders")
	}
}
