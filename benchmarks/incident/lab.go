package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/murmuration-go/murmuration/benchmarks/incident/internal/ways"
	"github.com/murmuration-go/murmuration/benchmarks/incident/internal/world"
)

// entrant is one strategy at work: servers, members and calls of its own.
type entrant struct {
	way     ways.Way
	servers []*world.Server
	path    *world.Path // the first member's, where that is to break
	clients []ways.Client
	calls   [][]call // by member; each written by its own goroutine
	open    []float64
}

// call is one first try: when it was due, and what became of it. All times count from
// the start of the run.
type call struct {
	due, began, ended time.Duration
	ok                bool
	sent              []time.Duration // attempts
}

// lab is one run of a scenario.
type lab struct {
	plan     *world.Plan
	entrants []*entrant
	start    time.Time
	ticks    []time.Duration // how late the lab's own ticks were
}

const (
	sampled  = 500 * time.Millisecond // of what is plotted
	ticking  = 50 * time.Millisecond  // of what shows whether the machine keeps up
	patience = 15 * time.Second       // until the members know each other
)

// incident runs all strategies through a scenario, side by side.
func incident(ctx context.Context, p *world.Plan, protocol string, l []ways.Way, show *progress) (*Report, error) {
	b := &lab{plan: p}
	defer b.close()
	for _, w := range l {
		e := &entrant{way: w}
		b.entrants = append(b.entrants, e)
		if err := e.prepare(ctx, p, w.OverGRPC(protocol)); err != nil {
			return nil, fmt.Errorf("%s: %w", w.Name, err)
		}
	}
	if err := b.meet(ctx); err != nil {
		return nil, err
	}
	if err := b.run(ctx, show); err != nil {
		return nil, err
	}
	return b.report(protocol), nil
}

// prepare starts the servers and makes the members.
func (e *entrant) prepare(ctx context.Context, p *world.Plan, overGRPC bool) error {
	env := ways.Env{GRPC: overGRPC, Zoned: p.Zoned}
	for z := range p.Zones() {
		s := world.NewServer(p, z)
		if err := s.Listen(overGRPC); err != nil {
			return err
		}
		e.servers = append(e.servers, s)
		env.Endpoints = append(env.Endpoints, ways.Endpoint{
			Name: []string{"a", "b"}[z], URL: s.URL, Addr: s.Addr, Capacity: p.CapacityOf(z),
		})
	}
	var seeds []string
	for m := range p.Members {
		mine := env
		mine.Home, mine.Seeds = p.Home(m), seeds
		if p.Path && m == 0 {
			var err error
			if e.path, err = world.NewPath(env.Endpoints[0].Addr, e.servers[0].InFault); err != nil {
				return err
			}
			x := env.Endpoints[0]
			x.Addr, x.URL = e.path.Addr, "http://"+e.path.Addr
			mine.Endpoints = []ways.Endpoint{x}
		}
		c, err := e.way.New(ctx, mine)
		if err != nil {
			return err
		}
		e.clients = append(e.clients, c)
		if g, ok := c.(ways.Gossiper); ok && len(seeds) < 3 {
			seeds = append(seeds, g.Addr())
		}
	}
	return nil
}

// meet waits until the members of every cluster know each other.
func (b *lab) meet(ctx context.Context) error {
	late := time.Now().Add(patience)
	for _, e := range b.entrants {
		for _, c := range e.clients {
			g, ok := c.(ways.Gossiper)
			for ok && g.Members() < len(e.clients) && time.Now().Before(late) {
				select {
				case <-time.After(50 * time.Millisecond):
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
	}
	return nil
}

// run lets the users call, and waits until all calls have ended.
func (b *lab) run(ctx context.Context, show *progress) error {
	b.start = time.Now().Add(200 * time.Millisecond)
	var users sync.WaitGroup
	for m := range b.plan.Members {
		due := b.plan.Arrivals(m)
		for _, e := range b.entrants {
			e.calls = append(e.calls, make([]call, len(due)))
			calls := e.calls[m]
			for i, d := range due {
				calls[i].due = d
			}
		}
	}
	for _, e := range b.entrants {
		for _, s := range e.servers {
			s.Begin(b.start)
		}
		for m := range e.clients {
			users.Go(func() { b.drive(ctx, e.clients[m], e.calls[m], &users) })
		}
	}
	finished := make(chan struct{})
	go func() { users.Wait(); close(finished) }()
	b.watch(show, finished)
	<-finished
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return nil
}

// drive makes one member's calls when they are due, whether or not earlier ones have
// ended (an open loop: users do not wait for each other).
func (b *lab) drive(ctx context.Context, c ways.Client, calls []call, users *sync.WaitGroup) {
	for i := range calls {
		if wait := time.Until(b.start.Add(calls[i].due)); wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return
			}
		}
		users.Go(func() { b.call(ctx, c, &calls[i]) })
	}
}

func (b *lab) call(ctx context.Context, client ways.Client, c *call) {
	c.began = time.Since(b.start)
	ctx, cancel := context.WithTimeout(ctx, ways.Deadline)
	defer cancel()
	ctx, trip := ways.NewTrip(ctx)
	err := client.Call(ctx)
	c.ended, c.ok = time.Since(b.start), err == nil
	for _, t := range trip.Sent() {
		c.sent = append(c.sent, t.Sub(b.start))
	}
}

// watch samples what the clients let through, and how late it is itself, until the
// calls have ended.
func (b *lab) watch(show *progress, finished <-chan struct{}) {
	for i := 0; ; i++ {
		due := b.start.Add(time.Duration(i) * ticking)
		select {
		case <-time.After(time.Until(due)):
		case <-finished:
			return
		}
		b.ticks = append(b.ticks, time.Since(due))
		if i%int(sampled/ticking) > 0 {
			continue
		}
		now := time.Since(b.start)
		for _, e := range b.entrants {
			sum := 0.0
			for _, c := range e.clients {
				sum += c.Open()
			}
			e.open = append(e.open, sum/float64(len(e.clients)))
		}
		show.at(b.plan, now)
	}
}

// close ends everything. The members of a cluster are closed side by side, since each
// may be waiting for another.
func (b *lab) close() {
	var ends sync.WaitGroup
	for _, e := range b.entrants {
		for _, c := range e.clients {
			ends.Go(c.Close)
		}
	}
	ends.Wait()
	for _, e := range b.entrants {
		if e.path != nil {
			e.path.Close()
		}
		for _, s := range e.servers {
			s.Close()
		}
	}
}
