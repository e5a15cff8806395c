// Package faulty is a network of real sockets that loses, delays, repeats and splits what
// its members send each other. It is for tests, the soak and the incident lab.
package faulty

import (
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/murmuration-go/murmuration/internal/links"
)

// Network joins the members that are opened by its Open. Its methods may be called
// at any time from any goroutine.
type Network struct {
	mu       sync.Mutex
	rng      *rand.Rand
	loss     float64
	again    float64
	from, to time.Duration
	side     map[int]int // of ports; what is not here is on side 0
}

// New returns a network without faults. The seed fixes what is lost of what is sent.
func New(seed uint64) *Network {
	return &Network{rng: rand.New(rand.NewPCG(seed, 1)), side: map[int]int{}}
}

var _ links.Opener = (*Network)(nil).Open

// Open is a links.Opener.
func (n *Network) Open(host string, port int, logger *log.Logger) (memberlist.Transport, int, error) {
	inner, port, err := links.Sockets(host, port, logger)
	if err != nil {
		return nil, 0, err
	}
	return &transport{NodeAwareTransport: inner.(memberlist.NodeAwareTransport), net: n, port: port}, port, nil
}

// Lose loses a share of the packets from now on. Streams lose nothing, as TCP does
// not.
func (n *Network) Lose(share float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.loss = share
}

// Repeat sends a share of the packets twice from now on.
func (n *Network) Repeat(share float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.again = share
}

// Delay delays packets, and the opening of streams, from now on; each by its own
// time, so that they overtake each other.
func (n *Network) Delay(from, to time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.from, n.to = from, to
}

// Split cuts the members that listen at the given ports off from all others. What is
// sent between the sides is lost from now on, but for streams that are open. No ports:
// the split heals.
func (n *Network) Split(ports ...int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.side)
	for _, p := range ports {
		n.side[p] = 1
	}
}

// cut reports whether two members do not hear each other.
func (n *Network) cut(a, b int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.side[a] != n.side[b]
}

// way draws what becomes of a packet, or of the opening of a stream.
func (n *Network) way() (late time.Duration, lost bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	lost = n.loss > 0 && n.rng.Float64() < n.loss
	return n.delay(), lost
}

// repeated draws whether a packet is sent twice.
func (n *Network) repeated() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.again > 0 && n.rng.Float64() < n.again
}

func (n *Network) delay() time.Duration {
	if n.to <= n.from {
		return n.from
	}
	return n.from + time.Duration(n.rng.Int64N(int64(n.to-n.from)))
}

// transport is one member's.
type transport struct {
	memberlist.NodeAwareTransport
	net  *Network
	port int
}

func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	return t.WriteToAddress(b, memberlist.Address{Addr: addr})
}

// WriteToAddress loses without a word, as UDP does.
func (t *transport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	port, err := portOf(a.Addr)
	if err != nil {
		return time.Time{}, err
	}
	if t.net.repeated() { // each has a fate of its own
		if _, err := t.send(b, a, port); err != nil {
			return time.Time{}, err
		}
	}
	return t.send(b, a, port)
}

func (t *transport) send(b []byte, a memberlist.Address, port int) (time.Time, error) {
	late, lost := t.net.way()
	if lost || t.net.cut(t.port, port) {
		return time.Now(), nil
	}
	if late == 0 {
		return t.NodeAwareTransport.WriteToAddress(b, a)
	}
	b = slices.Clone(b)
	time.AfterFunc(late, func() {
		if !t.net.cut(t.port, port) {
			_, _ = t.NodeAwareTransport.WriteToAddress(b, a) // may be closed by now
		}
	})
	return time.Now(), nil
}

func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

var errCut = errors.New("the network is split")

// DialAddressTimeout fails at once where the other side is out of reach: to wait for
// the timeout would hold up a member that closes.
func (t *transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	port, err := portOf(a.Addr)
	if err != nil {
		return nil, err
	}
	late, _ := t.net.way()
	time.Sleep(late)
	if t.net.cut(t.port, port) {
		return nil, fmt.Errorf("dial %s: %w", a.Addr, errCut)
	}
	return t.NodeAwareTransport.DialAddressTimeout(a, timeout)
}

func portOf(addr string) (int, error) {
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return 0, err
	}
	return a.Port, nil
}
