package law

import (
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// Tick is how often reports are sent and stewards decide.
const Tick = 250 * time.Millisecond

// The constants of the law; doc.go and the comments where they are used say
// why.
const (
	failStep    = 2.303 // CUSUM step of a failure: ln(p1/p0), p0 .05, p1 .5
	okStep      = -.642 // of a success: ln((1-p1)/(1-p0))
	reporterMax = 4.14  // what one reporter may add or take in a tick
	threshold   = 20.7  // h: one false trip in about 1e9 requests
	sumMax      = 60

	tripPhi  = .25   // when successes are slow
	stallPhi = .0625 // when there are hardly any
	tripCeil = .4

	guessGrowth = 1.5 // how fast the guess tripCeil moves on when load passes it with ease
	calmShare   = .03 // "with ease": this share of the way from the healthy mean to thr
	tightMax    = 5   // tight epochs in a row that teach "slow, but not for load"

	probesPerSecond = 3
	probesMost      = 1.2 // how far beyond that the demand may grow before probing follows

	freshReport  = 5 * time.Second // a reporter counts as present this long
	quietTicks   = 480             // two minutes
	lingers      = 2 * time.Second // a report without traffic makes present this long after the last with
	freshVerdict = 5 * time.Second // another steward's phi counts this long
	appointed    = 10 * time.Second
	probation    = 10 * time.Second
	epochMin     = 500 * time.Millisecond
	epochMax     = 10 * time.Second // after it the busiest reporter may end an epoch alone
	judgeEvery   = 50 * time.Millisecond
	retryTicks   = 20 // 5 s
)

// MaxReporters bounds the members whose reports one steward keeps for one
// endpoint. Further ones are refused.
const MaxReporters = 16384

// Steward is the law's state for one endpoint. The zero value is not usable;
// call New. It is not safe for concurrent use.
type Steward struct {
	self string
	born time.Duration

	reporters map[string]*reporter
	order     []*reporter // in order of arrival, so that a trace does not depend on map order
	means     []mean      // scratch
	scratch   []float64
	peers     map[string]heard

	s, s2   float64
	demand  ewma
	l0      baseline
	linc    float64 // seconds; what "slow, but not for load" has taught
	timeout float64 // seconds; median of the reporters

	state    wire.State
	phi      coord.Phi
	retries  [retryTicks]retryTally
	retryPos int
	noRetry  bool

	window  [2]pooled // the last two ticks
	seen    evidence
	present int // reporters at the last tick
	traffic Traffic
	quiet   int           // ticks since anybody called; a clock may jump
	until   time.Duration // retries wait; see heed
	dim     dimmer
	judged  time.Duration // when judge last looked

	why  Why
	last Decision
}

type retryTally struct{ done, ok float64 }

type heard struct {
	phi coord.Phi
	at  time.Duration
}

// New returns the state of an endpoint that steward self has just been
// appointed for.
func New(self string, now time.Duration) *Steward {
	return &Steward{
		self:      self,
		born:      now,
		until:     now,
		reporters: map[string]*reporter{},
		peers:     map[string]heard{},
		phi:       coord.PhiFull,
		timeout:   coord.DefaultAttemptTimeout.Seconds(),
		dim:       dimmer{base: coord.PhiFull, since: now},
		last:      Decision{Phi: coord.PhiFull},
	}
}

// Intake says what became of a report's row.
type Intake uint8

// What becomes of a row.
const (
	Taken Intake = iota
	Stale        // not newer than the member's last: replayed, repeated or reordered
	Full         // from one member too many
)

// Report takes in a member's row. Only a row newer than the member's last one
// counts, so that reports may be lost, repeated and reordered.
func (s *Steward) Report(now time.Duration, from wire.Origin, row *wire.ReportRow) Intake {
	r := s.reporters[from.Member]
	switch {
	case r == nil && len(s.reporters) >= MaxReporters:
		return Full
	case r == nil || from.Incarnation > r.origin.Incarnation: // new here, or its counters started anew
		if r == nil {
			r = &reporter{name: from.Member}
			s.reporters[from.Member] = r
			s.order = append(s.order, r)
		}
		r.seenFlow, r.counted = row.Flow, now
		r.seen, r.tag, r.mark, r.latencySeen, r.recent, r.moved = row.Totals, row.Tag, row.Tagged, row.Tagged, mean{}, now
	case !from.Newer(r.origin):
		return Stale
	}
	if row.Tag != r.tag { // all that is counted under a new tag is new
		r.tag, r.mark, r.latencySeen, r.recent = row.Tag, coord.TagCounts{}, coord.TagCounts{}, mean{}
	}
	if row.Totals != r.row.Totals {
		r.moved, s.quiet = now, 0
	}
	if now-r.moved <= lingers {
		r.at = now
	}
	r.origin, r.row, r.heard, r.news = from, *row, now, true
	return Taken
}

// Heard takes in the phi of another steward's newest verdict, decided at the
// given time.
func (s *Steward) Heard(at time.Duration, steward string, phi coord.Phi) {
	if steward == s.self {
		return
	}
	s.peers[steward] = heard{max(phi, 1), at} // 0 would be nobody's: nothing could ever end it
}

// Appoint tells who the other stewards of the service are now; what others
// said is forgotten.
func (s *Steward) Appoint(stewards []string) {
	for name := range s.peers {
		keep := false
		for _, x := range stewards {
			keep = keep || x == name
		}
		if !keep {
			delete(s.peers, name)
		}
	}
}

// Idle reports whether the state is worth nothing any more: nobody has reported for
// a minute, or, if it stands in anybody's way, nobody has called for two. An
// endpoint that is talked of and not called would never be found to be well.
func (s *Steward) Idle(now time.Duration) bool {
	for _, r := range s.order {
		if now-r.heard < time.Minute && (s.state == wire.Closed || s.quiet < quietTicks) {
			return false
		}
	}
	return now-s.born > time.Minute
}

// Reporters is the number of members whose reports are kept.
func (s *Steward) Reporters() int { return len(s.reporters) }

// L0 is the healthy mean latency, 0 while unknown.
func (s *Steward) L0() time.Duration { return seconds(s.l0.value) }

// Decision is the last tick's.
func (s *Steward) Decision() Decision { return s.last }

// Step takes one tick and returns the decision.
func (s *Steward) Step(now time.Duration) Decision {
	s.forget(now)
	s.quiet++
	t := s.tick(now)
	s.demand.add(t.demand / Tick.Seconds())
	if s.ordered(now) {
		s.rest(now, &t)
		return s.last
	}
	s.cusum(&t)
	s.window[0], s.window[1] = s.window[1], t
	s.countRetries(&t)
	s.adopt(now)
	if s.state == wire.Closed && s.s2 == 0 && t.latency.n > 0 {
		s.l0.add(t.latency.value())
	}
	s.heed(now)
	s.follow(now)
	s.reconsider(now, &t)
	switch s.state {
	case wire.Closed, wire.NotLoad:
		s.watch(now, &t)
	case wire.Dim:
		s.trickle()
		if s.judge(now); s.state == wire.Dim {
			s.despair(now, &t)
		}
	}
	s.present = t.present
	s.last = s.decide(now)
	return s.last
}

// Judge ends an epoch between two ticks if the reports that have come since
// suffice, and reports whether that changed the decision. Steps need not wait
// for the tick; a ramp takes seven or eight of them.
func (s *Steward) Judge(now time.Duration) (Decision, bool) {
	if s.state != wire.Dim || now-s.judged < judgeEvery {
		return s.last, false
	}
	s.judge(now)
	was := s.last
	s.last = s.decide(now)
	return s.last, s.last.Phi != was.Phi || s.last.Mode != was.Mode || s.last.State != was.State
}

// forget drops reporters that have been silent for so long that their next
// report is as good as a new member's.
func (s *Steward) forget(now time.Duration) {
	keep := s.order[:0]
	for _, r := range s.order {
		if now-r.heard < 30*time.Second {
			keep = append(keep, r)
			continue
		}
		delete(s.reporters, r.name)
	}
	clear(s.order[len(keep):])
	s.order = keep
}

func (s *Steward) decide(now time.Duration) Decision {
	w := s.recent()
	reporters := s.present
	if s.state == wire.Dim && s.dim.only != "" {
		reporters = 1
	}
	s.see(now, &w)
	return Decision{
		Phi: s.phi, Mode: s.mode(), State: s.state,
		L0: seconds(s.l0.value), Thr: seconds(s.thr()), Demand: s.demand.value,
		Reporters: reporters,
		Failures:  s.seen.failures, Outcomes: s.seen.outcomes,
		Latency: s.seen.latency, Window: min(now-s.seen.from, wire.MaxSpan),
		Failing: s.failing(), Pushback: s.pushback(now),
		Base: s.dim.base, Ceil: s.ceilingNow(), Why: s.why,
	}
}

// evidence is what a decision rests on: the outcomes of a while.
type evidence struct {
	failures, outcomes uint64
	latency            time.Duration // mean of the successes
	from               time.Duration
}

// see takes in what has ended in the last window. While the endpoint is in trouble and
// nothing has, what was seen last is what everything rests on; the window grows.
func (s *Steward) see(now time.Duration, w *pooled) {
	if n := count(w.outcomes()); n > 0 || s.state == wire.Closed || s.seen.outcomes == 0 {
		s.seen = evidence{count(w.slow + w.fast), n, seconds(w.latency.value()), now - 2*Tick}
	}
}

func (s *Steward) mode() coord.Mode {
	switch {
	case s.state == wire.Dim, s.state == wire.NotLoad && s.noRetry:
		return coord.RetryNone
	case s.state == wire.NotLoad:
		return coord.RetryRatio
	}
	return coord.RetryAll
}

// phiMin lets about three probes a second through, cluster-wide.
func (s *Steward) phiMin() float64 {
	if s.demand.value <= probesPerSecond {
		return 1
	}
	return probesPerSecond / s.demand.value
}

// thr is the mean latency above which successes are called tight: a tenth of
// the timeout above the healthy mean, at most eleven times the mean.
func (s *Steward) thr() float64 {
	base := max(s.l0.value, s.linc)
	if base == 0 {
		return s.timeout / 4
	}
	return base + min(s.timeout/10, 10*base)
}

func (s *Steward) recent() (w pooled) {
	for _, t := range s.window {
		w.ok += t.ok
		w.slow += t.slow
		w.fast += t.fast
		w.latency.n += t.latency.n
		w.latency.sum += t.latency.sum
	}
	return w
}
