package gossip

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// A full queue drops and counts; it never blocks the network's goroutine.
func TestNotifyMsgNeverBlocks(t *testing.T) {
	d := bench(t)
	msg := verdictsBy(t, "somebody", 1, wire.VerdictRow{Service: "s", Endpoint: "e", Phi: coord.PhiFull})
	const over = 1000
	for range inboxSize + over {
		d.c.delegate.NotifyMsg(msg)
	}
	h := d.c.Health()
	if h.Received != inboxSize+over || h.Dropped[dropOverflow] != over {
		t.Errorf("received %d, overflow %d", h.Received, h.Dropped[dropOverflow])
	}
	msg[0] ^= 0xff // memberlist may reuse its buffer
	for len(d.c.delegate.inbox) > 0 {
		d.deliver(<-d.c.delegate.inbox)
	}
	if s := d.node.Stats(); s.Received != inboxSize || s.Malformed != [wire.NumErrorKinds]uint64{} {
		t.Errorf("the node got %+v", s)
	}
}

// Every transmission of a cast tells the age that it then has, and so does what
// is delivered after it has waited.
func TestAgesGrowWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := verdictsBy(t, "a", 1, wire.VerdictRow{Service: "s", Endpoint: "e"})
		wire.SetAge(data, time.Second)
		c := newCast("k", data, coord.Now())
		wire.SetAge(data, time.Hour) // the caller's buffer is the caller's
		age := func(b []byte) time.Duration {
			a, ok := wire.Age(b)
			if !ok {
				t.Fatal("no age")
			}
			return a
		}
		if a := age(c.Message()); a != time.Second {
			t.Errorf("age %v at once", a)
		}
		first := c.Message()
		time.Sleep(250 * time.Millisecond)
		if a := age(c.Message()); a != 1250*time.Millisecond {
			t.Errorf("age %v after 250 ms", a)
		}
		if a := age(first); a != time.Second {
			t.Error("transmissions share a buffer")
		}

		m := inbound{bytes.Clone(first), coord.Now()}
		time.Sleep(time.Second)
		d := &driver{c: &Cluster{roster: newRoster("self")}, node: newDriver(&Cluster{name: "self"}, 1).node}
		d.deliver(m)
		if a := age(m.data); a != 2*time.Second {
			t.Errorf("delivered with age %v", a)
		}
	})
}

func TestCastsReplaceEachOther(t *testing.T) {
	q := memberlist.TransmitLimitedQueue{RetransmitMult: castMult, NumNodes: func() int { return 5 }}
	row := wire.VerdictRow{Service: "s", Endpoint: "e"}
	old, newer := verdictsBy(t, "a", 1, row), verdictsBy(t, "a", 2, row)
	q.QueueBroadcast(newCast("a/s/e", old, coord.Now()))
	q.QueueBroadcast(newCast("a/s/f", old, coord.Now()))
	q.QueueBroadcast(newCast("a/s/e", newer, coord.Now()))
	if q.NumQueued() != 2 {
		t.Errorf("%d queued, want 2", q.NumQueued())
	}
	sent := 0
	for range 100 {
		for _, b := range q.GetBroadcasts(3, udpBuffer) {
			m, err := wire.Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			if m.Verdicts.Origin.Seq == 2 {
				sent++
			}
		}
	}
	if sent != castMult || q.NumQueued() != 0 {
		t.Errorf("sent %d times, %d left; want %d and none", sent, q.NumQueued(), castMult)
	}
}

// The largest cast must fit a packet with the longest name of a cluster and a
// key, or it would wait in memberlist's queue for ever.
func TestLargestCastFits(t *testing.T) {
	name := func(n int) string { return strings.Repeat("x", n) }
	big := verdictsBy(t, name(wire.MaxMember), 1<<63, wire.VerdictRow{
		Service: name(coord.MaxName), Endpoint: name(coord.MaxName), Mode: coord.RetryNone, State: wire.Dim,
		L0: wire.MaxSpan, Thr: wire.MaxSpan, Latency: wire.MaxSpan, Window: wire.MaxSpan,
		Demand: wire.MaxCount, Reporters: wire.MaxCount, Failures: wire.MaxCount, Outcomes: wire.MaxCount,
	})
	c, _, err := start(t.Context(), Config{Cluster: name(MaxClusterName), Bind: "127.0.0.1:0"}.private())
	if err != nil {
		t.Fatal(err)
	}
	defer c.ml.Shutdown()
	if len(big) > c.maxCast {
		t.Errorf("the largest cast has %d bytes, %d fit", len(big), c.maxCast)
	}
}

