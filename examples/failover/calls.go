package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/examples/internal/reasons"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/retry"
)

// call is one call of a user, and what became of it.
type call struct {
	zone  int           // whose user
	due   time.Duration // when
	began time.Duration
	ended time.Duration // 0: not yet
	ok    bool
	at    int   // the zone of the last attempt; nowhere if nothing was sent
	err   error // if nothing was sent: the refusal
	went  bool  // was diverted
	mute  bool  // and ended with an error that does not say why
}

const nowhere = -1

// book keeps the calls.
type book struct {
	start time.Time
	mu    sync.Mutex
	calls []call
}

type tripKey struct{}

// trip is where a call is sent, for the hooks to write down.
type trip struct {
	at       int
	diverted bool
}

// noted returns hooks that note where the attempts of a call go, and tell others.
func noted(zones []*zone, others failover.Hooks) failover.Hooks {
	h := others
	h.Routed = func(ctx context.Context, service, endpoint string, attempt int) {
		if t, ok := ctx.Value(tripKey{}).(*trip); ok {
			t.at = slices.IndexFunc(zones, func(z *zone) bool { return z.name == endpoint })
		}
		others.Routed(ctx, service, endpoint, attempt)
	}
	h.Diverted = func(ctx context.Context, _, _, _ string) {
		if t, ok := ctx.Value(tripKey{}).(*trip); ok {
			t.diverted = true
		}
	}
	return h
}

// run makes one call.
func (b *book) run(ctx context.Context, m *member, due time.Duration) {
	t := &trip{at: nowhere}
	began := time.Since(b.start)
	b.mu.Lock()
	i := len(b.calls)
	b.calls = append(b.calls, call{zone: m.zone, due: due, began: began, at: nowhere})
	b.mu.Unlock()
	from := time.Now() // after the lock: what is measured is the call
	err := m.call(context.WithValue(ctx, tripKey{}, t))
	took := time.Since(from)

	b.mu.Lock()
	defer b.mu.Unlock()
	c := &b.calls[i]
	c.ended, c.ok, c.at = c.began+took, err == nil, t.at
	if t.at == nowhere {
		c.err = err
	}
	c.went, c.mute = t.diverted, t.diverted && mute(err)
}

// mute reports whether a diverted call ended with an error of the library that does
// not say why it was diverted. A response of the server is none, whatever it says.
func mute(err error) bool {
	var e *retry.Error
	var diverted *failover.DivertedError
	return errors.As(err, &e) && !(errors.As(err, &diverted) && reasons.Diversion(diverted))
}

// refusal returns the error of a call of which nothing was sent, if it says why.
func (c *call) refusal() (*breaker.OpenError, bool) {
	var open *breaker.OpenError
	return open, c.err != nil && errors.As(c.err, &open)
}

// all returns the calls so far.
func (b *book) all() []call {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.calls)
}

// arrivals draws when one member's users call: by chance, at a rate.
func arrivals(seed uint64, member int, rate float64, until time.Duration) []time.Duration {
	rng := rand.New(rand.NewPCG(seed, uint64(member)))
	var due []time.Duration
	for t := 0.0; ; {
		t += rng.ExpFloat64() / rate
		d := time.Duration(t * float64(time.Second))
		if d >= until {
			return due
		}
		due = append(due, d)
	}
}

// drive makes one member's calls when they are due, whether or not earlier ones
// have ended (an open loop: users do not wait for each other).
func (b *book) drive(ctx context.Context, m *member, due []time.Duration, calls *sync.WaitGroup) {
	for _, d := range due {
		if wait := time.Until(b.start.Add(d)); wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return
			}
		}
		calls.Go(func() { b.run(ctx, m, d) })
	}
}

// state is what a member makes of the endpoint at home.
func (m *member) state() failover.EndpointState { return m.group.Explain().Endpoints[0] }
