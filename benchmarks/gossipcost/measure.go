package main

import (
	"context"
	"errors"
	"math"
	"slices"
	"syscall"
	"time"

	"github.com/murmuration-go/murmuration/gossip"
)

// cost is what a member sends and what it takes of a processor, under one load.
type cost struct {
	Virtual bool     `json:"virtual"`
	Members int      `json:"members"`
	Load    string   `json:"load"`
	Bytes   float64  `json:"bytes_per_s"`   // sent a second and member, without headers of IP, UDP and TCP
	Packets float64  `json:"packets_per_s"` // likewise
	CPU     *float64 `json:"cpu_percent"`   // of one core; null in virtual time
}

// The loads, in the order in which they are measured. The first is memberlist's own cost,
// and nearly nothing else; the second is that of the calls.
const (
	idle   = "idle"
	alone  = "5 called, not told" // as the next but one, but outside of the cluster
	one    = "1 healthy"
	five   = "5 healthy"
	amiss  = "5, one amiss"
	active = 5 // services
)

// measure measures everything for a number of members.
func (l *lab) measure(ctx context.Context, n int, r *report) (err error) {
	f := &fleet{lab: *l}
	defer func() { err = errors.Join(err, f.close()) }()
	j := joining{Virtual: l.cpu == nil, Members: n}
	fleet, err := f.gather(ctx, n)
	if err != nil {
		return err
	}
	j.Fleet = fleet.Seconds()
	f.note("all knew all %v after the last had started", fleet.Round(time.Millisecond))
	if err := f.costs(ctx, r); err != nil {
		return err
	}
	if f.runs > 0 {
		o := onset{Virtual: l.cpu == nil, Members: n}
		for range f.runs {
			if err := f.fault(ctx, &o); err != nil {
				return err
			}
		}
		r.Onsets = append(r.Onsets, o)
	}
	if err := f.join(ctx, &j); err != nil {
		return err
	}
	r.Joins = append(r.Joins, j)
	return nil
}

// costs measures each load.
func (f *fleet) costs(ctx context.Context, r *report) error {
	services := upstreams(active, "service")
	for _, what := range []string{idle, alone, one, five, amiss} {
		called := services
		switch what {
		case idle:
			called = nil
		case one:
			called = services[:1]
		}
		l, err := f.call(ctx, called, what != alone)
		if err != nil {
			return err
		}
		err = pause(ctx, f.settle)
		if what == amiss {
			services[0].stalled.Store(true) // and from here on: the worst of it is at the beginning
		}
		c := f.watch(ctx, what)
		services[0].stalled.Store(false)
		l.end()
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		f.note("%s: %.1f kB/s and %.0f packets/s a member", what, c.Bytes/1000, c.Packets)
		r.Costs = append(r.Costs, c)
	}
	return nil
}

func (f *fleet) watch(ctx context.Context, what string) cost {
	used := func() time.Duration {
		if f.cpu == nil {
			return 0
		}
		return f.cpu()
	}
	began, before, busy := time.Now(), f.meter.Sent(), used()
	_ = pause(ctx, f.window)
	took, after := time.Since(began).Seconds(), f.meter.Sent()
	share := 1 / (took * float64(len(f.members)))
	c := cost{
		Virtual: f.cpu == nil, Members: len(f.members), Load: what,
		Bytes:   round(float64(after.Bytes-before.Bytes) * share),
		Packets: round(float64(after.Packets-before.Packets) * share),
	}
	if f.cpu != nil {
		percent := round(100 * (used() - busy).Seconds() * share)
		c.CPU = &percent
	}
	return c
}

// processor is the time that this process has used, in itself and in the kernel.
func processor() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// onset is how long it takes from a fault to the members acting on it, in seconds. In
// each run a service that all have called for a while, and that was well, stops
// answering; a member acts once its phi is below 1.
type onset struct {
	Virtual bool      `json:"virtual"`
	Members int       `json:"members"`
	Half    []float64 `json:"half_s"`
	Most    []float64 `json:"most_s"` // 99 % of them
	All     []float64 `json:"all_s"`
}

// fault is one run.
func (f *fleet) fault(ctx context.Context, o *onset) error {
	u := upstreams(1, "fault")[0]
	u.name += time.Now().Format("-150405.000") // with stewards of its own
	l, err := f.call(ctx, []*upstream{u}, true)
	if err != nil {
		return err
	}
	defer l.end()
	if err := pause(ctx, f.settle); err != nil {
		return err
	}
	u.stalled.Store(true)
	began := time.Now()
	var acting []float64
	waiting := slices.Clone(f.members)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for len(waiting) > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.New("interrupted")
		}
		at := time.Since(began)
		waiting = slices.DeleteFunc(waiting, func(m *gossip.Cluster) bool {
			acts := phi(m, u) < 1
			if acts {
				acting = append(acting, at.Seconds())
			}
			return acts
		})
		if at > time.Minute {
			return errors.New("some members do not act within a minute")
		}
	}
	share := func(p float64) float64 { return acting[int(math.Ceil(p*float64(len(acting))))-1] }
	o.Half, o.Most, o.All = append(o.Half, share(.5)), append(o.Most, share(.99)), append(o.All, share(1))
	f.note("after a fault half acted after %.2f s, 99 %% after %.2f s, all after %.2f s", share(.5), share(.99), share(1))
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return errors.New("interrupted")
	}
}

func round(x float64) float64 { return math.Round(x*1000) / 1000 }
