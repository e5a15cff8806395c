package gossip

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/memberlist"

	"github.com/murmuration-go/murmuration/internal/node"
)

// Limits of a Config.
const (
	MaxClusterName = memberlist.LabelMaxSize // bytes
	MaxZone        = 64                      // bytes
	MaxSeeds       = 64
	MaxOperators   = 16
)

// DefaultBind is where a member listens when Config.Bind is empty: port 7960,
// TCP and UDP, on all interfaces. It therefore needs a key.
const DefaultBind = ":7960"

// DefaultRejoinInterval is the default of Config.RejoinInterval.
const DefaultRejoinInterval = 30 * time.Second

// Config says how a member takes part in a cluster. Only Cluster is mandatory,
// and Keys unless Bind is a loopback address.
type Config struct {
	// Cluster names the cluster: 1 to 255 bytes. Members of other clusters are
	// not heard, whatever addresses they come from, so clusters that reuse
	// each other's addresses never merge. All members must use the same name.
	Cluster string

	// Bind is the address to listen on, TCP and UDP: "host:port", the host an
	// IP address, "localhost", or nothing for all interfaces; port 0 picks any
	// free port. Default: DefaultBind.
	Bind string

	// Advertise is the address at which the others reach this member: "ip" or
	// "ip:port". Port 0 or none means the port that is listened on. Default:
	// the address of Bind if it is a concrete one, else the address that
	// packets to the first seed leave from, else the first global unicast
	// address of an interface. Set it behind address translation.
	Advertise string

	// Seeds say where to find members: "host:port", "dns+name:port" (every A
	// and AAAA record) or "dnssrv+name" (SRV records), at most MaxSeeds. They
	// are resolved anew on every use. They may name this member itself, and
	// not all need to answer. None: the first member, which waits for others
	// to join.
	Seeds []string

	// Keys encrypt all traffic (AES-GCM): 16, 24 or 32 random bytes each. The
	// first encrypts, all of them decrypt, so that a key can be replaced
	// member by member. None: plaintext, only allowed on a loopback address
	// or with AllowPlaintext.
	Keys [][]byte

	// AllowPlaintext permits a Bind beyond loopback without Keys. Whoever
	// reaches the port can then dim every endpoint.
	AllowPlaintext bool

	// Operators are the public keys of those who may place overrides, at most
	// MaxOperators, the same for all members. None: nobody may, and a cluster without
	// operators cannot be overruled by anybody who holds its Keys either.
	Operators []ed25519.PublicKey

	// Zone is where this member runs; the others see it in Members. At most
	// 64 bytes.
	Zone string

	// MaxMembers promises how many members the cluster will ever have, for
	// users who want a hard bound on the cluster's retries. Zero: no promise.
	MaxMembers int

	// Logger receives a line for each change of mode and memberlist's own
	// lines, at most a few a second. Default: slog.Default at the time of
	// Join.
	Logger *slog.Logger

	// Hooks are told of changes.
	Hooks Hooks

	// RequireSeeds makes Join fail when no seed answers in time. By default a
	// member that finds nobody works alone and goes on trying, for a process
	// must not depend on its peers to start.
	RequireSeeds bool

	// JoinTimeout is how long Join waits for the first seed to answer.
	// Default: 3 s. Negative: it does not wait.
	JoinTimeout time.Duration

	// RejoinInterval is how often seeds are looked up and those joined that
	// are not members, so that a split heals: the time between two rounds is
	// drawn from half to twice of it. A member that has never found a peer
	// tries faster, each 1 to 5 s. Default: 30 s. Negative: only at Join.
	RejoinInterval time.Duration

	resolver resolver   // instead of the system's, for tests
	tape     *node.Tape // records the node, for tests
}

// ConfigError is one fault of a Config.
type ConfigError struct {
	Field   string // as in the source: "Bind", "Keys[1]"
	Problem string // what is wrong and what to do
}

func (e *ConfigError) Error() string { return "gossip: Config." + e.Field + ": " + e.Problem }

