package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// event is a fault that befell the fleet.
type event struct {
	At   float64 `json:"at_s"`
	What string  `json:"what"`
}

// kind is a kind of fault. draw fixes everything by chance, says what happens, and
// returns what makes it happen; that returns what ends it, nil if it has ended.
type kind struct {
	name string
	draw func(f *fleet, rng *rand.Rand) (what string, begin func(context.Context) (end func(), err error))
}

var kinds = []kind{
	{"latency", toProxies(func(rng *rand.Rand) (trouble, string) {
		d := time.Duration(20+rng.IntN(680)) * time.Millisecond
		return trouble{delay: d}, fmt.Sprintf("late by %v", d)
	})},
	{"resets", toProxies(func(rng *rand.Rand) (trouble, string) {
		share := .02 + .5*rng.Float64()
		return trouble{reset: share}, fmt.Sprintf("%.0f %% of pieces reset", 100*share)
	})},
	{"stall", toProxies(func(*rand.Rand) (trouble, string) { return trouble{stall: true}, "stalled" })},
	{"refusals", toProxies(func(*rand.Rand) (trouble, string) { return trouble{refuse: true}, "connections refused" })},
	{"errors", func(f *fleet, rng *rand.Rand) (string, func(context.Context) (func(), error)) {
		failing, name := f.zones, "all zones fail" // so that there is nowhere to turn to, and retries are what is left
		if rng.IntN(2) == 0 {
			z := pick(rng, f.zones)
			failing, name = []*zone{z}, "zone "+z.name+" fails"
		}
		percent := 3 + rng.Uint32N(pick(rng, []uint32{20, 98}))
		set := func(percent uint32) {
			for _, z := range failing {
				z.failing.Store(percent)
			}
		}
		return fmt.Sprintf("%s %d %%", name, percent), func(context.Context) (func(), error) {
			set(percent)
			return func() { set(0) }, nil
		}
	}},
	{"loss", func(f *fleet, rng *rand.Rand) (string, func(context.Context) (func(), error)) {
		share := .05 + .45*rng.Float64()
		return fmt.Sprintf("gossip loses %.0f %%", 100*share), func(context.Context) (func(), error) {
			f.network.Lose(share)
			return func() { f.network.Lose(0) }, nil
		}
	}},
	{"delay", func(f *fleet, rng *rand.Rand) (string, func(context.Context) (func(), error)) {
		most := time.Duration(50+rng.IntN(750)) * time.Millisecond
		return fmt.Sprintf("gossip late by up to %v", most), func(context.Context) (func(), error) {
			f.network.Delay(0, most)
			return func() { f.network.Delay(0, 0) }, nil
		}
	}},
	{"repeats", func(f *fleet, rng *rand.Rand) (string, func(context.Context) (func(), error)) {
		share := .1 + .9*rng.Float64()
		return fmt.Sprintf("gossip repeats %.0f %%", 100*share), func(context.Context) (func(), error) {
			f.network.Repeat(share)
			return func() { f.network.Repeat(0) }, nil
		}
	}},
	{"split", func(f *fleet, rng *rand.Rand) (string, func(context.Context) (func(), error)) {
		away := some(rng, f.usual(), 1+rng.IntN(f.settings.members-1))
		return fmt.Sprintf("gossip cut between %d members and the rest", len(away)), func(context.Context) (func(), error) {
			f.network.Split(f.ports(away)...)
			return func() { f.network.Split() }, nil
		}
	}},
	{"crash", func(f *fleet, rng *rand.Rand) (string, func(context.Context) (func(), error)) {
		dead := some(rng, f.usual(), 1+rng.IntN(max(f.settings.members/3, 1)))
		return fmt.Sprintf("%d members crash", len(dead)), func(ctx context.Context) (func(), error) {
			for _, s := range dead {
				f.stop(s, (*member).crash)
			}
			return func() {
				for _, s := range dead {
					f.restart(ctx, s)
				}
			}, nil
		}
	}},
	{"join", func(f *fleet, rng *rand.Rand) (string, func(context.Context) (func(), error)) {
		n, crash := 1+rng.IntN(spareSlots), rng.IntN(2) == 0
		how, leaves := (*member).leave, "leave"
		if crash {
			how, leaves = (*member).crash, "crash"
		}
		return fmt.Sprintf("%d members join, and %s later", n, leaves), func(ctx context.Context) (func(), error) {
			var more []*slot
			for i := range n {
				s := f.add(f.zones[i%2].name)
				more = append(more, s)
				f.restart(ctx, s)
			}
			return func() {
				for _, s := range more {
					f.stop(s, how)
				}
				f.mu.Lock()
				f.slots = f.slots[:f.settings.members]
				f.mu.Unlock()
			}, nil
		}
	}},
	{"rollout", func(f *fleet, _ *rand.Rand) (string, func(context.Context) (func(), error)) {
		return "all are restarted one by one", func(ctx context.Context) (func(), error) { f.roll(ctx); return nil, nil }
	}},
	{"rotation", func(f *fleet, _ *rand.Rand) (string, func(context.Context) (func(), error)) {
		return "the key is replaced", func(ctx context.Context) (func(), error) { f.rotate(ctx); return nil, nil }
	}},
	{"override", override},
}

