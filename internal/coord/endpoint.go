package coord

import (
	"sync"
	"sync/atomic"
	"time"
)

// Outcome is how an attempt ended, as evidence about its endpoint.
type Outcome uint8

// The outcomes of an attempt.
const (
	Success Outcome = iota
	Failure         // the endpoint's fault
	Slow            // a failure that cost time whatever the clock says: a timeout
	Neutral         // says nothing about the endpoint: the caller's cancellation or mistake
)

// Endpoint is what a member knows of one endpoint of a service: the counters
// that it reports and the advice that it follows. All methods are safe for
// concurrent use and do nothing useful on a nil Endpoint, which stands for "no
// cluster".
type Endpoint struct {
	service *Service
	name    string
	advice  atomic.Pointer[Advice]
	timeout atomic.Int64  // last attempt timeout, ns
	passed  atomic.Uint64 // see Admit
	pushed  atomic.Int64  // see PushedBack
	place   atomic.Pointer[Place]
	ownPath atomic.Pointer[func() bool]
	totals  []totalsShard

	mu    sync.Mutex // guards okAcc, sent and publishing
	okAcc okAccumulator
	sent  uint64 // attempts under former tags
}

func newEndpoint(s *Service, name string) *Endpoint {
	e := &Endpoint{service: s, name: name, totals: make([]totalsShard, shards)}
	e.advice.Store(&Advice{Phi: PhiFull, tagged: newTagged()})
	e.place.Store(&Place{})
	return e
}

// Name returns the endpoint's name.
func (e *Endpoint) Name() string {
	if e == nil {
		return ""
	}
	return e.name
}

// Log is the service's; nil on a nil Endpoint.
func (e *Endpoint) Log() *Log {
	if e == nil {
		return nil
	}
	return e.service.Log()
}

var noAdvice = &Advice{Phi: PhiFull}

// Advice returns the advice in force; never nil.
func (e *Endpoint) Advice() *Advice {
	if e == nil {
		return noAdvice
	}
	return e.advice.Load()
}

// Publish makes a the advice in force. It starts fresh tagged counters when the
// tag changes, and keeps them otherwise. Publishing is for the cluster's driver.
func (e *Endpoint) Publish(a Advice) {
	if e == nil {
		return
	}
	if old := e.publish(&a); old.Routing != a.Routing {
		e.service.rerouted()
	}
}

func (e *Endpoint) publish(a *Advice) (old *Advice) {
	e.mu.Lock()
	defer e.mu.Unlock()
	old = e.advice.Load()
	if a.Tag == old.Tag {
		a.tagged = old.tagged
	} else {
		a.tagged = newTagged()
		e.sent += old.tagged.attempts()
	}
	if f := e.service.refusal.Load(); f != nil && a.Phi < PhiFull {
		a.Refusal = (*f)(e.service.name, e.name, a)
	}
	burn := func(a *Advice) bool { return a.Phi < PhiFull || a.RetryMode() == RetryNone }
	if d, ok := decision(e.name, old, a); ok { // who is refused by it finds it in the log
		e.service.log.Add(d)
	}
	e.advice.Store(a)
	if burn(a) && !burn(old) {
		e.service.burns.Add(1)
	}
	return old
}

// Wanted counts a first try that the caller wants to send, whether or not it is
// then let through. spread is any number that differs from call to call.
func (e *Endpoint) Wanted(spread uint32) {
	if e == nil {
		return
	}
	e.totals[spread&shardMask].demand.Add(1)
}

// Needed counts a call whose first try at this endpoint, its home, failed or was
// dimmed.
func (e *Endpoint) Needed(spread uint32) {
	if e == nil {
		return
	}
	e.totals[spread&shardMask].need.Add(1)
}

// Admit decides whether a first try may go while a fraction phi of them may; r
// is uniformly random. Each try has the same chance, phi, but tries that go are
// spread out more evenly than by independent coins: probes, of which a cluster
// has three a second, then do not bunch up or fail to come by chance.
//
// Tries add up steps of phi on average, jittered by half so that no pattern in
// the traffic can fall into step, and one goes whenever the sum passes a whole.
// Above one half, where gaps hardly occur, it is a plain coin.
func (e *Endpoint) Admit(phi Phi, r uint32) bool {
	if e == nil || phi > PhiFull/2 {
		return Phi(r) < phi || phi == PhiFull
	}
	if e.passed.Load() == 0 {
		e.passed.CompareAndSwap(0, uint64(r)|1) // members must not be in step
	}
	p := uint64(phi)
	step := p/2 + uint64(r)%(p+1+p&1) // p on average
	sum := e.passed.Add(step)
	return sum>>16 != (sum-step)>>16
}

