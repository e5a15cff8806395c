package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/links/faulty"
	"github.com/murmuration-go/murmuration/retry"
)

const (
	cluster     = "soak"
	rejoinEvery = 5 * time.Second
	spareSlots  = 2 // members beyond the usual ones
)

// fleet is the servers, the members and what is watched of them.
type fleet struct {
	settings
	log      io.Writer
	network  *faulty.Network
	operator ed25519.PrivateKey
	zones    []*zone
	books    map[string]*book // by service
	gate     gate
	began    time.Time

	calls, good, refused, refusals, diversions, budgetStops atomic.Uint64

	rolling    sync.Mutex // one rollout at a time
	starting   sync.Mutex // a member, or to be about to with other keys
	mu         sync.Mutex
	slots      []*slot
	keys       [][]byte
	violations []violation
	broke      int
	under      string // the faults under way
}

// slot is a place for a member. Whoever is started there anew has the same address, and
// is a new member nevertheless.
type slot struct {
	zone   string
	addr   string // "" before the first
	member *member
}

// violation is a promise that was broken.
type violation struct {
	At    float64 `json:"at_s"`
	What  string  `json:"what"`
	Under string  `json:"under"` // the faults at that time
}

const maxViolations = 20 // that are kept

func (f *fleet) broken(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broke++; f.broke > maxViolations {
		return
	}
	v := violation{time.Since(f.began).Seconds(), fmt.Sprintf(format, args...), f.under}
	f.violations = append(f.violations, v)
	fmt.Fprintf(f.log, "%7.1f s  VIOLATION, seed %d: %s (%s)\n", v.At, f.seed, v.What, v.Under)
}

func (f *fleet) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fmt.Fprintf(f.log, "%7.1f s  %s\n", time.Since(f.began).Seconds(), fmt.Sprintf(format, args...))
}

// newFleet starts the zones and the members.
func newFleet(ctx context.Context, s settings, log io.Writer) (_ *fleet, err error) {
	f := &fleet{settings: s, log: log, network: faulty.New(s.seed), began: time.Now(), books: map[string]*book{}, under: "starting"}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	if _, f.operator, err = ed25519.GenerateKey(rand.Reader); err != nil {
		return nil, err
	}
	f.keys = [][]byte{newKey()}
	for _, service := range services {
		f.books[service] = newBook(f.began, func(by float64) { f.broken("G1: %.1f retries to %s more than the budget lets", by, service) })
	}
	for i, name := range []string{"a", "b"} {
		z, err := newZone(name, s.seed+uint64(10*i))
		if err != nil {
			return nil, err
		}
		f.zones = append(f.zones, z)
	}
	for i := range s.members {
		if err := f.start(ctx, f.add(f.zones[i%2].name)); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// most is how many members there can be at a time.
func (f *fleet) most() int { return f.settings.members + spareSlots }

// capacity is what a zone is said to take of the requests to a service: half as much
// again as its own members send, so that a part only of what fails elsewhere may come,
// and the rest is left to retries.
func (f *fleet) capacity() float64 { return 1.5 * f.rate * float64(f.settings.members) / 2 }

// start starts a member in a slot, unless there is one.
func (f *fleet) start(ctx context.Context, s *slot) error {
	f.starting.Lock()
	defer f.starting.Unlock()
	f.mu.Lock()
	bind, here := s.addr, s.member != nil
	f.mu.Unlock()
	if here {
		return nil
	}
	if bind == "" {
		bind = "127.0.0.1:0"
	}
	m, err := f.newMember(context.WithoutCancel(ctx), bind, s.zone)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s.member, s.addr = m, m.cluster.Addr()
	return nil
}

// add makes a slot.
func (f *fleet) add(zone string) *slot {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &slot{zone: zone}
	f.slots = append(f.slots, s)
	return s
}

// all returns the slots, the usual ones first.
func (f *fleet) all() []*slot {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.slots)
}

// stop takes a member out of its slot and ends it.
func (f *fleet) stop(s *slot, how func(*member) error) {
	f.mu.Lock()
	m := s.member
	s.member = nil
	f.mu.Unlock()
	if m == nil {
		return
	}
	if err := how(m); err != nil {
		f.broken("closing a member: %v", err)
	}
}

// living returns the members at work.
func (f *fleet) living() (l []*member) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.slots {
		if s.member != nil {
			l = append(l, s.member)
		}
	}
	return l
}

// seeds are the addresses of the first three slots, as a list of a DNS name would be.
func (f *fleet) seeds() (l []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.slots {
		if s.addr != "" && len(l) < 3 {
			l = append(l, s.addr)
		}
	}
	return l
}

func newKey() []byte {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	return b
}

func (f *fleet) currentKeys() [][]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keys
}

// setKeys has members that start from now on use other keys. All others have been
// started by then.
func (f *fleet) setKeys(keys ...[]byte) {
	f.starting.Lock()
	defer f.starting.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys = keys
}

// close ends everything, the members side by side.
func (f *fleet) close() error {
	var ends sync.WaitGroup
	living := f.living()
	faults := make([]error, len(living))
	for i, m := range living {
		ends.Go(func() { faults[i] = m.leave() })
	}
	ends.Wait()
	for _, z := range f.zones {
		z.close()
	}
	return errors.Join(faults...)
}

// ended counts a call.
func (f *fleet) ended(err error) {
	f.calls.Add(1)
	var open *breaker.OpenError
	switch {
	case err == nil:
		f.good.Add(1)
	case errors.As(err, &open):
		f.refused.Add(1)
		f.refusal(open)
	case errors.Is(err, retry.ErrRetriesOff):
		f.refused.Add(1)
		f.broken("an error says that retries are off and not by whom: %v", err)
	case errors.Is(err, retry.ErrBudgetExhausted):
		f.budgetStops.Add(1)
	}
}

// refusal checks that a refusal says why.
func (f *fleet) refusal(e *breaker.OpenError) {
	f.refusals.Add(1)
	if err := explained(e.Source, e.Age, &e.Evidence, e.Override); err != nil {
		f.broken("a refusal is not explained, %v: %v", err, e)
	}
}

// diversion checks that a diversion says why.
func (f *fleet) diversion(e *failover.DivertedError) {
	f.diversions.Add(1)
	if err := explained(e.Source, e.Age, &e.Evidence, e.Override); err != nil {
		f.broken("a diversion is not explained, %v: %v", err, e)
	}
}