func pick[T any](rng *rand.Rand, l []T) T { return l[rng.IntN(len(l))] }

// some draws n of l.
func some[T any](rng *rand.Rand, l []T, n int) []T {
	l = slices.Clone(l)
	rng.Shuffle(len(l), func(i, j int) { l[i], l[j] = l[j], l[i] })
	return l[:n]
}

// usual are the slots that are there all the time.
func (f *fleet) usual() []*slot { return f.all()[:f.settings.members] }

func (f *fleet) ports(slots []*slot) (l []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range slots {
		var port int
		if _, err := fmt.Sscanf(s.addr[strings.LastIndexByte(s.addr, ':'):], ":%d", &port); err == nil {
			l = append(l, port)
		}
	}
	return l
}

// toProxies is trouble with the connections to one service in a zone, or to all of it.
func toProxies(what func(*rand.Rand) (trouble, string)) func(*fleet, *rand.Rand) (string, func(context.Context) (func(), error)) {
	return func(f *fleet, rng *rand.Rand) (string, func(context.Context) (func(), error)) {
		z, at := pick(rng, f.zones), rng.IntN(len(services)+1)
		affected := services
		if at < len(services) {
			affected = services[at : at+1]
		}
		t, name := what(rng)
		set := func(t trouble) {
			for _, s := range affected {
				z.proxies[s].set(t)
			}
		}
		return fmt.Sprintf("%s in zone %s %s", strings.Join(affected, ", "), z.name, name), func(context.Context) (func(), error) {
			set(t)
			return func() { set(trouble{}) }, nil
		}
	}
}

// strike has some faults befall the fleet at once for a while, and tells what they were.
func (f *fleet) strike(ctx context.Context, rng *rand.Rand) (events []event) {
	var whats []string
	var begins []func(context.Context) (func(), error)
	for _, k := range some(rng, kinds, 1+rng.IntN(3)) {
		what, begin := k.draw(f, rng)
		whats, begins = append(whats, what), append(begins, begin)
		events = append(events, event{At: time.Since(f.began).Seconds(), What: what})
	}
	under := strings.Join(whats, "; ")
	lasts := time.Duration(3000+rng.IntN(10000)) * time.Millisecond
	f.setUnder(under)
	f.note("for %v: %s", lasts, under)
	var ends []func()
	var mu sync.Mutex
	var work sync.WaitGroup
	for _, begin := range begins {
		work.Go(func() { // those that take long go on beside the others
			end, err := begin(ctx)
			if err != nil && ctx.Err() == nil {
				f.broken("a fault did not happen as it should: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			if end != nil {
				ends = append(ends, end)
			}
		})
	}
	_ = pause(ctx, lasts)
	work.Wait()
	for _, end := range ends {
		end()
	}
	f.setUnder("after: " + under)
	return events
}

func (f *fleet) setUnder(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.under = what
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
