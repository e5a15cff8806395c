package gossip

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/murmuration-go/murmuration/gossip/internal/mlog"
	"github.com/murmuration-go/murmuration/internal/coord"
)

// ErrNoSeed is the reason for which Join fails with Config.RequireSeeds.
var ErrNoSeed = errors.New("gossip: no seed answered")

const (
	udpBuffer    = 1400
	castMult     = 3                              // transmissions of a cast: times log10 of the members
	perHostName  = 64                             // bytes of the host's name in a member's
	castOverhead = 2 + 3 + 29 + 2                 // compound header and entry, encryption, label header
	nameChars    = "abcdefghijklmnopqrstuvwxyz" + // of a host, as kept in a member's name
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"
)

// Join makes this process a member. It returns once a seed has answered, or
// none has within Config.JoinTimeout or ctx's deadline; in that case the member
// works alone and goes on trying, unless RequireSeeds is set. It fails on a bad
// Config (see Validate), when it cannot listen, and when ctx is cancelled.
//
// ctx bounds Join only; Close ends the membership.
func Join(ctx context.Context, c Config) (*Cluster, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("gossip: join: %w", err)
	}
	cl, j, err := start(ctx, c.private())
	if err != nil {
		return nil, err
	}
	first := make(chan struct{})
	once := sync.OnceFunc(func() { close(first) })
	j.after = func(r round) {
		cl.noteRound(r)
		once()
	}
	jctx, cancel := context.WithCancel(context.Background())
	cl.stopJoiner = cancel
	cl.background.Go(func() {
		defer once()
		j.run(jctx)
	})
	go func() {
		defer close(cl.driverDone)
		newDriver(cl, uint64(time.Now().UnixMilli())).run(cl.stopDriver)
	}()
	if cl.cfg.JoinTimeout > 0 {
		t := time.NewTimer(cl.cfg.JoinTimeout)
		defer t.Stop()
		select {
		case <-first:
		case <-t.C:
		case <-ctx.Done():
		}
	}
	if err := ctx.Err(); errors.Is(err, context.Canceled) {
		return nil, errors.Join(fmt.Errorf("gossip: join: %w", err), cl.Close())
	}
	if err := cl.seedsMissed(); err != nil && cl.cfg.RequireSeeds {
		return nil, errors.Join(err, cl.Close())
	}
	if f := cl.cfg.Hooks.Joined; f != nil {
		f(cl)
	}
	return cl, nil
}

// start brings up a member that has not met anybody yet.
func start(ctx context.Context, c Config) (*Cluster, *joiner, error) {
	bind, err := parseBind(c.Bind)
	if err != nil {
		return nil, nil, err
	}
	seeds := make([]seed, len(c.Seeds))
	for i, s := range c.Seeds {
		if seeds[i], err = parseSeed(s); err != nil {
			return nil, nil, err
		}
	}
	adv, err := advertised(ctx, c, bind, seeds)
	if err != nil {
		return nil, nil, err
	}
	cl := &Cluster{
		cfg:        c,
		name:       memberName(),
		maxCast:    udpBuffer - castOverhead - len(c.Cluster),
		bridge:     mlog.New(c.Logger),
		loans:      make(chan struct{}, 1),
		stopDriver: make(chan struct{}),
		driverDone: make(chan struct{}),
		gone:       make(chan struct{}),
		services:   map[string]*coord.Service{},
		health:     Health{Since: time.Now(), Members: 1, Reason: "just started"},
	}
	cl.roster = newRoster(cl.name)
	cl.queue.RetransmitMult = castMult
	cl.queue.NumNodes = func() int { return max(int(cl.roster.count.Load()), 1) }
	cl.orders = newOrders(c, &cl.queue)
	cl.delegate = &delegate{zone: c.Zone, inbox: make(chan inbound, inboxSize), orders: cl.orders, queue: &cl.queue}

	if cl.transport, bind.port, err = newTransport(ctx, c.Cluster, bind, cl.bridge.Logger()); err != nil {
		return nil, nil, fmt.Errorf("gossip: cannot listen at %s, TCP and UDP: %w", c.Bind, err)
	}
	if adv.Port() == 0 {
		adv = netip.AddrPortFrom(adv.Addr(), bind.port)
	}
	cl.addr = adv
	labelled(cl.name, func() { cl.ml, err = memberlist.Create(cl.listConfig(bind)) })
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("gossip: %w", err), cl.transport.Shutdown())
	}
	return cl, &joiner{
		seeds:    seeds,
		resolver: c.resolver,
		interval: c.RejoinInterval,
		own:      ownAddr(adv, bind),
		known:    cl.roster.has,
		alone:    func() bool { return cl.roster.count.Load() < 2 },
		join: func(a netip.AddrPort) error {
			_, err := cl.ml.Join([]string{a.String()})
			return err
		},
	}, nil
}

