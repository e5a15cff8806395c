package gossip

import (
	"errors"
	"fmt"
	"log"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/links"
)

// network joins members by channels, with latency and loss, for bubbles of
// virtual time.
type network struct {
	loss  float64
	mu    sync.Mutex
	rng   *rand.Rand
	ports map[string]*port
	side  map[string]int // members on different sides do not hear each other
}

// port is one member's transport.
type port struct {
	net     *network
	addr    string
	packets chan *memberlist.Packet
	streams chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func newNetwork(seed uint64) *network {
	return &network{loss: .01, rng: rand.New(rand.NewPCG(seed, 1)), ports: map[string]*port{}, side: map[string]int{}}
}

func (n *network) port(addr string) *port {
	p := &port{net: n, addr: addr, packets: make(chan *memberlist.Packet, 1024), streams: make(chan net.Conn, 64), closed: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ports[addr] = p
	return p
}

// way finds the other end; lost tells that this packet is lost.
func (n *network) way(from, to string) (p *port, latency time.Duration, lost bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p = n.ports[to]
	if p == nil || n.side[from] != n.side[to] {
		return nil, 0, true
	}
	return p, 200*time.Microsecond + time.Duration(n.rng.Int64N(int64(2*time.Millisecond))), n.rng.Float64() < n.loss
}

// split puts the given members on a side of their own; none heals the network.
func (n *network) split(addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.side)
	for _, a := range addrs {
		n.side[a] = 1
	}
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
	here.Close()
	there.Close()
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

// fleet is a cluster in a bubble.
type fleet struct {
	net     *network
	members []*Cluster
	eps     []*coord.Endpoint
}

// launch starts n members one after the other; the first two are the seeds.
func launch(t *testing.T, n int, seed uint64) *fleet {
	t.Helper()
	f := &fleet{net: newNetwork(seed)}
	t.Cleanup(func() {
		for _, m := range f.members {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Minute) // memberlist's own goroutines end by their timeouts
	})
	for i := range n {
		addr := fmt.Sprintf("10.0.0.%d:7960", i+1)
		over := func(string, int, *log.Logger) (memberlist.Transport, int, error) { return f.net.port(addr), 7960, nil }
		m, err := Join(links.With(t.Context(), over), Config{
			Cluster: "test", Bind: addr, AllowPlaintext: true, Seeds: []string{"10.0.0.1:7960", "10.0.0.2:7960"},
			JoinTimeout: -1, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		f.members = append(f.members, m)
		f.eps = append(f.eps, m.CoordService("payments").Endpoint("eu"))
		time.Sleep(37*time.Millisecond + time.Duration(i)*1013*time.Nanosecond)
	}
	return f
}

// until lets virtual time pass until a condition holds.
func (f *fleet) until(t *testing.T, what string, limit time.Duration, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > limit {
			for _, m := range f.members {
				h := m.Health()
				if h.Mode == ModeCoordinated && h.Members == len(f.members) {
					continue
				}
				t.Logf("%s: %d members, coverage %.2f, %v: %s", m.Addr(), h.Members, h.Coverage, h.Mode, h.Reason)
			}
			t.Fatalf("no %s after %v", what, limit)
		}
		time.Sleep(tick / 5)
	}
	took := time.Since(began)
	t.Logf("%s after %v", what, took)
	return took
}

func (f *fleet) complete(n int) func() bool {
	return func() bool {
		for _, m := range f.members {
			if len(m.Members()) != n || m.Health().Mode != ModeCoordinated {
				return false
			}
		}
		return true
	}
}
