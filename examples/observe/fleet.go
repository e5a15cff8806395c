package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// fleet is the backends, the members and what they do.
type fleet struct {
	settings
	consoles [2]string // URLs of those of members 1 and 2

	operator *operator
	backends []*backend
	members  []*member
	serving  []func() // what ends the consoles
	tally    tally

	began time.Time
	stop  context.CancelFunc
	work  sync.WaitGroup
	said  sync.Mutex
}

// start has a fleet at work until ctx ends. It is to be closed, also then.
func start(ctx context.Context, s settings) (*fleet, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	f := &fleet{settings: s, began: time.Now(), stop: func() {}}
	if err := f.gather(ctx); err != nil {
		return nil, errors.Join(err, f.close())
	}
	ctx, f.stop = context.WithCancel(ctx)
	f.traffic(ctx)
	if s.cycle {
		f.work.Go(func() { f.misbehave(ctx) })
	}
	return f, nil
}

// gather starts the backends, the members and the consoles.
func (f *fleet) gather(ctx context.Context) (err error) {
	if f.operator, err = newOperator(f.key); err != nil {
		return err
	}
	for _, at := range []struct{ service, zone string }{{"payments", "a"}, {"payments", "b"}, {"search", "a"}} {
		b, err := newBackend(at.service, at.zone)
		if err != nil {
			return err
		}
		f.backends = append(f.backends, b)
	}
	var seeds []string
	for i := range f.settings.members {
		m, err := newMember(ctx, f.settings, i+1, []string{"a", "b"}[i%2], f.backends, seeds, f.operator.public)
		if err != nil {
			return err
		}
		f.members = append(f.members, m)
		if len(seeds) < 3 {
			seeds = append(seeds, m.cluster.Addr())
		}
	}
	if err := f.meet(ctx); err != nil {
		return err
	}
	return f.show()
}

// patience is how long members may take to find each other; it takes a moment as a rule.
const patience = 10 * time.Second

// meet waits until every member knows of all others, or its patience is at an end.
func (f *fleet) meet(ctx context.Context) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for _, m := range f.members {
		for m.cluster.Health().Members < len(f.members) {
			select {
			case <-tick.C:
			case <-late.C:
				f.note("member %d knows of %d members only; going on", m.number, m.cluster.Health().Members)
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// note tells what happens, and when.
func (f *fleet) note(format string, args ...any) {
	f.said.Lock()
	defer f.said.Unlock()
	fmt.Fprintf(f.log, "%6.1f s  %s\n", time.Since(f.began).Seconds(), fmt.Sprintf(format, args...))
}

// close ends everything. The members are closed side by side, since each may be waiting
// for another.
func (f *fleet) close() error {
	f.stop()
	f.work.Wait()
	for _, end := range f.serving {
		end()
	}
	faults := make([]error, len(f.members))
	var ends sync.WaitGroup
	for i, m := range f.members {
		ends.Go(func() { faults[i] = m.close() })
	}
	ends.Wait()
	for _, b := range f.backends {
		b.close()
	}
	return errors.Join(faults...)
}
