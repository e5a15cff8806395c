package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/gossip"
	"github.com/murmuration-go/murmuration/retry"
)

const (
	attemptTimeout = time.Second
	healthy        = 3 * time.Millisecond // what a call takes
)

// upstream is a service that is called: a function in the place of a server.
type upstream struct {
	name    string
	stalled atomic.Bool
}

func (u *upstream) serve(ctx context.Context, _ failover.Endpoint) error {
	wait := healthy
	if u.stalled.Load() {
		wait = time.Hour
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// load is calls of all members to some services, by chance and whether or not earlier
// ones have ended.
type load struct {
	stop context.CancelFunc
	work sync.WaitGroup
}

// call has all members call the services until end. Without a cluster each decides
// alone, and nobody is told.
func (f *fleet) call(ctx context.Context, services []*upstream, cluster bool) (*load, error) {
	l := &load{}
	ctx, l.stop = context.WithCancel(ctx)
	for _, m := range f.members {
		var groups []*failover.Group
		for _, u := range services {
			c := failover.Config{
				Endpoints: []failover.Endpoint{{Name: "primary"}},
				Retry:     retry.Policy{AttemptTimeout: attemptTimeout},
			}
			if cluster {
				c.Cluster = m
			}
			g, err := failover.New(u.name, c)
			if err != nil {
				l.end()
				return nil, err
			}
			groups = append(groups, g)
		}
		l.work.Go(func() { l.drive(ctx, services, groups, f.rate) })
	}
	return l, nil
}

func (l *load) drive(ctx context.Context, services []*upstream, groups []*failover.Group, rate float64) {
	if len(groups) == 0 {
		return
	}
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		at := rand.IntN(len(groups))
		l.work.Go(func() { _ = groups[at].Do(ctx, services[at].serve) })
		t.Reset(time.Duration(rand.ExpFloat64() / (rate * float64(len(groups))) * float64(time.Second)))
	}
}

// end waits until all calls have ended.
func (l *load) end() {
	l.stop()
	l.work.Wait()
}

// upstreams names services that nobody has called yet.
func upstreams(n int, name string) (l []*upstream) {
	for i := range n {
		l = append(l, &upstream{name: fmt.Sprintf("%s-%d", name, i+1)})
	}
	return l
}

// phi is what is in force at a member.
func phi(m *gossip.Cluster, u *upstream) float64 {
	return m.CoordService(u.name).Endpoint("primary").Advice().Phi.Float()
}