// listConfig is memberlist's configuration: its LAN preset, faster and without
// compression, which costs more processor than it saves in our small messages.
func (c *Cluster) listConfig(bind bindAddr) *memberlist.Config {
	m := memberlist.DefaultLANConfig()
	m.Name = c.name
	m.Transport = c.transport
	m.Label = c.cfg.Cluster
	m.BindPort = int(bind.port)
	m.AdvertiseAddr = c.addr.Addr().String()
	m.AdvertisePort = int(c.addr.Port())
	m.Delegate, m.Events, m.Alive = c.delegate, c.roster, c.roster
	m.DelegateProtocolMin, m.DelegateProtocolMax, m.DelegateProtocolVersion = 1, 1, 1
	m.Logger = c.bridge.Logger()
	m.EnableCompression = false
	m.GossipInterval = 100 * time.Millisecond
	m.GossipNodes = 4
	m.GossipToTheDeadTime = time.Minute
	m.RetransmitMult = 4
	m.UDPBufferSize = udpBuffer
	m.PushPullInterval = 30 * time.Second
	m.HandoffQueueDepth = 4096
	m.TCPTimeout = 5 * time.Second
	m.DeadNodeReclaimTime = 30 * time.Second
	if keys := c.cfg.Keys; len(keys) > 0 {
		m.Keyring, _ = memberlist.NewKeyring(keys, keys[0]) // Validate has seen the keys
	}
	return m
}

// memberName is the host's name and a random part: unique to this start, so
// that a restarted process is a new member and not a conflict with its own past.
func memberName() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "member"
	}
	host = strings.Map(func(r rune) rune {
		if strings.ContainsRune(nameChars, r) {
			return r
		}
		return '-'
	}, host)
	b := make([]byte, 8)
	rand.Read(b)
	return host[:min(len(host), perHostName)] + "-" + hex.EncodeToString(b)
}

func (c *Cluster) noteRound(r round) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastRound, c.tried = r, true
}

// seedsMissed is the error of a member that has found nobody.
func (c *Cluster) seedsMissed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tried && c.lastRound.err == nil && (c.lastRound.joined > 0 || c.roster.count.Load() > 1) {
		return nil
	}
	if err := c.lastRound.err; err != nil {
		return fmt.Errorf("%w at %s%s", ErrNoSeed, strings.Join(c.cfg.Seeds, ", "), hint(err))
	}
	return fmt.Errorf("%w in time at %s", ErrNoSeed, strings.Join(c.cfg.Seeds, ", "))
}

// joiner finds peers: at first, and again and again, since a split that lasts
// for over a minute never heals by itself.
type joiner struct {
	seeds    []seed
	resolver resolver
	interval time.Duration
	own      func(netip.AddrPort) bool
	known    func(netip.AddrPort) bool // a live member has this address
	alone    func() bool
	join     func(netip.AddrPort) error
	after    func(round) // told of every round
}

// round is what one round of joining came to.
type round struct {
	seeds  []Seed
	tried  int
	joined int
	err    error // the last one, if none was joined
}

// run makes rounds until ctx ends.
func (j *joiner) run(ctx context.Context) {
	if len(j.seeds) == 0 {
		return
	}
	met := false
	for quick := time.Second; ; quick = min(quick*2, 5*time.Second) {
		j.after(j.round(ctx))
		met = met || !j.alone()
		wait := between(quick/2, quick)
		if met {
			wait = between(j.interval/2, j.interval*2)
		}
		if j.interval < 0 {
			return
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
	}
}

// round looks the seeds up and joins a few that are not members, all at once.
func (j *joiner) round(ctx context.Context) (r round) {
	addrs, status := resolveAll(ctx, j.resolver, j.seeds, j.own)
	r.seeds = status
	for _, s := range status {
		if s.Error != "" {
			r.err = errors.New(s.Error)
		}
	}
	addrs = slices.DeleteFunc(addrs, j.known)
	mrand.Shuffle(len(addrs), func(a, b int) { addrs[a], addrs[b] = addrs[b], addrs[a] })
	addrs = addrs[:min(len(addrs), seedsARound)]
	r.tried = len(addrs)
	errs := make([]error, len(addrs))
	var wg sync.WaitGroup
	for i, a := range addrs {
		wg.Go(func() { errs[i] = j.join(a) })
	}
	wg.Wait()
	for _, err := range errs {
		if err == nil {
			r.joined++
		} else {
			r.err = err
		}
	}
	if r.joined > 0 {
		r.err = nil
	}
	return r
}

func between(a, b time.Duration) time.Duration { return a + mrand.N(max(b-a, 1)) }
