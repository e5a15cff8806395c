// Package standin decides as breaker.Breaker does, in a time of its own.
//
// Package breaker guards calls with sony/gobreaker, which reads the clock itself
// and so cannot live in a simulator. This is the same local state machine,
// gobreaker's and what the house puts around it, with time and randomness as
// parameters: no clock, no lock, no goroutine, and no allocation after New. That
// it is the same is not claimed but tested: differential_test.go runs both on
// the same traces.
//
// It is the machine only. Dimming, hooks and latency are left out, and so are
// Retryable and Report, and that the first use of a breaker's own Allow makes it
// forget: it is a breaker that is used by Do alone or was by Allow from the start.
//
// It rests on these rules.
//
//  1. Closed lets every attempt go, half-open one probe at a time, open none.
//     Each change of state begins a generation with nothing counted. An outcome
//     of an earlier generation is dropped.
//  2. Outcomes count in a rolling window whose buckets begin with the generation,
//     in the bucket in which their attempt was let go. Neutral ones do not count
//     and end a probe as if it had not been.
//  3. The trip condition is looked at after failures only. While advice is
//     Coordinated, it must have held for two seconds: at this failure, at one at
//     least so long before, and at every one in between.
//  4. While advice is in force, every attempt goes and none counts. When its Era
//     has moved on, a new life begins: closed, nothing counted.
//  5. A probe that has been out for longer than both the open time and ten
//     seconds is given up. The new life that begins then is wary: it opens at any
//     failure, until the first success of an attempt that it let go.
//  6. The open time is OpenTimeout and up to a tenth more, drawn once a life.
//     Outcomes of an earlier life are dropped.
package standin

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// The breaker's own constants, which it does not export.
const (
	stuckAfter = 10 * time.Second
	settle     = 2 * time.Second
	ownPath    = .9
)

// Config is what breaker.Config says of the local rule, field for field. Zero
// means that Config's default.
type Config struct {
	Window              time.Duration // default 10 s, at least 10 ms
	OpenTimeout         time.Duration // default 10 s
	MinRequests         int           // default 20; negative turns the ratio rule off
	FailureRatio        float64       // default 0.5, at most 1
	ConsecutiveFailures int           // default 10; negative turns the rule off
}

// State is what the local machine does with calls. Its values are those of
// breaker.State; Dimmed is not among them, being the advice's.
type State uint8

// The states.
const (
	Closed State = iota
	HalfOpen
	Open
)

func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case HalfOpen:
		return "half-open"
	case Open:
		return "open"
	}
	return "unknown"
}

// Ticket is an attempt that was let go, and where its outcome counts. The zero
// Ticket counts nothing.
type Ticket struct {
	generation uint64
	age        int64 // of the bucket
}

// Breaker is the stand-in of one breaker.Breaker. It is not safe for concurrent
// use, and time must not run backwards from call to call. Make one with New.
type Breaker struct {
	config Config
	random *rand.Rand
	period time.Duration // of a bucket

	// One life.
	era     uint64
	born    uint64 // its first generation; generations number on from life to life
	openFor time.Duration
	wary    bool

	// One generation.
	generation uint64
	state      State
	since      time.Duration
	broken     time.Duration // when it opened after it had last been closed
	window     window
	bad        bool // the trip condition holds,
	badSince   time.Duration
	probing    bool // a probe is out,
	probeAt    time.Duration
}

// New returns the stand-in of a breaker that was made at time 0 under advice a.
// The open time's jitter comes from r, which the caller may use for other things
// too; with a nil r there is none. A nil Advice, here and below, is that of a
// member with no cluster.
//
// New panics on a Window, an OpenTimeout or a FailureRatio that breaker.New
// would not take. Unlike that, it takes both rules turned off, with or without
// advice: a breaker that never opens.
func New(c Config, r *rand.Rand, a *coord.Advice) *Breaker { return NewAt(0, c, r, a) }

// NewAt is New for a breaker that is made at time now. The time matters to where
// the buckets of the first generation begin.
func NewAt(now time.Duration, c Config, r *rand.Rand, a *coord.Advice) *Breaker {
	c = c.withDefaults()
	if c.Window < 10*time.Millisecond || c.OpenTimeout < 0 || !(c.FailureRatio >= 0 && c.FailureRatio <= 1) {
		panic(fmt.Sprintf("standin: breaker.New would not take %+v", c))
	}
	b := &Breaker{config: c, random: r}
	b.period, b.window.n = buckets(c.Window)
	b.begin(now, heard(a).Era, false)
	return b
}

func (c Config) withDefaults() Config {
	if c.Window == 0 {
		c.Window = 10 * time.Second
	}
	if c.OpenTimeout == 0 {
		c.OpenTimeout = 10 * time.Second
	}
	if c.MinRequests == 0 {
		c.MinRequests = 20
	}
	if c.FailureRatio == 0 {
		c.FailureRatio = .5
	}
	if c.ConsecutiveFailures == 0 {
		c.ConsecutiveFailures = 10
	}
	return c
}

