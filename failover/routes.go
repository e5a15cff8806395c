package failover

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

// routes is the set of endpoints as calls see it: immutable, replaced whole.
// The order is nearest first: what an operator prefers before all, own zone before
// others, then by priority, then as configured.
//
// The first tier is home: first tries go there, and retries too as long as the
// cluster can be expected to know better where else there is room (see divert.go).
type routes struct {
	targets []*target // nearest first; at most 64, so that a bit each fits a word
	home    []int     // indexes of the first tier that is not drained,
	away    []int     // and of the rest
	homes   uint64    // the same as bits
	weights []float64 // parallel to home,
	weight  float64   // and all together
	spills  bool      // there is somewhere else to turn, and a cluster

	// While an endpoint is being drained: the routes before, and since when. They may
	// have some before them in turn, whose drain began earlier.
	before *routes
	since  time.Duration
}

type target struct {
	Endpoint
	breaker *breaker.Breaker
	tail    *retry.Tail        // nil if no call is hedged
	drained bool               // by Group.Drain
	ordered coord.OverrideKind // by an operator: coord.Drain, coord.Prefer or 0
	off     bool               // it is out of use, by either
}

func newRoutes(zone string, targets []*target) *routes {
	r := &routes{targets: targets}
	slices.SortStableFunc(r.targets, func(a, b *target) int {
		return cmp.Or(a.last()-b.last(), distance(zone, a)-distance(zone, b), a.Priority-b.Priority)
	})
	for i, t := range r.targets {
		if t.off {
			continue
		}
		if len(r.home) > 0 {
			first := r.targets[r.home[0]]
			if t.last() != first.last() || distance(zone, t) != distance(zone, first) || t.Priority != first.Priority {
				break
			}
		}
		r.home = append(r.home, i)
	}
	if len(r.home) == 0 { // all drained: better than nothing
		r.home = []int{0}
	}
	for i := range r.targets {
		if !slices.Contains(r.home, i) {
			r.away = append(r.away, i)
		}
	}
	for _, i := range r.home {
		r.homes |= 1 << i
		w := r.targets[i].weight()
		r.weights = append(r.weights, w)
		r.weight += w
	}
	return r
}

func distance(zone string, t *target) int {
	if zone == "" || t.Zone == "" || t.Zone == zone {
		return 0
	}
	return 1
}

// last is 0 for an endpoint that an operator prefers, else 1.
func (t *target) last() int {
	if t.ordered == coord.Prefer {
		return 0
	}
	return 1
}

// first draws the endpoint for a first try.
func (r *routes) first() int {
	if len(r.home) == 1 {
		return r.home[0]
	}
	return r.home[r.draw(0)]
}

// draw draws one of home by weight, other than those that are to be skipped, a bit
// for each endpoint, unless that is all of them.
func (r *routes) draw(skip uint64) (drawn int) {
	if len(r.home) == 1 {
		return 0
	}
	sum := r.weight
	if skip != 0 {
		sum = 0
		for k, i := range r.home {
			if skip&(1<<i) == 0 {
				sum += r.weights[k]
			}
		}
	}
	x := rand.Float64() * sum
	for k, i := range r.home {
		if skip&(1<<i) != 0 {
			continue
		}
		drawn = k
		if x -= r.weights[k]; x < 0 {
			break
		}
	}
	return drawn
}

// nearest is the k-th nearest endpoint, those of home in turn from a drawn one on:
// or all that fails at one of them would fall upon the same other.
func (r *routes) nearest(k, drawn int) int {
	if n := len(r.home); k >= n {
		return r.away[k-n]
	} else {
		return r.home[(k+drawn)%n]
	}
}

// next returns where a retry is to go: the nearest endpoint that may take one,
// not yet tried if there is such a one, and not one that is to be let alone for a
// while if another takes it now. While the cluster says how much may go elsewhere it
// stays at home. tried has a bit for each endpoint tried. With no
// endpoint to turn to the index is -1, and the route says off, by the refusal of
// the nearest one not yet tried.
func (r *routes) next(tried uint64) (int, retry.Route) {
	off := retry.Route{Mode: retry.ModeNone}
	stay, drawn := r.spills && r.planned() && !r.ownPath(), r.draw(tried)
	for _, pass := range []struct{ alone, again bool }{{false, false}, {false, true}, {true, false}, {true, true}} {
		for k := range r.targets {
			i := r.nearest(k, drawn)
			t := r.targets[i]
			if (tried&(1<<i) != 0) != pass.again || t.off && len(r.targets) > 1 || stay && !r.isHome(i) {
				continue
			}
			mode, err := t.breaker.Retryable()
			pushback := t.breaker.Pushback()
			switch {
			case err == nil && pushback > 0 == pass.alone:
				return i, retry.Route{Mode: mode, Latency: t.breaker.Latency(), Pushback: pushback, Failing: t.breaker.Failing()}
			case err != nil && off.Off == nil:
				off.Off = err
			}
		}
	}
	return -1, off
}

// planned reports whether there is a plan for what fails at home.
func (r *routes) planned() bool {
	for _, i := range r.home {
		if r.targets[i].breaker.Planned() {
			return true
		}
	}
	return false
}

// ownPath reports whether this member's own path to its home is broken.
func (r *routes) ownPath() bool {
	for _, i := range r.home {
		if r.targets[i].breaker.OwnPath() {
			return true
		}
	}
	return false
}
