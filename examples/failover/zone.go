package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// fault is what happens to a zone, and when.
type fault struct {
	from, to time.Duration // dead within; never if they are equal
	cold     time.Duration // from to on, how long it takes until the zone is at full capacity again
	vanish   bool          // while it is dead requests get no answer, rather than a refusal at once
}

// coldShare is the share of its capacity with which a zone comes back.
const coldShare = .3

// dead reports whether the zone is dead at t.
func (f fault) dead(t time.Duration) bool { return t >= f.from && t < f.to }

// share is the share of the capacity that there is at t.
func (f fault) share(t time.Duration) float64 {
	switch {
	case f.dead(t):
		return 0
	case f.from == f.to || t < f.from || t >= f.to+f.cold:
		return 1
	}
	return coldShare + (1-coldShare)*float64(t-f.to)/float64(f.cold)
}

// zone is the server of one zone. It has a finite capacity: it works requests off
// one after the other, in order of arrival, and queues without bound. Like many
// real servers it does not notice that a client has gone: a request that timed out
// costs it as much as one that did not. With its process dies its queue.
type zone struct {
	name     string
	capacity float64 // requests a second
	fault    fault
	start    time.Time

	url   string
	close func()

	mu      sync.Mutex
	free    time.Duration   // when the queue will be worked off
	arrived []time.Duration // all requests
	done    []time.Duration // when those that it did work off were done, or will be
}

// fate is what becomes of a request.
type fate int

const (
	answered fate = iota
	refused
	swallowed
)

var errDead = errors.New("the zone is dead")

// serve works off a request. It returns when the answer is due, or the client has
// gone.
func (z *zone) serve(ctx context.Context) error {
	due, fate := z.queue(time.Since(z.start))
	if fate == swallowed {
		<-ctx.Done()
		return ctx.Err()
	}
	t := time.NewTimer(time.Until(z.start.Add(due)))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done(): // its place in the queue stays taken
		return ctx.Err()
	}
	if fate == refused {
		return errDead
	}
	return nil
}

// queue books the next place in the queue, and returns when the request is
// answered and how.
func (z *zone) queue(now time.Duration) (time.Duration, fate) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.arrived = append(z.arrived, now)
	lost := refused
	if z.fault.vanish {
		lost = swallowed
	}
	if z.fault.dead(now) {
		return now, lost
	}
	begin := max(now, z.free)
	if now >= z.fault.to {
		begin = max(now, z.free, z.fault.to)
	}
	if share := z.fault.share(begin); share > 0 {
		z.free = begin + time.Duration(float64(time.Second)/(z.capacity*share))
	} else {
		z.free = z.fault.to
	}
	if now < z.fault.from && z.free > z.fault.from && z.fault.to > z.fault.from { // dies while the request waits
		z.free = z.fault.from
		return z.fault.from, lost
	}
	z.done = append(z.done, z.free)
	return z.free, answered
}

// loads returns when requests arrived and when they were worked off.
func (z *zone) loads() (arrived, done []time.Duration) {
	z.mu.Lock()
	defer z.mu.Unlock()
	return slices.Clone(z.arrived), slices.Clone(z.done)
}
