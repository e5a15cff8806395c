// Package virtual is a network of channels, for members that gossip in a bubble of
// virtual time (testing/synctest), where sockets would not do.
package virtual

import (
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/murmuration-go/murmuration/internal/links"
)

// Network joins the members that are opened by its Open, with latency and loss. Its
// methods may be called at any time from any goroutine of its bubble.
type Network struct {
	loss  float64
	mu    sync.Mutex
	rng   *rand.Rand
	ports map[string]*port
	side  map[string]int // members on different sides do not hear each other
}

// New returns a network that loses a hundredth of the packets.
func New(seed uint64) *Network {
	return &Network{loss: .01, rng: rand.New(rand.NewPCG(seed, 1)), ports: map[string]*port{}, side: map[string]int{}}
}

var _ links.Opener = (*Network)(nil).Open

// Open is a links.Opener. The port must be given, since no other one is looked for.
func (n *Network) Open(host string, number int, _ *log.Logger) (memberlist.Transport, int, error) {
	addr := net.JoinHostPort(host, strconv.Itoa(number))
	n.mu.Lock()
	defer n.mu.Unlock()
	if number == 0 || n.ports[addr] != nil {
		return nil, 0, fmt.Errorf("listen %s: in use, or no port", addr)
	}
	p := &port{net: n, addr: addr, packets: make(chan *memberlist.Packet, 1024), streams: make(chan net.Conn, 64), closed: make(chan struct{})}
	n.ports[addr] = p
	return p, number, nil
}

// Split puts the members at the given addresses on a side of their own; none heals the
// network.
func (n *Network) Split(addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.side)
	for _, a := range addrs {
		n.side[a] = 1
	}
}

// way finds the other end; lost tells that this packet is lost.
func (n *Network) way(from, to string) (p *port, latency time.Duration, lost bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p = n.ports[to]
	if p == nil || n.side[from] != n.side[to] {
		return nil, 0, true
	}
	return p, 200*time.Microsecond + time.Duration(n.rng.Int64N(int64(2*time.Millisecond))), n.rng.Float64() < n.loss
}

// port is one member's transport.
type port struct {
	net     *Network
	addr    string
	packets chan *memberlist.Packet
	streams chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func (p *port) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	return net.ParseIP(ip).To4(), port, nil
}

func (p *port) PacketCh() <-chan *memberlist.Packet { return p.packets }
func (p *port) StreamCh() <-chan net.Conn           { return p.streams }

func (p *port) WriteTo(b []byte, addr string) (time.Time, error) {
	to, latency, lost := p.net.way(p.addr, addr)
	if lost {
		return time.Now(), nil
	}
	from, _ := net.ResolveUDPAddr("udp", p.addr)
	packet := &memberlist.Packet{Buf: slices.Clone(b), From: from}
	time.AfterFunc(latency, func() {
		packet.Timestamp = time.Now()
		select {
		case <-to.closed:
		case to.packets <- packet:
		default:
		}
	})
	return time.Now(), nil
}

func (p *port) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	to, latency, _ := p.net.way(p.addr, addr)
	if to == nil {
		time.Sleep(timeout)
		return nil, errors.New("dial: timeout")
	}
	time.Sleep(latency)
	here, there := net.Pipe()
	select {
	case <-to.closed:
	case to.streams <- there:
		return here, nil
	default:
	}
	_ = here.Close()
	_ = there.Close()
	return nil, errors.New("dial: connection refused")
}

func (p *port) Shutdown() error {
	p.once.Do(func() {
		p.net.mu.Lock()
		delete(p.net.ports, p.addr)
		p.net.mu.Unlock()
		close(p.closed)
	})
	return nil
}