func TestRoster(t *testing.T) {
	r := newRoster("self")
	put := func(name string, port uint16, meta []byte) error {
		n := &memberlist.Node{Name: name, Addr: net.IPv4(10, 0, 0, 1).To4(), Port: port, Meta: meta}
		if err := r.NotifyAlive(n); err != nil {
			return err
		}
		r.NotifyJoin(n)
		return nil
	}
	if err := put("self", 1, meta{zone: "z1"}.encode()); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", strings.Repeat("x", 129), "\xff", "a b", "a\x00b", "a\n"} {
		if put(bad, 2, nil) == nil {
			t.Errorf("took in %q", bad)
		}
	}
	if r.NotifyAlive(&memberlist.Node{Name: "a", Addr: []byte{1, 2, 3}, Port: 1}) == nil || put("a", 0, nil) == nil {
		t.Error("took in an address that is none")
	}
	if n := r.refused.Load(); n != 8 {
		t.Errorf("%d refused, want 8", n)
	}
	for i := 1; i < maxLive; i++ {
		if err := put(fmt.Sprintf("m%d", i), uint16(1+i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if put("one-too-many", 9999, nil) == nil || r.count.Load() != maxLive {
		t.Error("no limit")
	}
	if err := put("m1", 5000, meta{zone: "z2"}.encode()); err != nil { // known ones may change
		t.Error(err)
	}
	at := func(port uint16) bool { return r.has(netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), port)) }
	if at(2) || !at(5000) || !at(3) {
		t.Error("the addresses do not follow")
	}
	r.NotifyLeave(&memberlist.Node{Name: "m2"})
	r.NotifyLeave(&memberlist.Node{Name: "self"})
	r.NotifyLeave(&memberlist.Node{Name: "stranger"})
	if at(3) || r.count.Load() != maxLive-1 {
		t.Errorf("%d live after one left", r.count.Load())
	}
	r.freeze()
	if all := r.members(); len(all) != 1 || !all[0].Self || all[0].Zone != "z1" || all[0].Addr != "10.0.0.1:1" {
		t.Errorf("members after leaving: %+v", all)
	}
	put("m3", 4, nil)
	if r.count.Load() != 1 {
		t.Error("a member joined after leaving")
	}
}

// Who went without a word is missing for a while; who said so before is not.
func TestWhoIsMissing(t *testing.T) {
	r := newRoster("self")
	node := func(name string, m meta) *memberlist.Node {
		return &memberlist.Node{Name: name, Addr: net.IPv4(10, 0, 0, 1).To4(), Port: 1, Meta: m.encode()}
	}
	r.NotifyJoin(node("m1", meta{}))
	r.NotifyUpdate(node("m1", meta{leaving: true}))
	r.NotifyLeave(node("m1", meta{leaving: true}))
	r.NotifyLeave(node("unheard of", meta{}))
	if r.lacks(coord.Now()) || r.missing(coord.Now()) != 0 {
		t.Error("who left is missing")
	}
	for _, name := range []string{"m2", "m3"} {
		r.NotifyJoin(node(name, meta{}))
		r.NotifyLeave(node(name, meta{}))
	}
	if !r.lacks(coord.Now()) || r.lacks(coord.Now()+lacksFor) {
		t.Error("who died is not missing, or for too long")
	}
	if n := r.missing(coord.Now()); n != 2 {
		t.Errorf("%d are missing of the two that died", n)
	}
	r.NotifyJoin(node("m3", meta{}))
	if n := r.missing(coord.Now()); n != 1 {
		t.Errorf("%d are missing of two of whom one came back", n)
	}
	if n := r.missing(coord.Now() + lacksFor); n != 0 {
		t.Errorf("%d are still missing after %v", n, lacksFor)
	}
}

func FuzzMeta(f *testing.F) {
	f.Add([]byte{})
	f.Add(meta{}.encode())
	f.Add(meta{zone: "eu-west-1a"}.encode())
	f.Add(meta{zone: strings.Repeat("z", MaxZone)}.encode())
	f.Add([]byte{metaVersion, 9, 2, 'x', 'y', metaZone, 1, 'z'})
	f.Add([]byte{metaVersion, metaZone, 200, 'z'})
	f.Add([]byte{metaVersion + 1, metaZone, 1, 'z'})
	f.Fuzz(func(t *testing.T, b []byte) {
		m := decodeMeta(b)
		if len(m.zone) > MaxZone {
			t.Errorf("zone of %d bytes", len(m.zone))
		}
		if got := decodeMeta(m.encode()); got != m {
			t.Errorf("%+v came back as %+v", m, got)
		}
	})
}

func TestMetaSkipsWhatItDoesNotKnow(t *testing.T) {
	for _, test := range []struct {
		meta []byte
		want string
	}{
		{nil, ""},
		{meta{zone: "eu"}.encode(), "eu"},
		{[]byte{metaVersion, 9, 2, 'x', 'y', metaZone, 1, 'z'}, "z"},
		{[]byte{metaVersion, metaZone, 1, 'z', 9, 0}, "z"},
		{[]byte{metaVersion + 1, metaZone, 1, 'z'}, ""},
		{[]byte{metaVersion, metaZone, 2, 'z'}, ""},
		{[]byte{metaVersion, metaZone, 1, 0xff}, ""},
	} {
		if got := decodeMeta(test.meta).zone; got != test.want {
			t.Errorf("%v: %q, want %q", test.meta, got, test.want)
		}
	}
	if n := len(meta{zone: strings.Repeat("z", MaxZone)}.encode()); n > memberlist.MetaMaxSize {
		t.Errorf("%d bytes of metadata", n)
	}
}