// Validate reports all faults at once: an error that wraps a *ConfigError for
// each, or nil.
func (c Config) Validate() error {
	var errs []error
	fault := func(field, format string, args ...any) {
		errs = append(errs, &ConfigError{field, fmt.Sprintf(format, args...)})
	}
	switch {
	case c.Cluster == "":
		fault("Cluster", "is empty; name the cluster, the same for all its members")
	case len(c.Cluster) > MaxClusterName:
		fault("Cluster", "is %d bytes long; the limit is %d", len(c.Cluster), MaxClusterName)
	}
	bind, err := parseBind(c.Bind)
	if err != nil {
		fault("Bind", "%v", err)
	} else if len(c.Keys) == 0 && !c.AllowPlaintext && !bind.loopback() {
		fault("Keys", "are missing, and Bind %q is beyond loopback: give the same key of 32 random bytes to all "+
			"members, bind to 127.0.0.1, or set AllowPlaintext if nobody else can reach the port", cmp.Or(c.Bind, DefaultBind))
	}
	if _, err := parseAdvertise(c.Advertise); err != nil {
		fault("Advertise", "%v", err)
	}
	if len(c.Seeds) > MaxSeeds {
		fault("Seeds", "are %d; the limit is %d, use a DNS name for more", len(c.Seeds), MaxSeeds)
	}
	for i, s := range c.Seeds {
		if _, err := parseSeed(s); err != nil {
			fault(fmt.Sprintf("Seeds[%d]", i), "%v", err)
		}
	}
	for i, k := range c.Keys {
		if memberlist.ValidateKey(k) != nil {
			fault(fmt.Sprintf("Keys[%d]", i), "is %d bytes long; use 16, 24 or 32 random bytes", len(k))
		}
	}
	if len(c.Operators) > MaxOperators {
		fault("Operators", "are %d; the limit is %d", len(c.Operators), MaxOperators)
	}
	for i, k := range c.Operators {
		if len(k) != ed25519.PublicKeySize {
			fault(fmt.Sprintf("Operators[%d]", i), "has %d bytes; an ed25519 public key has %d", len(k), ed25519.PublicKeySize)
		}
	}
	switch {
	case len(c.Zone) > MaxZone:
		fault("Zone", "is %d bytes long; the limit is %d", len(c.Zone), MaxZone)
	case !utf8.ValidString(c.Zone):
		fault("Zone", "is not UTF-8")
	}
	if c.MaxMembers < 0 {
		fault("MaxMembers", "is %d; use 0 for no promise", c.MaxMembers)
	}
	if c.RequireSeeds && len(c.Seeds) == 0 {
		fault("RequireSeeds", "is set, but there are no Seeds; the first member must do without")
	}
	if c.RequireSeeds && c.JoinTimeout < 0 {
		fault("JoinTimeout", "is negative, so that Join does not wait for the seeds that RequireSeeds asks for")
	}
	return errors.Join(errs...)
}

// private returns a copy that shares nothing with the caller's, with the
// defaults filled in.
func (c Config) private() Config {
	c.Bind = cmp.Or(c.Bind, DefaultBind)
	c.Seeds = slices.Clone(c.Seeds)
	c.Keys = slices.Clone(c.Keys)
	for i, k := range c.Keys {
		c.Keys[i] = slices.Clone(k)
	}
	c.JoinTimeout = cmp.Or(c.JoinTimeout, 3*time.Second)
	c.RejoinInterval = cmp.Or(c.RejoinInterval, DefaultRejoinInterval)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.resolver == nil {
		c.resolver = net.DefaultResolver
	}
	return c
}

// bindAddr is where to listen. The zero addr is all interfaces.
type bindAddr struct {
	addr netip.Addr
	port uint16
}

func (b bindAddr) loopback() bool { return b.addr.IsLoopback() }

// concrete reports whether others may be told this very address.
func (b bindAddr) concrete() bool { return b.addr.IsValid() && !b.addr.IsUnspecified() }

func parseBind(s string) (b bindAddr, err error) {
	host, port, err := net.SplitHostPort(cmp.Or(s, DefaultBind))
	if err != nil {
		return b, fmt.Errorf("%q is not host:port", s)
	}
	if b.port, err = parsePort(port, 0); err != nil {
		return b, fmt.Errorf("%q: %w", s, err)
	}
	switch host {
	case "":
		return b, nil
	case "localhost":
		host = "127.0.0.1"
	}
	b.addr, err = netip.ParseAddr(host)
	if err != nil || b.addr.Zone() != "" {
		return b, fmt.Errorf("%q: %q is not an IP address; use one of this host, localhost, or nothing for all interfaces", s, host)
	}
	b.addr = b.addr.Unmap()
	return b, nil
}

// parseAdvertise returns the zero AddrPort when there is nothing to parse.
func parseAdvertise(s string) (a netip.AddrPort, err error) {
	if s == "" {
		return a, nil
	}
	host, port := s, "0"
	if _, err := netip.ParseAddr(s); err != nil {
		if host, port, err = net.SplitHostPort(s); err != nil {
			return a, fmt.Errorf("%q is not ip or ip:port", s)
		}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" {
		return a, fmt.Errorf("%q: %q is not an IP address", s, host)
	}
	if addr.IsUnspecified() || addr.IsMulticast() {
		return a, fmt.Errorf("%q is no address that others can reach", s)
	}
	p, err := parsePort(port, 0)
	if err != nil {
		return a, fmt.Errorf("%q: %w", s, err)
	}
	return netip.AddrPortFrom(addr.Unmap(), p), nil
}

func parsePort(s string, least uint16) (uint16, error) {
	p, err := strconv.ParseUint(s, 10, 16)
	if err != nil || uint16(p) < least {
		return 0, fmt.Errorf("port %q is not a number from %d to 65535", s, least)
	}
	return uint16(p), nil
}
