package main

import (
	"math"
	"slices"
	"time"

	"github.com/murmuration-go/murmuration/examples/internal/reasons"
)

// report is what is told of an incident.
type report struct {
	Scenario string        `json:"scenario"`
	Members  int           `json:"members"`
	Seed     uint64        `json:"seed"`
	How      string        `json:"how"`
	GRPC     bool          `json:"grpc"`
	Alone    bool          `json:"alone"`
	Phases   []phaseReport `json:"phases"`
	Shift    shift         `json:"shift"`
	Refusals refusals      `json:"refusals"`
	Reasons  given         `json:"reasons"`
	LateMS   float64       `json:"late_ms"` // how late the latest call was made: the measurement's own error
}

// given counts who decided, on what evidence and how old that was: whether calls that
// were refused or diverted say it.
type given struct {
	Diverted            int   `json:"diverted"`                   // calls
	UnexplainedDiverted int   `json:"unexplained_diverted"`       // those of them that failed with an error that does not say it
	Refused             int   `json:"refused"`                    // calls of which nothing was sent
	UnexplainedRefused  int   `json:"unexplained_refused"`        // those of them whose error does not say it
	DivertedSpans       int64 `json:"diverted_spans"`             // of diverted calls: as many
	RefusedSpans        int64 `json:"refused_spans"`              // of calls of which anything was refused, or denied a retry
	UnexplainedSpans    int64 `json:"unexplained_spans"`          // of calls refused,
	UnexplainedAway     int64 `json:"unexplained_diverted_spans"` // and diverted, that do not say it
}

func (f *fleet) given(calls []call) given {
	g := given{
		DivertedSpans: f.spans.Diverted.Load(), UnexplainedAway: f.spans.UnexplainedDiversion.Load(),
		RefusedSpans: f.spans.Refused.Load(), UnexplainedSpans: f.spans.Unexplained.Load(),
	}
	for i := range calls {
		c := &calls[i]
		if c.went {
			g.Diverted++
		}
		if c.mute {
			g.UnexplainedDiverted++
		}
		if c.err == nil {
			continue
		}
		g.Refused++
		if open, ok := c.refusal(); !ok || !reasons.Refusal(open) {
			g.UnexplainedRefused++
		}
	}
	return g
}

// phaseReport is what is told of a phase.
type phaseReport struct {
	Name  string  `json:"name"`
	FromS float64 `json:"from_s"`
	ToS   float64 `json:"to_s"`
	A     users   `json:"a"`
	B     users   `json:"b"`
	// Requests that arrived at a zone, over its capacity when it is whole: the
	// most in a second, and in 5 s.
	LoadA1 float64 `json:"load_a_1s"`
	LoadA5 float64 `json:"load_a_5s"`
	LoadB1 float64 `json:"load_b_1s"`
	LoadB5 float64 `json:"load_b_5s"`
}

// users is what became of the calls of one zone's users.
type users struct {
	Calls    int     `json:"calls"`
	Goodput  float64 `json:"goodput"`  // the share that succeeded
	Diverted int     `json:"diverted"` // succeeded in the other zone
	Refused  int     `json:"refused"`  // failed, and nothing was sent
}

// shift is how a's traffic went over to b while a was dead.
type shift struct {
	Room    float64  `json:"room_per_s"`    // what fits
	Reached float64  `json:"reached_per_s"` // calls a second that succeeded there, from the middle of the outage on
	DoneS   *float64 `json:"done_s"`        // until nine tenths of that did; null: never
}

// refusals are the calls of which nothing was sent.
type refusals struct {
	Count    int     `json:"count"`
	Typed    int     `json:"typed"` // with a *breaker.OpenError
	MedianMS float64 `json:"median_ms"`
	P99MS    float64 `json:"p99_ms"`
	Example  string  `json:"example,omitempty"`
}

func (f *fleet) report() *report {
	r := &report{Scenario: "zone dies", Members: len(f.members), Seed: f.seed, How: f.how, GRPC: f.grpc, Alone: f.alone}
	calls := f.book.all()
	var load [2][]time.Duration
	for i, z := range f.zones {
		load[i], _ = z.loads()
		slices.Sort(load[i])
	}
	for _, p := range f.phases() {
		over := func(zone int, window time.Duration) float64 {
			return round(most(load[zone], p, window) / window.Seconds() / f.capacity[zone])
		}
		r.Phases = append(r.Phases, phaseReport{
			Name: p.name, FromS: p.from.Seconds(), ToS: p.to.Seconds(),
			A: count(calls, 0, p), B: count(calls, 1, p),
			LoadA1: over(0, time.Second), LoadA5: over(0, 5*time.Second),
			LoadB1: over(1, time.Second), LoadB5: over(1, 5*time.Second),
		})
	}
	r.Shift = shifted(calls, f.phases()[1])
	r.Shift.Room = f.room()
	r.Refusals, r.Reasons = turnedAway(calls), f.given(calls)
	for _, c := range calls {
		r.LateMS = max(r.LateMS, round(1000*(c.began-c.due).Seconds()))
	}
	return r
}

func round(f float64) float64 { return math.Round(f*1000) / 1000 }

// count says what became of the calls of one zone's users that were due in a phase.
func count(calls []call, zone int, p phase) users {
	u, ok := users{}, 0
	for _, c := range calls {
		if c.zone != zone || c.due < p.from || c.due >= p.to {
			continue
		}
		u.Calls++
		switch {
		case c.ok:
			ok++
			if c.at != zone {
				u.Diverted++
			}
		case c.at == nowhere:
			u.Refused++
		}
	}
	u.Goodput = round(float64(ok) / float64(max(u.Calls, 1)))
	return u
}

// most is the most events within a window that ends in the phase. The times are
// sorted.
func most(times []time.Duration, p phase, window time.Duration) float64 {
	most, tail := 0, 0
	for i, t := range times {
		for times[tail] <= t-window {
			tail++
		}
		if t >= p.from && t < p.to {
			most = max(most, i-tail+1)
		}
	}
	return float64(most)
}

// shifted says how fast a's calls went over to b in the phase in which a was dead:
// until the first 3 s begin in which there were nine tenths of what there was from
// the middle of the phase on.
func shifted(calls []call, p phase) shift {
	const window, step = 3 * time.Second, 250 * time.Millisecond
	rate := func(from, to time.Duration) float64 {
		n := 0
		for _, c := range calls {
			if c.zone == 0 && c.ok && c.at == 1 && c.ended >= from && c.ended < to {
				n++
			}
		}
		return float64(n) / (to - from).Seconds()
	}
	s := shift{Reached: round(rate((p.from+p.to)/2, p.to))}
	for t := p.from; t+window <= p.to && s.Reached > 0; t += step {
		if rate(t, t+window) >= .9*s.Reached {
			done := (t - p.from).Seconds()
			s.DoneS = &done
			break
		}
	}
	return s
}

// turnedAway says how long it took to be refused.
func turnedAway(calls []call) refusals {
	var r refusals
	var took []time.Duration
	for _, c := range calls {
		if c.ok || c.at != nowhere || c.ended == 0 {
			continue
		}
		r.Count++
		took = append(took, c.ended-c.began)
		if open, ok := c.refusal(); ok {
			r.Typed++
			r.Example = open.Error()
		}
	}
	if len(took) > 0 {
		slices.Sort(took)
		r.MedianMS = round(1000 * took[len(took)/2].Seconds())
		r.P99MS = round(1000 * took[len(took)*99/100].Seconds())
	}
	return r
}
