package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// trouble is what a proxy does to connections.
type trouble struct {
	delay  time.Duration // of every piece, each way
	reset  float64       // chance that a piece breaks its connection
	stall  bool          // nothing gets through
	refuse bool          // new connections are closed at once, and so are old ones
}

// proxy stands between clients and a server.
type proxy struct {
	listener net.Listener
	target   string
	work     sync.WaitGroup

	mu      sync.Mutex
	rng     *rand.Rand
	trouble trouble
	changed chan struct{} // closed when the trouble changes
	open    map[net.Conn]struct{}
	closed  bool
}

func newProxy(target string, seed uint64) (*proxy, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, target: target, rng: rand.New(rand.NewPCG(seed, 2)), changed: make(chan struct{}), open: map[net.Conn]struct{}{}}
	p.work.Go(p.serve)
	return p, nil
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// set changes what happens from now on.
func (p *proxy) set(t trouble) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trouble = t
	close(p.changed)
	p.changed = make(chan struct{})
	if t.refuse {
		p.breakAll()
	}
}

// breakAll breaks all connections, by resets.
func (p *proxy) breakAll() {
	for c := range p.open {
		reset(c)
	}
	clear(p.open)
}

func reset(c net.Conn) {
	if c, ok := c.(*net.TCPConn); ok {
		_ = c.SetLinger(0)
	}
	_ = c.Close()
}

func (p *proxy) serve() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.join(c) })
	}
}

// join connects a client with the server until either ends.
func (p *proxy) join(client net.Conn) {
	if !p.track(client) {
		return
	}
	defer p.forget(client)
	server, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp", p.target)
	if err != nil || !p.track(server) {
		return
	}
	defer p.forget(server)
	ended := make(chan struct{})
	var once sync.Once
	end := func() { once.Do(func() { close(ended) }) }
	var ways sync.WaitGroup
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		ways.Go(func() {
			defer end()
			p.copy(way[1], way[0], ended)
		})
	}
	<-ended
	_ = client.Close()
	_ = server.Close()
	ways.Wait()
}

// copy passes on what comes, piece by piece.
func (p *proxy) copy(to, from net.Conn, ended <-chan struct{}) {
	b := make([]byte, 16<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			if !p.pass(ended) {
				reset(to)
				reset(from)
				return
			}
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				reset(to)
			}
			return
		}
	}
}

// pass waits until a piece may go, and reports false if it breaks the connection.
func (p *proxy) pass(ended <-chan struct{}) bool {
	p.mu.Lock()
	t, changed := p.trouble, p.changed
	broken := t.reset > 0 && p.rng.Float64() < t.reset
	p.mu.Unlock()
	for t.stall {
		select {
		case <-changed:
		case <-ended:
			return false
		}
		p.mu.Lock()
		t, changed = p.trouble, p.changed
		p.mu.Unlock()
	}
	if t.delay > 0 && !broken {
		wait := time.NewTimer(t.delay)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-ended:
		}
	}
	return !broken
}

// track keeps a connection, unless it is to be closed at once.
func (p *proxy) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.trouble.refuse {
		reset(c)
		return false
	}
	p.open[c] = struct{}{}
	return true
}

func (p *proxy) forget(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
}

// close ends all connections and waits for everything.
func (p *proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.trouble = trouble{}
	close(p.changed)
	p.changed = make(chan struct{})
	p.breakAll()
	p.mu.Unlock()
	_ = p.listener.Close()
	p.work.Wait()
}
