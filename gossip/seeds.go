package gossip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	maxSeedAddrs  = 1024 // addresses taken of all seeds together
	seedsARound   = 3    // seeds joined in one round
	lookupTimeout = 5 * time.Second
)

// resolver is the part of net.Resolver that is used here.
type resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

// seed is one entry of Config.Seeds.
type seed struct {
	text string
	host string // a name or an IP address
	port uint16 // 0: the records of an SRV lookup tell
}

func parseSeed(s string) (seed, error) {
	fail := func(why string) (seed, error) {
		return seed{}, fmt.Errorf("%q %s; use host:port, dns+name:port or dnssrv+name", s, why)
	}
	if name, ok := strings.CutPrefix(s, "dnssrv+"); ok {
		if why := badHost(name); why != "" {
			return fail(why)
		}
		return seed{text: s, host: name}, nil
	}
	rest, dns := strings.CutPrefix(s, "dns+")
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		return fail("has no port")
	}
	p, err := parsePort(port, 1)
	if err != nil {
		return fail("has a bad port")
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() != "" {
		return fail("is a link-local address with a zone, which is not supported")
	} else if err != nil {
		if why := badHost(host); why != "" {
			return fail(why)
		}
	} else if dns {
		return fail("asks for the address of an address")
	}
	return seed{text: s, host: host, port: p}, nil
}

func badHost(s string) string {
	switch {
	case s == "":
		return "has no name"
	case len(s) > 254:
		return "has a name of over 254 bytes"
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("/:+[]%@,", r) }):
		return "has a name with a character that no host name has"
	}
	return ""
}

// resolve looks the seed up.
func (s seed) resolve(ctx context.Context, r resolver) ([]netip.AddrPort, error) {
	if s.port != 0 {
		return lookup(ctx, r, s.host, s.port)
	}
	_, records, err := r.LookupSRV(ctx, "", "", s.host)
	if err != nil {
		return nil, err
	}
	var addrs []netip.AddrPort
	var errs []error
	for _, rec := range records[:min(len(records), maxSeedAddrs)] {
		if rec.Port == 0 {
			continue
		}
		found, err := lookup(ctx, r, rec.Target, rec.Port)
		if err != nil {
			errs = append(errs, err)
		}
		addrs = append(addrs, found...)
	}
	if len(addrs) > 0 {
		return addrs, nil
	}
	return nil, errors.Join(errs...)
}

func lookup(ctx context.Context, r resolver, host string, port uint16) ([]netip.AddrPort, error) {
	ips := []netip.Addr{}
	if ip, err := netip.ParseAddr(host); err == nil {
		ips = append(ips, ip)
	} else if ips, err = r.LookupNetIP(ctx, "ip", host); err != nil {
		return nil, err
	}
	var addrs []netip.AddrPort
	for _, ip := range ips[:min(len(ips), maxSeedAddrs)] {
		addrs = append(addrs, netip.AddrPortFrom(ip.Unmap().WithZone(""), port))
	}
	return addrs, nil
}

// Seed is what became of one entry of Config.Seeds in the last round.
type Seed struct {
	Seed      string `json:"seed"`
	Addresses int    `json:"addresses"`       // found, this member's own left out
	Error     string `json:"error,omitempty"` // why it could not be looked up
}

// resolveAll looks all seeds up at once. It returns each address once.
func resolveAll(ctx context.Context, r resolver, seeds []seed, own func(netip.AddrPort) bool) ([]netip.AddrPort, []Seed) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found := make([][]netip.AddrPort, len(seeds))
	status := make([]Seed, len(seeds))
	var wg sync.WaitGroup
	for i, s := range seeds {
		wg.Go(func() {
			addrs, err := s.resolve(ctx, r)
			found[i] = slices.DeleteFunc(addrs, own)
			status[i] = Seed{Seed: s.text, Addresses: len(found[i])}
			if err != nil {
				status[i].Error = err.Error()
			}
		})
	}
	wg.Wait()
	var all []netip.AddrPort
	seen := map[netip.AddrPort]bool{}
	for _, addrs := range found {
		for _, a := range addrs {
			if !seen[a] && len(all) < maxSeedAddrs {
				seen[a] = true
				all = append(all, a)
			}
		}
	}
	return all, status
}

// advertised works out the address to tell the others; the port may be 0.
func advertised(ctx context.Context, c Config, bind bindAddr, seeds []seed) (netip.AddrPort, error) {
	given, err := parseAdvertise(c.Advertise)
	if err != nil || given.IsValid() {
		return given, err
	}
	if bind.concrete() {
		return netip.AddrPortFrom(bind.addr, 0), nil
	}
	usable := func(ip netip.Addr) bool {
		return ip.IsGlobalUnicast() && (ip.Is4() || !bind.addr.Is4())
	}
	addrs, _ := resolveAll(ctx, c.resolver, seeds, func(netip.AddrPort) bool { return false })
	for _, a := range addrs[:min(len(addrs), 8)] {
		if ip, ok := sourceTo(a); ok && usable(ip) {
			return netip.AddrPortFrom(ip, 0), nil
		}
	}
	var seen []string
	ifaddrs, err := net.InterfaceAddrs()
	for _, a := range ifaddrs {
		p, perr := netip.ParsePrefix(a.String())
		if perr != nil {
			continue
		}
		if ip := p.Addr().Unmap(); usable(ip) {
			return netip.AddrPortFrom(ip, 0), nil
		}
		seen = append(seen, p.Addr().String())
	}
	return netip.AddrPort{}, &ConfigError{"Advertise", fmt.Sprintf(
		"is empty, and none of this host's addresses %v can be told to others (%v); set it to the address that they reach this member at", seen, err)}
}

// sourceTo is the address that packets to a leave from. It sends none.
func sourceTo(a netip.AddrPort) (netip.Addr, bool) {
	c, err := (&net.Dialer{}).DialContext(context.Background(), "udp", a.String()) // no packet, no wait
	if err != nil {
		return netip.Addr{}, false
	}
	defer func() { _ = c.Close() }()
	u, ok := c.LocalAddr().(*net.UDPAddr)
	if !ok {
		return netip.Addr{}, false
	}
	ip := u.AddrPort().Addr().Unmap()
	return ip, !ip.IsLoopback()
}

// ownAddr reports whether an address leads to this member.
func ownAddr(self netip.AddrPort, bind bindAddr) func(netip.AddrPort) bool {
	own := map[netip.AddrPort]bool{self: true}
	if bind.addr.IsValid() && !bind.addr.IsUnspecified() {
		own[netip.AddrPortFrom(bind.addr, bind.port)] = true
	} else if addrs, err := net.InterfaceAddrs(); err == nil {
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				own[netip.AddrPortFrom(p.Addr().Unmap(), bind.port)] = true
			}
		}
	}
	return func(a netip.AddrPort) bool { return own[a] }
}

// addrPort makes an AddrPort of a member's address as memberlist keeps it.
func addrPort(n *memberlist.Node) netip.AddrPort {
	ip, _ := netip.AddrFromSlice(n.Addr)
	return netip.AddrPortFrom(ip.Unmap(), n.Port)
}
