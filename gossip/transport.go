package gossip

import (
	"context"
	"errors"
	"log"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/murmuration-go/murmuration/internal/links"
)

// transport stands between memberlist and its transport. It turns packets of
// other clusters away and counts them, ends dials when the member closes, and
// closes every connection that is still open then: memberlist itself leaves
// them to their timeouts.
type transport struct {
	inner memberlist.Transport
	label string
	ctx   context.Context //nolint:containedctx // ends dials: the member's life, not a request's
	end   context.CancelFunc

	packets chan *memberlist.Packet
	streams chan net.Conn
	stop    chan struct{} // ends the pump
	done    sync.WaitGroup

	packetsIn, packetsOut, bytesIn, bytesOut, strangers atomic.Uint64

	mu     sync.Mutex
	closed bool
	open   map[*trackedConn]struct{}
}

var _ memberlist.NodeAwareTransport = (*transport)(nil)

// newTransport listens at bind, by what ctx says. The second result is the port that
// is listened on.
func newTransport(ctx context.Context, label string, bind bindAddr, logger *log.Logger) (*transport, uint16, error) {
	host := ""
	if bind.addr.IsValid() {
		host = bind.addr.String()
	}
	inner, port, err := links.Open(ctx, host, int(bind.port), logger)
	if err != nil {
		return nil, 0, err
	}
	t := &transport{
		inner:   inner,
		label:   label,
		packets: make(chan *memberlist.Packet, 64),
		streams: make(chan net.Conn),
		stop:    make(chan struct{}),
		open:    map[*trackedConn]struct{}{},
	}
	t.ctx, t.end = context.WithCancel(context.Background())
	t.done.Go(t.pump)
	return t, uint16(port), nil
}

// pump passes on what comes in. Once ctx has ended it throws everything away,
// until the inner transport has shut down, which may wait for somebody to take
// its last packet.
func (t *transport) pump() {
	for {
		select {
		case p := <-t.inner.PacketCh():
			t.packetsIn.Add(1)
			t.bytesIn.Add(uint64(len(p.Buf)))
			if t.foreign(p.Buf) {
				t.strangers.Add(1)
				continue
			}
			select {
			case t.packets <- p:
			case <-t.ctx.Done():
			}
		case c := <-t.inner.StreamCh():
			select {
			case t.streams <- &inboundConn{Conn: t.track(c), t: t}:
			case <-t.ctx.Done():
				_ = c.Close()
			}
		case <-t.stop:
			return
		}
	}
}

// foreign reports whether a packet is marked as another cluster's, or as none's.
func (t *transport) foreign(b []byte) bool {
	_, label, err := memberlist.RemoveLabelHeaderFromPacket(b)
	return err != nil || label != t.label
}

func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.packets }
func (t *transport) StreamCh() <-chan net.Conn           { return t.streams }

func (t *transport) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	return t.inner.FinalAdvertiseAddr(ip, port)
}

func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	return t.WriteToAddress(b, memberlist.Address{Addr: addr})
}

func (t *transport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	t.packetsOut.Add(1)
	t.bytesOut.Add(uint64(len(b)))
	if n, ok := t.inner.(memberlist.NodeAwareTransport); ok {
		return n.WriteToAddress(b, a)
	}
	return t.inner.WriteTo(b, a.Addr)
}

func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

func (t *transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	c, err := t.dial(a, timeout)
	if err != nil {
		return nil, err
	}
	return t.track(c), nil
}

func (t *transport) dial(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	switch inner := t.inner.(type) {
	case *memberlist.NetTransport:
		d := net.Dialer{Timeout: timeout}
		return d.DialContext(t.ctx, "tcp", a.Addr)
	case memberlist.NodeAwareTransport:
		return inner.DialAddressTimeout(a, timeout)
	}
	return t.inner.DialTimeout(a.Addr, timeout)
}

// Shutdown closes the sockets and all connections, and waits for the pump.
func (t *transport) Shutdown() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil
	}
	t.closed = true
	open := t.open
	t.open = nil
	t.mu.Unlock()

	t.end()
	var errs []error
	for c := range open {
		errs = append(errs, c.Conn.Close())
	}
	errs = append(errs, t.inner.Shutdown())
	close(t.stop)
	t.done.Wait()
	return errors.Join(errs...)
}

// trackedConn is a connection that Shutdown closes if nobody else has.
type trackedConn struct {
	net.Conn
	t *transport
}

func (t *transport) track(c net.Conn) net.Conn {
	tc := &trackedConn{c, t}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		_ = c.Close()
	} else {
		t.open[tc] = struct{}{}
	}
	return tc
}

func (c *trackedConn) Close() error {
	c.t.mu.Lock()
	delete(c.t.open, c)
	c.t.mu.Unlock()
	return c.Conn.Close()
}

// inboundConn is a connection that somebody else has opened. What it begins with tells
// of which cluster they are. Whoever hangs up before is a stranger no more than a member
// that has just crashed, or a probe of whether the port is open.
type inboundConn struct {
	net.Conn
	t    *transport
	head []byte // of what has come, until it tells
	told bool
}

// maxLabelHeader is two bytes and a label.
const maxLabelHeader = 2 + memberlist.LabelMaxSize

func (c *inboundConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.told || n <= 0 {
		return n, err
	}
	c.head = append(c.head, b[:min(n, maxLabelHeader)]...)
	_, label, part := memberlist.RemoveLabelHeaderFromPacket(c.head)
	if part != nil && len(c.head) < maxLabelHeader {
		return n, err
	}
	if c.told = true; label != c.t.label {
		c.t.strangers.Add(1)
	}
	c.head = nil
	return n, err
}
