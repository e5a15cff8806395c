package gossip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseSeed(t *testing.T) {
	long := strings.Repeat("x", 255)
	for text, want := range map[string]seed{
		"10.0.0.1:7960":         {host: "10.0.0.1", port: 7960},
		"[fd00::1]:7960":        {host: "fd00::1", port: 7960},
		"shop:65535":            {host: "shop", port: 65535},
		"dns+shop.svc.:7960":    {host: "shop.svc.", port: 7960},
		"dnssrv+_g._udp.shop":   {host: "_g._udp.shop"},
		"":                      {},
		"shop":                  {},
		":7960":                 {},
		"shop:0":                {},
		"shop:65536":            {},
		"shop:-1":               {},
		"shop:http":             {},
		"fd00::1:7960":          {},
		"node/10.0.0.1:7960":    {},
		"[fe80::1%eth0]:7960":   {},
		"a b:1":                 {},
		"dns+":                  {},
		"dns+shop":              {},
		"dns+10.0.0.1:7960":     {},
		"dnssrv+":               {},
		"dnssrv+shop:7960":      {},
		"dnssrvnoa+shop":        {},
		"http://shop:7960":      {},
		"dns+" + long + ":7960": {},
		"dnssrv+" + long:        {},
	} {
		got, err := parseSeed(text)
		if want != (seed{}) {
			want.text = text
		}
		if got != want || (err == nil) != (want != seed{}) {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
		if err != nil && !strings.Contains(err.Error(), "dns+name:port") {
			t.Errorf("%q: error %q does not say what to do", text, err)
		}
	}
}

func FuzzParseSeed(f *testing.F) {
	for _, s := range []string{"10.0.0.1:7960", "dns+shop:1", "dnssrv+_g._udp.shop", "[::1]:1", "x/y:1", "[::% ]:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseSeed(s)
		if err != nil {
			return
		}
		if got.text != s || got.host == "" || len(got.host) > 254 || strings.ContainsAny(got.host, " /[]@") {
			t.Errorf("%q: %+v", s, got)
		}
		if again, err := parseSeed(got.text); err != nil || again != got {
			t.Errorf("%q: %+v, then %+v, %v", s, got, again, err)
		}
	})
}

// names is a resolver that knows what it is told.
type names struct {
	a   map[string][]string
	srv map[string][]*net.SRV
}

func (n names) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	var all []netip.Addr
	for _, s := range n.a[host] {
		if s == "hang" {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		all = append(all, netip.MustParseAddr(s))
	}
	if all == nil {
		return nil, fmt.Errorf("no such host %s", host)
	}
	return all, nil
}

func (n names) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if service != "" || proto != "" || n.srv[name] == nil {
		return "", nil, errors.New("no such service")
	}
	return name, n.srv[name], nil
}

func TestResolveAll(t *testing.T) {
	r := names{
		a: map[string][]string{
			"shop": {"10.0.0.1", "10.0.0.2", "::ffff:10.0.0.3", "fd00::1"},
			"n1":   {"10.0.1.1"}, "n2": {"10.0.1.2"},
		},
		srv: map[string][]*net.SRV{
			"_g._udp.shop": {{Target: "n1", Port: 1}, {Target: "n2", Port: 2}, {Target: "gone", Port: 3}, {Target: "n1", Port: 0}},
			"_none":        {{Target: "gone", Port: 3}},
		},
	}
	var seeds []seed
	for _, s := range []string{"10.0.0.1:7960", "dns+shop:7960", "dnssrv+_g._udp.shop", "dnssrv+_none", "dns+nobody:1", "shop:7961"} {
		p, err := parseSeed(s)
		if err != nil {
			t.Fatal(err)
		}
		seeds = append(seeds, p)
	}
	own := netip.MustParseAddrPort("10.0.0.2:7960")
	addrs, status := resolveAll(t.Context(), r, seeds, func(a netip.AddrPort) bool { return a == own })
	var got []string
	for _, a := range addrs {
		got = append(got, a.String())
	}
	want := []string{
		"10.0.0.1:7960", "10.0.0.3:7960", "[fd00::1]:7960", "10.0.1.1:1", "10.0.1.2:2",
		"10.0.0.1:7961", "10.0.0.2:7961", "10.0.0.3:7961", "[fd00::1]:7961",
	}
	if !slices.Equal(got, want) {
		t.Errorf("addresses %q, want %q", got, want)
	}
	for i, n := range []int{1, 3, 2, 0, 0, 4} {
		if s := status[i]; s.Addresses != n || (s.Error != "") != (n == 0) || s.Seed != seeds[i].text {
			t.Errorf("seed %d: %+v, want %d addresses", i, s, n)
		}
	}
}

// Seeds come from DNS anew on every round, so a member finds peers that were
// not there when it started, whatever its names lead to at first.
func TestSeedsAreLookedUpAgain(t *testing.T) {
	a := join(t, Config{})
	host, port, err := net.SplitHostPort(a.Addr())
	if err != nil {
		t.Fatal(err)
	}
	r := &lateNames{after: 2, ip: netip.MustParseAddr(host)}
	b := join(t, Config{Seeds: []string{"dns+shop:" + port}, resolver: r, RejoinInterval: time.Second})
	if h := b.Health(); len(h.Seeds) != 1 || h.Seeds[0].Error == "" {
		t.Errorf("seeds %+v", h.Seeds)
	}
	b.waitMembers(t, 2)
	a.waitMembers(t, 2)
	poll(t, "a good word about the seeds", func() bool { return b.Health().SeedError == "" })
}

// lateNames knows a name only from the third look-up on.
type lateNames struct {
	after int
	ip    netip.Addr
}

func (n *lateNames) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	if n.after--; n.after >= 0 {
		return nil, errors.New("no such host")
	}
	return []netip.Addr{n.ip}, nil
}

func (n *lateNames) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	return "", nil, errors.New("no such service")
}

func TestAdvertised(t *testing.T) {
	for _, test := range []struct{ bind, advertise, want string }{
		{"127.0.0.1:0", "", "127.0.0.1:0"},
		{"[::1]:7960", "", "[::1]:0"},
		{":7960", "10.1.2.3", "10.1.2.3:0"},
		{"127.0.0.1:7960", "10.1.2.3:31000", "10.1.2.3:31000"},
	} {
		bind, err := parseBind(test.bind)
		if err != nil {
			t.Fatal(err)
		}
		got, err := advertised(t.Context(), Config{Advertise: test.advertise}.private(), bind, nil)
		if err != nil || got.String() != test.want {
			t.Errorf("bind %s, advertise %s: %v, %v; want %s", test.bind, test.advertise, got, err, test.want)
		}
	}
	// All interfaces: an address of this host or an error that names the option.
	got, err := advertised(t.Context(), Config{}.private(), bindAddr{}, nil)
	var e *ConfigError
	if errors.As(err, &e) {
		if e.Field != "Advertise" {
			t.Errorf("error %v", err)
		}
	} else if err != nil || !got.Addr().IsGlobalUnicast() {
		t.Errorf("%v, %v", got, err)
	}
}

// A member must not take itself for a peer.
func TestOwnAddressIsNoSeed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	m := join(t, Config{Bind: addr, Seeds: []string{addr}})
	poll(t, "a reason", func() bool { return strings.Contains(m.Health().Reason, "lead to nobody but this member") })
	if h := m.Health(); h.Seeds[0].Addresses != 0 || h.Seeds[0].Error != "" {
		t.Errorf("seeds %+v", h.Seeds)
	}
}