// Attempt is one request on its way, and where its outcome is to be counted.
// The zero Attempt counts nothing. It has four fields in four words: the compiler
// keeps no larger struct in registers, and every call hands one on.
type Attempt struct {
	endpoint *Endpoint
	tagged   *tagged
	timeout  time.Duration
	as       struct {
		shard uint32
		retry bool
	}
}

// Send counts an attempt that is about to be sent under advice a. timeout is
// the time it may take, or 0 when nothing limits it; spread is as for Wanted.
func (e *Endpoint) Send(a *Advice, timeout time.Duration, retry bool, spread uint32) Attempt {
	if e == nil {
		return Attempt{timeout: timeout}
	}
	if timeout <= 0 {
		timeout = DefaultAttemptTimeout
	}
	if e.timeout.Load() != int64(timeout) {
		e.timeout.Store(int64(timeout))
	}
	at := Attempt{endpoint: e, tagged: a.tagged, timeout: timeout}
	at.as.shard, at.as.retry = spread&shardMask, retry
	at.tagged.shard[at.as.shard].sent.Add(1)
	return at
}

// DefaultAttemptTimeout stands in for the timeout of attempts that have none.
const DefaultAttemptTimeout = time.Second

// End counts how an attempt ended and how long it took.
func (at Attempt) End(o Outcome, took time.Duration) {
	e := at.endpoint
	if e == nil {
		return
	}
	tot, tag := &e.totals[at.as.shard], &at.tagged.shard[at.as.shard]
	switch {
	case o == Neutral:
		tag.neutral.Add(1)
		return
	case o == Success:
		w := okWord(took)
		tot.ok.Add(w)
		tag.ok.Add(w)
		if thr := e.advice.Load().Thr; took > thr && thr > 0 {
			tot.strained.Add(1)
		}
	case o == Slow || took > at.timeout/2:
		tot.failSlow.Add(1)
		tag.failSlow.Add(1)
	default:
		tot.failFast.Add(1)
		tag.failFast.Add(1)
	}
	if at.as.retry {
		tot.retries.Add(1)
		if o == Success {
			tot.retriesOK.Add(1)
		}
	}
}

// Sample is a reading of one endpoint's counters.
type Sample struct {
	Endpoint string
	Phi      Phi // the dimmer now applied
	Tag      uint64
	Timeout  time.Duration
	Totals   Totals
	Tagged   TagCounts
	Pushback Pushback // seen in the last PushbackTold
	Flow     Flow
	Place    Place
	Ordered  bool // Phi is an operator's
}

// Sample is SampleAt at the present time.
func (e *Endpoint) Sample() Sample { return e.SampleAt(Now()) }

// SampleAt reads the counters. Its totals never decrease from one call to the
// next. It must be called at least every few minutes while there is traffic
// (see okShift).
func (e *Endpoint) SampleAt(now time.Duration) Sample {
	if e == nil {
		return Sample{Phi: PhiFull}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	a := e.advice.Load()
	s := Sample{Endpoint: e.name, Phi: a.Phi, Tag: a.Tag, Timeout: time.Duration(e.timeout.Load()), Ordered: a.Ordered()}
	var ok uint64
	for i := range e.totals {
		t := &e.totals[i]
		ok += t.ok.Load()
		s.Totals.FailSlow += t.failSlow.Load()
		s.Totals.FailFast += t.failFast.Load()
		s.Totals.RetriesOK += t.retriesOK.Load()
		s.Totals.Retries += t.retries.Load()
		s.Totals.Demand += t.demand.Load()
		s.Flow.Need += t.need.Load()
		s.Flow.Strained += t.strained.Load()
	}
	s.Totals.OK, s.Totals.OKLatency = e.okAcc.advance(ok)
	s.Tagged = a.tagged.read()
	s.Flow.Sent = e.sent + a.tagged.attempts()
	s.Pushback = e.pushback(now)
	s.Place = *e.place.Load()
	return s
}
