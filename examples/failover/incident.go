package main

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/murmuration-go/murmuration/examples/internal/reasons"
)

// fleet is the zones, the members and what they do.
type fleet struct {
	settings
	zones   []*zone
	members []*member
	book    book
	spans   reasons.Spans
}

// incident runs it all, and says what came of it.
func incident(ctx context.Context, s settings, v *view) (*report, error) {
	f, err := newFleet(ctx, s, v)
	if err != nil {
		return nil, err
	}
	defer f.close()
	return f.run(ctx, v)
}

// newFleet starts the zones and the members.
func newFleet(ctx context.Context, s settings, v *view) (*fleet, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	f := &fleet{settings: s}
	if err := f.gather(ctx, v); err != nil {
		f.close()
		return nil, err
	}
	f.book.start = time.Now().Add(100 * time.Millisecond)
	for _, z := range f.zones {
		z.start = f.book.start
	}
	v.note("%d members, zone a %.0f of %.0f calls a second, zone b %.0f of %.0f", s.members, s.demand[0], s.capacity[0], s.demand[1], s.capacity[1])
	return f, nil
}

// run lets the users call, and waits until all calls have ended.
func (f *fleet) run(ctx context.Context, v *view) (*report, error) {
	var drivers, calls sync.WaitGroup
	for i, m := range f.members {
		due := arrivals(f.seed, i, f.demand[m.zone]/float64(f.living(m.zone)), f.end())
		drivers.Go(func() { f.book.drive(ctx, m, due, &calls) })
	}
	finished := make(chan struct{})
	go func() {
		drivers.Wait()
		calls.Wait()
		close(finished)
	}()
	v.watch(f, finished)
	if ctx.Err() != nil {
		return nil, errors.New("interrupted")
	}
	return f.report(), nil
}

// gather starts the servers and the members, and waits until these know each other.
func (f *fleet) gather(ctx context.Context, v *view) error {
	for i, name := range []string{"a", "b"} {
		z := &zone{name: name, capacity: f.capacity[i], start: time.Now()}
		if name == "a" {
			z.fault = fault{from: f.warm, to: f.warm + f.down, cold: f.cold, vanish: f.how == "vanish"}
		}
		if err := z.listen(f.grpc); err != nil {
			return err
		}
		f.zones = append(f.zones, z)
	}
	share := f.demand[0] / (f.demand[0] + f.demand[1])
	inA := min(max(int(math.Round(share*float64(f.settings.members))), 1), f.settings.members-1)
	var seeds []string
	for i := range f.settings.members {
		at := 0
		if i >= inA {
			at = 1
		}
		m, err := newMember(ctx, f.settings, f.zones, at, seeds, &f.spans)
		if err != nil {
			return err
		}
		f.members = append(f.members, m)
		if m.cluster != nil && len(seeds) < 3 {
			seeds = append(seeds, m.cluster.Addr())
		}
	}
	return f.meet(ctx, v)
}

// patience is how long members may take to find each other. It takes a moment as a
// rule; where a packet got lost, until memberlist's next exchange of everything.
const patience = 10 * time.Second

// meet waits until every member knows of all others, or its patience is at an end:
// one that does not know of another yet decides as well.
func (f *fleet) meet(ctx context.Context, v *view) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for i, m := range f.members {
		for m.cluster != nil && m.cluster.Health().Members < len(f.members) {
			select {
			case <-tick.C:
			case <-late.C:
				v.note("member %d knows of %d members only; going on", i, m.cluster.Health().Members)
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// living is how many members live in a zone.
func (f *fleet) living(zone int) int {
	n := 0
	for _, m := range f.members {
		if m.zone == zone {
			n++
		}
	}
	return n
}

// close ends the members and the zones. The members of a cluster are closed side by
// side, since each may be waiting for another.
func (f *fleet) close() {
	var ends sync.WaitGroup
	for _, m := range f.members {
		ends.Go(m.close)
	}
	ends.Wait()
	for _, z := range f.zones {
		z.close()
	}
}