// Allow reports whether an attempt may go under advice a. It does not apply the
// dimmer and the retry mode: it is asked after them, and about what they let
// through. Whoever is let go owes one Done, at which the attempt's outcome
// counts.
func (b *Breaker) Allow(now time.Duration, a *coord.Advice) (Ticket, bool) {
	a = heard(a)
	if a.InForce() {
		return Ticket{}, true
	}
	b.renew(now, a.Era)
	b.advance(now)
	switch {
	case b.state == Open, b.state == HalfOpen && b.probing:
		return Ticket{}, false
	case b.state == HalfOpen:
		b.probing, b.probeAt = true, now
	}
	return Ticket{b.generation, b.window.age}, true
}

// Done counts the outcome of an attempt that Allow let go; a is the advice in
// force now. It must be called at most once for a Ticket.
func (b *Breaker) Done(now time.Duration, t Ticket, o coord.Outcome, a *coord.Advice) {
	if t.generation < b.born {
		return
	}
	if o == coord.Success {
		b.wary = false // also if it comes too late to count
	}
	b.advance(now)
	switch {
	case t.generation != b.generation:
	case b.state == HalfOpen:
		b.probed(now, o)
	case o == coord.Success:
		b.window.success(t.age)
	case o != coord.Neutral:
		b.window.failure(t.age)
		if b.trips(now, heard(a)) {
			b.turn(now, Open)
		}
	}
}

// State returns what the local machine does with calls, whatever the advice. It
// knows of the advice's Era what the last Allow was told: of a machine that the
// end of advice has made void it speaks until then.
//
// As with gobreaker, to ask is to move it on: a probe out for too long is given
// up, and that life's buckets begin now.
func (b *Breaker) State(now time.Duration) State {
	b.renew(now, b.era)
	b.advance(now)
	return b.state
}

// OwnPath reports whether the member's own path is broken, as breaker.OwnPath does.
func (b *Breaker) OwnPath(a *coord.Advice) bool {
	a = heard(a)
	return a.Coordinated() && !a.InForce() && b.era == a.Era && b.state != Closed && a.WellSince(b.broken)
}

// probed ends a probe.
func (b *Breaker) probed(now time.Duration, o coord.Outcome) {
	b.probing = false
	switch o {
	case coord.Neutral:
	case coord.Success:
		b.turn(now, Closed)
	default:
		b.turn(now, Open)
	}
}

// trips reports, after a failure, whether the machine opens.
func (b *Breaker) trips(now time.Duration, a *coord.Advice) bool {
	ratio := b.config.FailureRatio
	if a.Lately {
		ratio = max(ratio, ownPath)
	}
	switch {
	case b.wary:
		return true
	case !b.config.tripped(ratio, b.window.sum):
		b.bad = false
		return false
	case !a.Lately:
		return true
	case !b.bad:
		b.bad, b.badSince = true, now
	}
	return now-b.badSince >= settle
}

func (c *Config) tripped(ratio float64, n counts) bool {
	if c.ConsecutiveFailures > 0 && int64(n.inRow) >= int64(c.ConsecutiveFailures) {
		return true
	}
	done := n.ok + n.failed
	return c.MinRequests > 0 && int64(done) >= int64(c.MinRequests) &&
		float64(n.failed) >= ratio*float64(done)
}

// renew begins a new life if advice has ended since this one began, or if it
// waits for a probe that will not come back.
func (b *Breaker) renew(now time.Duration, era uint64) {
	stuck := b.state == HalfOpen && b.probing && now-b.probeAt > max(b.openFor, stuckAfter)
	if era > b.era || stuck {
		b.begin(now, max(b.era, era), era <= b.era)
	}
}

func (b *Breaker) begin(now time.Duration, era uint64, wary bool) {
	b.era, b.wary = era, wary
	b.openFor = b.config.OpenTimeout
	if b.random != nil {
		b.openFor += time.Duration(b.random.Int64N(int64(b.config.OpenTimeout)/10 + 1))
	}
	b.turn(now, Closed)
	b.born = b.generation
}

// advance does what the passing of time does.
func (b *Breaker) advance(now time.Duration) {
	switch {
	case b.state == Closed:
		b.window.grow(int64((now - b.since) / b.period))
	case b.state == Open && now-b.since > b.openFor:
		b.turn(now, HalfOpen)
	}
}

// turn begins a generation.
func (b *Breaker) turn(now time.Duration, s State) {
	b.generation++
	if s == Open && b.state == Closed {
		b.broken = now
	}
	b.state, b.since = s, now
	b.window.clear()
	b.bad, b.probing = false, false
}

var alone = &coord.Advice{Phi: coord.PhiFull}

func heard(a *coord.Advice) *coord.Advice {
	if a == nil {
		return alone
	}
	return a
}
