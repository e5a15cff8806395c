package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/murmuration-go/murmuration/gossip"
	"github.com/murmuration-go/murmuration/internal/links"
	"github.com/murmuration-go/murmuration/internal/links/counted"
)

// lab is where it is measured: over sockets, or in virtual time.
type lab struct {
	settings
	open links.Opener
	addr func(member int) string // where the next member listens
	cpu  func() time.Duration    // that this process has used; nil where it means nothing
	note func(string, ...any)
}

// fleet is the members and what they have sent.
type fleet struct {
	lab
	meter   counted.Meter
	started int // members so far, those that are gone included
	members []*gossip.Cluster
	seeds   []string
}

// start makes a member that joins.
func (f *fleet) start(ctx context.Context, number int) (*gossip.Cluster, error) {
	return gossip.Join(links.With(ctx, f.meter.Over(f.open)), gossip.Config{
		Cluster: "cost", Bind: f.addr(number), AllowPlaintext: true, Seeds: f.seeds,
		Logger: slog.New(slog.DiscardHandler),
	})
}

// add makes a member and keeps it.
func (f *fleet) add(ctx context.Context) (*gossip.Cluster, error) {
	f.started++
	m, err := f.start(ctx, f.started)
	if err == nil {
		f.members = append(f.members, m)
	}
	return m, err
}

// spread is how far apart the starts of a fleet's members are. Timers of members that
// start at the same instant would stay in step.
const spread = 10 * time.Millisecond

// gather starts n members, one of which is everybody's seed, and waits until all know
// all. It returns how long after the last start that was.
func (f *fleet) gather(ctx context.Context, n int) (time.Duration, error) {
	first, err := f.add(ctx)
	if err != nil {
		return 0, err
	}
	f.seeds = []string{first.Addr()}
	members, faults := make([]*gossip.Cluster, n), make([]error, n)
	var starts sync.WaitGroup
	for i := 1; i < n; i++ {
		time.Sleep(spread)
		f.started++
		number := f.started
		starts.Go(func() { members[i], faults[i] = f.start(ctx, number) })
	}
	last := time.Now()
	starts.Wait()
	for _, m := range members {
		if m != nil {
			f.members = append(f.members, m)
		}
	}
	if err := errors.Join(faults...); err != nil {
		return 0, err
	}
	err = f.until(ctx, "complete lists", func(m *gossip.Cluster) bool { return len(m.Members()) == n })
	return time.Since(last), err
}

func lists(m *gossip.Cluster, name string) bool {
	return slices.ContainsFunc(m.Members(), func(m gossip.Member) bool { return m.Name == name })
}

// patience is how long to wait for anything. Whoever misses an arrival by a lost packet
// learns of it from an exchange of whole lists, some minutes later in a large fleet.
const patience = 10 * time.Minute

// until waits until a condition holds of every member.
func (f *fleet) until(ctx context.Context, what string, ok func(*gossip.Cluster) bool) error {
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for at := 0; ; {
		for at < len(f.members) && ok(f.members[at]) {
			at++
		}
		if at == len(f.members) {
			if at = slices.IndexFunc(f.members, func(m *gossip.Cluster) bool { return !ok(m) }); at < 0 {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.New("interrupted")
		}
		if time.Since(began) > patience {
			return fmt.Errorf("no %s after %v", what, patience)
		}
	}
}

// close ends the members, side by side, since each may be waiting for another.
func (f *fleet) close() error {
	faults := make([]error, len(f.members))
	var ends sync.WaitGroup
	for i, m := range f.members {
		ends.Go(func() { faults[i] = m.Close() })
	}
	ends.Wait()
	return errors.Join(faults...)
}
