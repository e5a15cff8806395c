package law

import (
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// epoch is the tagged evidence since the epoch began.
type epoch struct {
	reporters  int     // with outcomes
	sent       float64 // clamped
	unresolved float64
	outcomes   float64 // n
	others     float64 // outcomes of all but the busiest reporter
	ok, judged float64 // what "ok / n" is taken from
	latency    mean    // m
}

// tally is one reporter's part.
type tally struct{ sent, open, ok, fail, lat float64 }

// gather sums the tagged evidence of the reporters that apply the phi in force.
// What is unresolved is clamped like the rest: an epoch must not wait for one
// reporter that claims to have sent a lot and never hears of it.
//
// The share of successes leaves out the reporter with most of them, and from
// three on, of the rest, the one with most failures. With few reporters the
// latency is the median of their means (the upper one of two), which one of
// three or more cannot move by lying; leaving out the one with most successes
// first, as for the share, would leave two of three, one of them perhaps the
// liar.
func (s *Steward) gather() (e epoch) {
	tallies := make([]tally, 0, len(s.order))
	var sents, outcomes []float64
	for _, r := range s.order {
		if r.row.Phi != s.dim.base {
			continue
		}
		c, m := r.row.Tagged, r.mark
		t := tally{
			sent: sub(c.Sent, m.Sent),
			ok:   sub(c.OK, m.OK),
			fail: sub(c.FailSlow, m.FailSlow) + sub(c.FailFast, m.FailFast),
		}
		t.lat = bound(coord.LatencySince(c.OKLatency, m.OKLatency).Seconds(), t.ok, s.timeout)
		if t.sent+t.ok+t.fail == 0 {
			continue
		}
		tallies = append(tallies, t)
		sents = append(sents, t.sent)
		outcomes = append(outcomes, t.ok+t.fail)
	}
	sentMax, outcomeMax := clampAt(sents), clampAt(outcomes)
	open := sents[:0]
	for i := range tallies {
		t := &tallies[i]
		t.sent = min(t.sent, sentMax)
		f := scale(outcomeMax, t.ok+t.fail)
		t.ok, t.fail, t.lat = t.ok*f, t.fail*f, t.lat*f
		t.open = max(t.sent-t.ok-t.fail, 0)
		open = append(open, t.open)
	}
	openMax := clampAt(open)
	busiest, top := -1, -1
	for i := range tallies {
		t := &tallies[i]
		n := t.ok + t.fail
		e.sent += t.sent
		e.unresolved += min(t.open, openMax)
		e.outcomes += n
		if n > 0 {
			e.reporters++
		}
		if busiest < 0 || n > tallies[busiest].ok+tallies[busiest].fail {
			busiest = i
		}
		if t.ok > 0 && (top < 0 || t.ok > tallies[top].ok) {
			top = i
		}
	}
	if busiest >= 0 {
		e.others = e.outcomes - tallies[busiest].ok - tallies[busiest].fail
	}
	e.share(tallies, top)
	e.meanLatency(tallies, s.latencyNow())
	return e
}

func (e *epoch) share(tallies []tally, top int) {
	worst := -1
	for i, t := range tallies {
		if i == top && e.reporters >= 2 {
			continue
		}
		if t.fail > 0 && (worst < 0 || t.fail > tallies[worst].fail) {
			worst = i
		}
	}
	for i, t := range tallies {
		if e.reporters >= 2 && i == top || e.reporters >= 3 && i == worst {
			continue
		}
		e.ok += t.ok
		e.judged += t.ok + t.fail
	}
	if e.judged == 0 { // everybody was left out: take all
		for _, t := range tallies {
			e.ok += t.ok
			e.judged += t.ok + t.fail
		}
	}
}

// fewMeans is up to how many reporters the median of their means is taken.
const fewMeans = 5

func (e *epoch) meanLatency(tallies []tally, decayed mean) {
	var means []float64
	for _, t := range tallies {
		if t.ok > 0 {
			means = append(means, t.lat/t.ok)
		}
	}
	if n := len(means); n >= 1 && n <= fewMeans {
		e.latency = mean{1, median(means)}
		return
	}
	e.latency = decayed
}

// conclusive reports whether the epoch can be judged.
func (s *Steward) conclusive(now time.Duration, e *epoch) bool {
	age := now - s.dim.since
	if e.unresolved > e.sent/2 {
		return false
	}
	want := max(3, epochMin.Seconds()*s.dim.base.Float()*s.demand.value)
	if age > epochMin+2*seconds(s.timeout) {
		want = 3
	}
	if e.outcomes < want {
		return false
	}
	present := 0
	for _, r := range s.order {
		if now-r.at < freshReport {
			present++
		}
	}
	if present >= 3 && e.others < 3 && age < epochMax {
		return false
	}
	return true
}
