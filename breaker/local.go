package breaker

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/murmuration-go/murmuration/internal/coord"
)

const (
	stuckAfter = 10 * time.Second       // a probe older than this, or than the open time, is given up
	settle     = 2 * time.Second        // how long a trip condition must hold in a coordinated cluster
	refreshed  = 250 * time.Millisecond // how long one prepared refusal serves

	ownPath = .9 // the share of failures that it takes in a coordinated cluster, at least
)

// What gobreaker is told of an attempt; nil is a success.
var (
	errFailed  = errors.New("failed")
	errNeutral = errors.New("neutral")
)

// local is one life of the local state machine: a gobreaker, and around it what
// gobreaker cannot do. It is thrown away and replaced when the cluster's advice
// ends, and when a probe is stuck.
//
// gobreaker comes in two shapes that cannot share a state: Execute allocates
// nothing but must enclose the call, Allow has two steps but allocates. A
// breaker starts with the first shape and changes for good when its own Allow
// is used.
type local struct {
	b       *Breaker
	era     uint64 // of the advice at whose end this life began
	exec    *gobreaker.CircuitBreaker[struct{}]
	twoStep *gobreaker.TwoStepCircuitBreaker[struct{}]

	openFor time.Duration // OpenTimeout with this life's jitter
	wary    atomic.Bool   // began after a stuck probe: opens at a failure, until the first success
	forced  bool          // being opened by force; only while under construction

	// What onStateChange notes, so that an open machine refuses without
	// taking gobreaker's lock. The times are readings of coord.Now.
	state    atomic.Uint32
	openedAt atomic.Int64
	brokenAt atomic.Int64 // when it opened after it had last been closed
	probeOut atomic.Bool  // a probe is in flight,
	probeAt  atomic.Int64 // since then
	refusal  atomic.Pointer[refusal]

	// badSince is when the trip condition began to hold. It is guarded by
	// gobreaker's lock, under which readyToTrip runs.
	bad      bool
	badSince time.Duration
	counts   gobreaker.Counts         // at the last failure
	why      atomic.Pointer[Evidence] // it opened last

	// Changes to tell of once gobreaker's lock is released.
	news    atomic.Bool
	mu      sync.Mutex
	changes []change
}

type change struct {
	from, to State
	evidence Evidence
}

// refusal is an OpenError prepared for many calls.
type refusal struct {
	err  OpenError
	made time.Duration
}

func newLocal(b *Breaker, era uint64, twoStep bool) *local {
	c := &b.config
	l := &local{b: b, era: era}
	l.openFor = c.OpenTimeout + time.Duration(rand.Int64N(int64(c.OpenTimeout)/10+1))
	st := gobreaker.Settings{
		Name:          b.endpoint,
		Interval:      c.Window,
		BucketPeriod:  c.Window / 10,
		Timeout:       l.openFor,
		ReadyToTrip:   l.readyToTrip,
		OnStateChange: l.onStateChange,
		IsExcluded:    func(err error) bool { return err == errNeutral },
	}
	if twoStep {
		l.twoStep = gobreaker.NewTwoStepCircuitBreaker[struct{}](st)
	} else {
		l.exec = gobreaker.NewCircuitBreaker[struct{}](st)
	}
	return l
}

// readyToTrip runs under gobreaker's lock after each failure. While the cluster
// is there to act on what this member sees, the condition must have held for a
// while, so that a few members do not cut off the evidence that the cluster
// needs; and what fails in part is the cluster's to judge: it spares the endpoint
// if that is what it takes, and where others fare well, refusing everything would
// only throw away what still succeeds here. The local machine is left what it
// alone can know, that its own path is broken.
func (l *local) readyToTrip(n gobreaker.Counts) bool {
	l.counts = n
	if l.forced || l.wary.Load() {
		return true
	}
	coordinated := l.b.shared.Advice().Lately
	ratio := l.b.config.FailureRatio
	if coordinated {
		ratio = max(ratio, ownPath)
	}
	if !tripped(&l.b.config, ratio, n) {
		l.bad = false
		return false
	}
	if !coordinated {
		return true
	}
	now := coord.Now()
	if !l.bad {
		l.bad, l.badSince = true, now
	}
	return now-l.badSince >= settle
}

// tripped is the local rule, with the share of failures that it takes.
func tripped(c *Config, ratio float64, n gobreaker.Counts) bool {
	if c.ConsecutiveFailures > 0 && int64(n.ConsecutiveFailures) >= int64(c.ConsecutiveFailures) {
		return true
	}
	done := n.TotalSuccesses + n.TotalFailures
	return c.MinRequests > 0 && int64(done) >= int64(c.MinRequests) &&
		float64(n.TotalFailures) >= ratio*float64(done)
}

