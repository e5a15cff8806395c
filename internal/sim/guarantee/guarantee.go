// Package guarantee looks on while a simulated world runs and checks, after every
// event, what the library promises of its coordination core.
//
// Each check is written from the promise, not from the code that keeps it: the
// checker keeps its own books of what members have heard and works out by plain
// means what they may make of it. What the guarantees except is excepted here
// too, each time with the reason.
//
//	G1  the cluster's retries stay within the budget, and tokens are never copied
//	G3  advice restricts no more than two stewards agree on; and one broken
//	    member neither dims a healthy endpoint for others nor delays their retries
//	G4  what is old counts for nothing, and advice without fresh verdicts fades
//	G5  few first tries reach an endpoint that answers nobody
//	G6  phi rises after clean epochs only, and by steps
//	G7  what fails at home goes elsewhere only as far as two stewards agree
//	G8  verdicts merge the same in any order and however often they come
//	G9  nothing that a node keeps or sends grows beyond its bound
//
// And beyond the guarantees, since a dimmer that never lets go keeps all of them:
//
//	end  some time after all faults have ended, nobody dims what is healthy
package guarantee

import (
	"fmt"
	"maps"
	"time"

	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/sim"
)

// BrokenError is a promise that was broken.
type BrokenError struct {
	Guarantee string
	At        time.Duration // since the start of the world
	What      string
}

func (v *BrokenError) Error() string {
	return fmt.Sprintf("%s violated at %.3fs: %s", v.Guarantee, v.At.Seconds(), v.What)
}

// Checker checks one world. It is a sim.Watch.
type Checker struct {
	first  *BrokenError
	checks map[string]uint64

	books  map[*sim.Member]*book // what members have heard
	down   map[place]time.Duration
	known  map[touched]bool              // there has been advice since
	probes map[place][]time.Duration     // first tries of late to endpoints that are down
	calm   time.Duration                 // the last disturbance of the cluster
	mended time.Duration                 // since when all has been well; 0: it has not
	unwell bool                          // some endpoint has been anything but healthy
	lied   map[*sim.Member]time.Duration // when members lied last

	dirty   []touched // whose advice this event has changed
	witness witness

	stipend float64 // a second, that members mint
	spent   Budget

	// Probes is the most first tries that an endpoint got while down, over
	// what G5 means by few.
	Probes float64
}

type touched struct {
	m *sim.Member
	p place
}

// place is an endpoint.
type place struct{ service, endpoint int }

// New returns a checker.
func New() *Checker {
	return &Checker{
		stipend: stipend,
		checks:  map[string]uint64{}, books: map[*sim.Member]*book{},
		lied: map[*sim.Member]time.Duration{},
		down: map[place]time.Duration{}, known: map[touched]bool{}, probes: map[place][]time.Duration{},
	}
}

// Err is the first promise broken, a *BrokenError, or nil.
func (c *Checker) Err() error {
	if c.first == nil {
		return nil
	}
	return c.first
}

// Mended tells that all faults have ended and every endpoint bears its load with
// ease, once it has worked off what waits.
func (c *Checker) Mended(w *sim.World) { c.mended = w.Now() }

// Checks counts what was checked, by guarantee.
func (c *Checker) Checks() map[string]uint64 { return maps.Clone(c.checks) }

// Guarantees are the names of what is checked.
func Guarantees() []string { return []string{"G1", "G3", "G4", "G5", "G6", "G7", "G8", "G9", "end"} }

// Down tells that an endpoint answers nobody from now on, or does again.
func (c *Checker) Down(w *sim.World, service, endpoint int, down bool) {
	p := place{service, endpoint}
	delete(c.down, p)
	delete(c.probes, p)
	maps.DeleteFunc(c.known, func(t touched, _ bool) bool { return t.p == p })
	if down {
		c.down[p] = w.Now()
	}
	c.Unwell()
}

// Unwell tells that some endpoint is not healthy any more: that it fails, or has
// more to do than it can.
func (c *Checker) Unwell() { c.unwell = true }

// Disturbed tells that the cluster itself has been disturbed: members came, went
// or were cut off, or their clocks or messages suffer.
func (c *Checker) Disturbed(w *sim.World) { c.calm = w.Now() }

func (c *Checker) check(w *sim.World, guarantee string, ok bool, format string, args ...any) {
	c.checks[guarantee]++
	if ok || c.first != nil {
		return
	}
	c.first = &BrokenError{guarantee, w.Now() - sim.Start, fmt.Sprintf(format, args...)}
	w.Tracef("%v", c.first)
	w.Stop()
}

// After checks what can be wrong at any time.
func (c *Checker) After(w *sim.World) {
	n := w.Messages().Largest
	c.check(w, "G9", n <= maxMessage, "a message of %d bytes was sent; the limit is %d", n, maxMessage)
	for _, t := range c.dirty {
		if t.m.Alive() {
			c.advice(w, t.m, t.p)
		}
	}
	c.dirty = c.dirty[:0]
}

// Published notes that advice changes; what it is to be is worked out when the
// event is over, for one event may change it several times.
//
// G5 counts from the last member's first advice about an endpoint that is down.
// Where local breakers, open before the stewards of their side were in touch, let
// only their own probes through, those find out late; then their advice replaces
// the breakers, and it takes them a moment to see what that lets loose.
func (c *Checker) Published(w *sim.World, m *sim.Member, service, endpoint int, a sim.Advice) {
	t := touched{m, place{service, endpoint}}
	c.dirty = append(c.dirty, t)
	if _, down := c.down[t.p]; down && a.InForce() && !c.known[t] {
		c.known[t] = true
		c.down[t.p] = w.Now()
	}
}

// Told notes that a member has a new list of members, or has started anew.
func (c *Checker) Told(w *sim.World, m *sim.Member) {
	c.Disturbed(w)
	b := c.books[m]
	if b == nil || b.incarnation != m.Incarnation() {
		b = newBook(w, m)
		c.books[m] = b
		c.witness.restarted(m)
	}
	c.witness.told(w, m)
	b.told(w, m)
}

// Delivered notes what a member is about to hear.
func (c *Checker) Delivered(w *sim.World, m *sim.Member, data []byte) {
	c.books[m].hear(w, m.Local(w.Now()), data)
	c.witness.delivered(w, m, data)
}

// Decided checks a steward's step.
func (c *Checker) Decided(w *sim.World, m *sim.Member, d *node.Decision) {
	c.gradual(w, m, d)
	if p, ok := find(w, d.Service, d.Endpoint); ok {
		c.books[m].own(m, w, m.Local(w.Now()), p)
	}
}

// Ticked checks a member after its tick.
func (c *Checker) Ticked(w *sim.World, m *sim.Member) {
	if !m.Honest() {
		c.lied[m] = w.Now()
	}
	for i, s := range w.Services() {
		for j := range s.Servers {
			p := place{i, j}
			b := c.books[m]
			b.own(m, w, m.Local(w.Now()), p)
			b.ticked[p] = b.lone(w, p)
			c.advice(w, m, p)
		}
	}
	c.bounded(w, m)
	c.conserved(w, m)
	c.letsGo(w, m)
	c.witness.ticked(c, w, m)
}

// liars are the members that are broken. Where the network itself alters messages
// it may be any of them.
func liars(w *sim.World) (n int) {
	if w.Network().Garble > 0 {
		return len(w.Live()) + 1
	}
	for _, m := range w.Live() {
		if !m.Honest() {
			n++
		}
	}
	return n
}
