// Package counted counts what members send each other, over whatever links they have:
// packets, and the streams by which memberlist exchanges whole lists.
package counted

import (
	"log"
	"net"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/murmuration-go/murmuration/internal/links"
)

// Meter counts for all members that are opened by its openers together. The zero Meter
// is ready; its methods may be called from any goroutine.
type Meter struct {
	packets, bytes, streams, streamed atomic.Uint64
}

// Sent is what has been sent since the Meter was made.
type Sent struct {
	Packets uint64
	Bytes   uint64 // of packets and streams, without the headers of IP, UDP and TCP
	Streams uint64
}

// Sent returns what all have sent.
func (m *Meter) Sent() Sent {
	return Sent{m.packets.Load(), m.bytes.Load() + m.streamed.Load(), m.streams.Load()}
}

// Over opens what open opens, and counts what goes over it.
func (m *Meter) Over(open links.Opener) links.Opener {
	return func(host string, port int, logger *log.Logger) (memberlist.Transport, int, error) {
		inner, port, err := open(host, port, logger)
		if err != nil {
			return nil, 0, err
		}
		return &transport{inner, m}, port, nil
	}
}

type transport struct {
	memberlist.Transport
	meter *Meter
}

func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	t.meter.packets.Add(1)
	t.meter.bytes.Add(uint64(len(b)))
	return t.Transport.WriteTo(b, addr)
}

func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	c, err := t.Transport.DialTimeout(addr, timeout)
	if err != nil {
		return nil, err
	}
	t.meter.streams.Add(1)
	return &stream{c, t.meter}, nil
}

// stream is the dialling side, which sees what both sides have sent.
type stream struct {
	net.Conn
	meter *Meter
}

func (s *stream) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	s.meter.streamed.Add(uint64(max(n, 0)))
	return n, err
}

func (s *stream) Write(b []byte) (int, error) {
	n, err := s.Conn.Write(b)
	s.meter.streamed.Add(uint64(max(n, 0)))
	return n, err
}
