package gossip

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/node"
)

func TestMembersMeetAndPart(t *testing.T) {
	key := [][]byte{bytes.Repeat([]byte("k"), 32)}
	a := join(t, Config{Zone: "za", Keys: key})
	b := join(t, Config{Zone: "zb", Keys: key, Seeds: []string{a.Addr()}, RequireSeeds: true})
	c := join(t, Config{Keys: key, Seeds: []string{b.Addr(), "127.0.0.1:1"}, RequireSeeds: true})
	all := []*cluster{a, b, c}
	zones := map[string]string{a.Addr(): "za", b.Addr(): "zb", c.Addr(): ""}
	for _, m := range all {
		m.waitMembers(t, 3)
		m.waitMode(t, ModeCoordinated)
		selves := 0
		for _, o := range m.Members() {
			if zone, ok := zones[o.Addr]; !ok || zone != o.Zone {
				t.Errorf("member %+v, want zone %q", o, zone)
			}
			if o.Self {
				selves++
				if o.Addr != m.Addr() || o.Name != m.Health().Name {
					t.Errorf("%s calls itself %+v", m.Addr(), o)
				}
			}
		}
		if selves != 1 {
			t.Errorf("%d members are self", selves)
		}
	}

	if err := b.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.waitMembers(t, 2)
	c.waitMembers(t, 2)
	for _, m := range []*cluster{a, c} {
		if h := m.Health(); h.Missing != 0 || h.SplitSuspected {
			t.Errorf("who left in good order is missing: %+v", h)
		}
	}
	b.waitMembers(t, 1)
	b.waitMode(t, ModeAlone)
	if r := b.Health().Reason; !strings.Contains(r, "has left") {
		t.Errorf("reason %q", r)
	}
	if err := b.Leave(t.Context()); err != nil {
		t.Errorf("second leave: %v", err)
	}

	if err := c.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	a.waitMembers(t, 1)
	a.waitMode(t, ModeAlone)
	if r := a.Health().Reason; !strings.Contains(r, "all the other members are gone") {
		t.Errorf("reason %q", r)
	}
	if n := a.log.count("msg=\"gossip: "); n != 3 { // alone, coordinated, alone
		t.Errorf("%d lines about the mode, want 3:\n%s", n, a.log)
	}
}

func TestClosed(t *testing.T) {
	m := join(t, Config{})
	svc := m.CoordService("payments")
	if svc == nil || svc != m.CoordService("payments") {
		t.Fatal("not the same service for the same name")
	}
	addr := m.Addr()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if err := m.Leave(t.Context()); err != nil {
		t.Errorf("leave after close: %v", err)
	}
	if m.CoordService("payments") != nil {
		t.Error("a service of a closed cluster")
	}
	if h := m.Health(); h.Mode != ModeAlone || !strings.Contains(h.Reason, "closed") {
		t.Errorf("health %v %q", h.Mode, h.Reason)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatalf("the port is still taken: %v", err)
	}
	l.Close()
	p, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatalf("the port is still taken: %v", err)
	}
	p.Close()
}

func TestNilCluster(t *testing.T) {
	var c *Cluster
	if c.CoordService("x") != nil || c.Members() != nil || c.Endpoints() != nil || c.Addr() != "" || c.Zone() != "" || c.Leave(t.Context()) != nil || c.Close() != nil {
		t.Error("a nil cluster does something")
	}
	if h := c.Health(); h.Mode != ModeAlone || h.Reason == "" {
		t.Errorf("health %+v", h)
	}
	if coord.Resolve(c, "x") != nil || coord.Resolve(nil, "x") != nil {
		t.Error("a nil cluster has services")
	}
}