// onStateChange runs under gobreaker's lock: it only takes notes.
func (l *local) onStateChange(_ string, from, to gobreaker.State) {
	if to == gobreaker.StateOpen {
		now := int64(coord.Now())
		l.openedAt.Store(now)
		l.why.Store(l.opens(from))
		if from == gobreaker.StateClosed {
			l.brokenAt.Store(now)
		}
	}
	l.probeOut.Store(false)
	l.bad = false
	l.refusal.Store(nil)
	if l.b.config.Hooks.StateChange != nil || l.b.log != nil {
		c := change{from: stateOf(from), to: stateOf(to)}
		if c.to == Open {
			c.evidence = l.evidence()
		}
		l.mu.Lock()
		l.changes = append(l.changes, c)
		l.mu.Unlock()
		l.news.Store(true)
	}
	l.state.Store(uint32(stateOf(to)))
}

// opens is what the machine opens on: what it has counted, or the probe that failed.
func (l *local) opens(from gobreaker.State) *Evidence {
	e := &Evidence{Reporters: 1, Failures: 1, Outcomes: 1, Window: l.b.config.Window}
	if n := &l.counts; from == gobreaker.StateClosed {
		e.Failures, e.Outcomes = uint64(n.TotalFailures), uint64(n.TotalFailures)+uint64(n.TotalSuccesses)
	}
	return e
}

// evidence is what the machine opened on last.
func (l *local) evidence() Evidence {
	if e := l.why.Load(); e != nil {
		return *e
	}
	return Evidence{}
}

func stateOf(s gobreaker.State) State {
	switch s {
	case gobreaker.StateOpen:
		return Open
	case gobreaker.StateHalfOpen:
		return HalfOpen
	default:
		return Closed
	}
}

// tell delivers the changes noted, after gobreaker's lock. When it returns they are in
// the log, whoever has written them there; the hook may yet be under way.
func (l *local) tell() {
	if !l.news.Load() {
		return
	}
	l.mu.Lock()
	changes := l.changes
	l.changes = nil
	for _, c := range changes {
		l.b.write(c)
	}
	l.news.Store(false)
	l.mu.Unlock()
	for _, c := range changes {
		l.b.note(c)
	}
}

// open reports whether the machine refuses at now, without asking gobreaker,
// which would say the same but take its lock.
func (l *local) open(now time.Duration) bool {
	return State(l.state.Load()) == Open && now-time.Duration(l.openedAt.Load()) <= l.openFor
}

// stuck reports whether a half-open machine has waited too long for its probe,
// which it would otherwise do for ever.
func (l *local) stuck(now time.Duration) bool {
	return State(l.state.Load()) == HalfOpen && l.probeOut.Load() &&
		now-time.Duration(l.probeAt.Load()) > max(l.openFor, stuckAfter)
}

// began notes that an attempt was admitted, and reports whether it is a probe;
// ended notes that its outcome is about to be counted.
func (l *local) began(now time.Duration) (probe bool) {
	if State(l.state.Load()) != HalfOpen {
		return false
	}
	l.probeAt.Store(int64(now))
	l.probeOut.Store(true)
	return true
}

func (l *local) ended(probe bool, o coord.Outcome) {
	if probe {
		l.probeOut.Store(false)
	}
	if o == coord.Success && l.wary.Load() {
		l.wary.Store(false)
	}
}

// refuse returns the error for a call that the machine refuses. One error
// serves all calls of a quarter of a second.
func (l *local) refuse(now time.Duration) *OpenError {
	l.tell()
	if r := l.refusal.Load(); r != nil && now-r.made < refreshed {
		return &r.err
	}
	age := now - time.Duration(l.openedAt.Load())
	r := &refusal{made: now, err: OpenError{
		Service: l.b.config.Service, Endpoint: l.b.endpoint, Source: SourceLocal,
		Age: age, RetryIn: max(l.openFor-age, 0), Evidence: l.evidence(),
	}}
	l.refusal.Store(r)
	return &r.err
}

// trip opens a machine that nobody uses yet.
func (l *local) trip() {
	l.forced = true
	if l.twoStep != nil {
		if done, err := l.twoStep.Allow(); err == nil {
			done(errFailed)
		}
	} else {
		_, _ = l.exec.Execute(func() (struct{}, error) { return struct{}{}, errFailed })
	}
	l.forced = false
}

// current asks gobreaker for the state, which may turn from open to half-open
// by that.
func (l *local) current() State {
	if l.twoStep != nil {
		return stateOf(l.twoStep.State())
	}
	return stateOf(l.exec.State())
}
