package world

import (
	"context"
	"net"
	"sync"
	"time"
)

// Path is one member's way to a server: a TCP proxy that passes nothing on while it
// is broken. What is under way is kept, as by a network that loses packets, unless
// the side that sent it has closed the connection by then.
type Path struct {
	Addr   string
	to     string
	broken func() bool

	listener net.Listener
	cancel   context.CancelFunc
	running  sync.WaitGroup
}

// NewPath starts a path to an address.
func NewPath(to string, broken func() bool) (*Path, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Path{Addr: l.Addr().String(), to: to, broken: broken, listener: l, cancel: cancel}
	p.running.Go(func() { p.accept(ctx) })
	return p, nil
}

// Close ends the path and all its connections.
func (p *Path) Close() {
	p.cancel()
	_ = p.listener.Close()
	p.running.Wait()
}

func (p *Path) accept(ctx context.Context) {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.join(ctx, in) })
	}
}

// join copies both ways until one side closes.
func (p *Path) join(ctx context.Context, in net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.to)
	if err != nil {
		_ = in.Close()
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = in.Close(); _ = out.Close() })
	defer stop()
	var ways sync.WaitGroup
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		held, gone := make(chan []byte, 256), make(chan struct{})
		ways.Go(func() { defer close(held); defer close(gone); read(ctx, way[0], held) })
		ways.Go(func() { defer cancel(); p.write(ctx, way[1], held, gone) })
	}
	ways.Wait()
}

// read goes on reading while nothing is passed on, to see that a side has gone.
func read(ctx context.Context, from net.Conn, held chan<- []byte) {
	for {
		b := make([]byte, 4096)
		n, err := from.Read(b)
		if err != nil {
			return
		}
		select {
		case held <- b[:n]:
		case <-ctx.Done():
			return
		}
	}
}

func (p *Path) write(ctx context.Context, to net.Conn, held <-chan []byte, gone <-chan struct{}) {
	for b := range held {
		for p.broken() {
			select {
			case <-time.After(20 * time.Millisecond):
			case <-gone:
				return
			case <-ctx.Done():
				return
			}
		}
		if _, err := to.Write(b); err != nil {
			return
		}
	}
}