func TestServicesAreBounded(t *testing.T) {
	m := join(t, Config{})
	for i := range node.MaxUsed {
		if m.CoordService(strings.Repeat("s", 1+i%60)+string(rune('a'+i/60))) == nil {
			t.Fatalf("service %d refused", i)
		}
	}
	if m.CoordService("one too many") != nil {
		t.Error("no limit")
	}
	for _, bad := range []string{"", strings.Repeat("x", 65), "\xff"} {
		if m.CoordService(bad) != nil {
			t.Errorf("service %q", bad)
		}
	}
	if n := m.Health().Dropped[dropServices]; n != 1 {
		t.Errorf("%d refused, want 1", n)
	}
}

// A member that finds nobody must say so, in Health and in one line of the log.
func TestAlone(t *testing.T) {
	k1, k2 := [][]byte{bytes.Repeat([]byte("1"), 32)}, [][]byte{bytes.Repeat([]byte("2"), 16)}
	tests := []struct {
		name           string
		peer, self     Config
		nobody         bool   // the seed is a port that nobody listens on
		reason         string // of self
		decrypt, label bool   // counted by the peer
	}{
		{name: "no peer", nobody: true, reason: "no peer answers at these seeds: 127.0.0.1:"},
		{name: "another key", peer: Config{Keys: k1}, self: Config{Keys: k2}, reason: "compare Keys", decrypt: true},
		{name: "no key", peer: Config{Keys: k1}, reason: "compare Keys", decrypt: true},
		{name: "a key too many", self: Config{Keys: k1}, reason: "compare Keys", decrypt: true},
		{name: "another cluster", self: Config{Cluster: "other"}, reason: "compare Cluster", label: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			peer := join(t, test.peer)
			seed := peer.Addr()
			if test.nobody {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				seed = l.Addr().String()
				l.Close()
			}
			test.self.Seeds = []string{seed}
			self := join(t, test.self)
			poll(t, "a reason", func() bool { return strings.Contains(self.Health().Reason, test.reason) })
			poll(t, "a log line", func() bool { return self.log.count(test.reason) > 0 })
			h := self.Health()
			if h.Mode != ModeAlone || h.Members != 1 || h.Coverage != 0 || h.SeedError == "" {
				t.Errorf("health %+v", h)
			}
			if !strings.Contains(h.Reason, "local rules") {
				t.Errorf("reason %q", h.Reason)
			}
			if n := self.log.count("msg=\"gossip: "); n != 1 {
				t.Errorf("%d lines, want 1:\n%s", n, self.log)
			}
			poll(t, "the peer to count it", func() bool {
				p := peer.Health()
				return p.DecryptFailures > 0 == test.decrypt && p.LabelMismatches > 0 == test.label
			})

			test.self.RequireSeeds = true
			m, err := tryJoin(t.Context(), test.self)
			if !errors.Is(err, ErrNoSeed) || m.Cluster != nil {
				t.Errorf("with RequireSeeds: %v", err)
			}
			if peer.Health().Members != 1 {
				t.Error("the peer took it in")
			}
		})
	}
}

func TestJoinHeedsContext(t *testing.T) {
	// A port that takes connections and never answers.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	hole := Config{Seeds: []string{l.Addr().String()}}

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	m, err := tryJoin(ctx, hole)
	if err != nil {
		t.Fatalf("a deadline must not fail a join: %v", err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("join and close took %v", took)
	}

	if _, err := tryJoin(ctx, hole); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a dead context: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := tryJoin(ctx, hole); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestPortTaken(t *testing.T) {
	m := join(t, Config{})
	if _, err := tryJoin(t.Context(), Config{Bind: m.Addr()}); err == nil || !strings.Contains(err.Error(), "cannot listen") {
		t.Errorf("error %v", err)
	}
}

func TestHealthIsJSON(t *testing.T) {
	m := join(t, Config{})
	b, err := json.Marshal(m.Health())
	if err != nil {
		t.Fatal(err)
	}
	var h Health
	if err := json.Unmarshal(b, &h); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte(`"mode":"alone"`)) || h.Mode != ModeAlone {
		t.Errorf("%s", b)
	}
}
