package standin

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// wrong is a stand-in with one fault.
type wrong struct {
	*Breaker
	first  func(b *Breaker)                                                    // once, when it is made
	before func(b *Breaker, now time.Duration)                                 // before each use
	hear   func(b *Breaker, a coord.Advice) coord.Advice                       // instead of the advice
	allow  func(b *Breaker, t Ticket, ok bool, a *coord.Advice) (Ticket, bool) // instead of the answer
	end    func(b *Breaker, t Ticket, o coord.Outcome) (Ticket, coord.Outcome) // instead of the outcome
	after  func(b *Breaker, o coord.Outcome, was Breaker)                      // after Done
}

func (w wrong) make(b *Breaker) machine {
	w.Breaker = b
	return &w
}

func (w *wrong) enter(now time.Duration, a *coord.Advice) *coord.Advice {
	if w.first != nil {
		w.first(w.Breaker)
		w.first = nil
	}
	if w.before != nil {
		w.before(w.Breaker, now)
	}
	if a != nil && w.hear != nil {
		heard := w.hear(w.Breaker, *a)
		return &heard
	}
	return a
}

func (w *wrong) Allow(now time.Duration, a *coord.Advice) (Ticket, bool) {
	a = w.enter(now, a)
	t, ok := w.Breaker.Allow(now, a)
	if w.allow != nil {
		return w.allow(w.Breaker, t, ok, a)
	}
	return t, ok
}

func (w *wrong) Done(now time.Duration, t Ticket, o coord.Outcome, a *coord.Advice) {
	a = w.enter(now, a)
	if w.end != nil {
		t, o = w.end(w.Breaker, t, o)
	}
	was := *w.Breaker
	w.Breaker.Done(now, t, o, a)
	if w.after != nil {
		w.after(w.Breaker, o, was)
	}
}

func (w *wrong) State(now time.Duration) State {
	w.enter(now, nil)
	return w.Breaker.State(now)
}

// The differential tests would find each of these faults.
func TestFaultsAreFound(t *testing.T) {
	current := func(b *Breaker, tk Ticket) bool { return tk.generation == b.generation && b.state == Closed }
	for _, tc := range []struct {
		name string
		in   subject
		wrong
	}{
		{"one failure in a row more", byDo, wrong{first: func(b *Breaker) { b.config.ConsecutiveFailures++ }}},
		{"one request more", byDo, wrong{first: func(b *Breaker) { b.config.MinRequests++ }}},
		{"a higher ratio", byDo, wrong{first: func(b *Breaker) { b.config.FailureRatio += .01 }}},
		{"a longer open time than it could draw", byDo, wrong{first: func(b *Breaker) { b.openFor += b.config.OpenTimeout }}},
		{"open for a nanosecond more", byDo, wrong{before: func(b *Breaker, now time.Duration) {
			if b.state == Open && now-b.since == b.openFor+1 {
				b.since++
			}
		}}},
		{"one bucket less", byDo, wrong{first: func(b *Breaker) { b.window.n-- }}},
		{"buckets that begin a nanosecond late", byDo, wrong{first: func(b *Breaker) { b.since++ }}},
		{"buckets that are a nanosecond longer", byDo, wrong{first: func(b *Breaker) { b.period++ }}},
		{"outcomes in the bucket of their end", byDo, wrong{end: func(b *Breaker, tk Ticket, o coord.Outcome) (Ticket, coord.Outcome) {
			if current(b, tk) {
				tk.age = b.window.age
			}
			return tk, o
		}}},
		{"late results count", byDo, wrong{end: func(b *Breaker, tk Ticket, o coord.Outcome) (Ticket, coord.Outcome) {
			if tk.generation >= b.born && tk.generation < b.generation {
				tk = Ticket{b.generation, b.window.age}
			}
			return tk, o
		}}},
		{"results of an earlier life count", byDo, wrong{end: func(b *Breaker, tk Ticket, o coord.Outcome) (Ticket, coord.Outcome) {
			if tk.generation > 0 && tk.generation < b.born {
				tk = Ticket{b.generation, b.window.age}
			}
			return tk, o
		}}},
		{"neutral is a success", byDo, wrong{end: func(_ *Breaker, tk Ticket, o coord.Outcome) (Ticket, coord.Outcome) {
			if o == coord.Neutral {
				o = coord.Success
			}
			return tk, o
		}}},
		{"a neutral probe stays out", byDo, wrong{end: func(b *Breaker, tk Ticket, o coord.Outcome) (Ticket, coord.Outcome) {
			if o == coord.Neutral && b.state == HalfOpen {
				tk = Ticket{}
			}
			return tk, o
		}}},
		{"slow is neutral", byDo, wrong{end: func(_ *Breaker, tk Ticket, o coord.Outcome) (Ticket, coord.Outcome) {
			if o == coord.Slow {
				o = coord.Neutral
			}
			return tk, o
		}}},
		{"no settling", byDo, wrong{hear: func(_ *Breaker, a coord.Advice) coord.Advice { a.Lately = false; return a }}},
		{"half is enough in company", byDo, wrong{hear: func(b *Breaker, a coord.Advice) coord.Advice {
			if a.Lately && b.config.MinRequests > 0 && float64(b.window.sum.failed) >= .5*float64(b.window.sum.ok+b.window.sum.failed) {
				a.Lately = false
			}
			return a
		}}},
		{"settling alone", byDo, wrong{hear: func(_ *Breaker, a coord.Advice) coord.Advice { a.Lately = true; return a }}},
		{"settling for a nanosecond more", byDo, wrong{after: func(b *Breaker, _ coord.Outcome, was Breaker) {
			if b.bad && !was.bad {
				b.badSince++
			}
		}}},
		{"a success ends the settling", byDo, wrong{after: func(b *Breaker, o coord.Outcome, _ Breaker) { b.bad = b.bad && o != coord.Success }}},
		{"not wary", byDo, wrong{before: func(b *Breaker, _ time.Duration) { b.wary = false }}},
		{"wary for ever", byDo, wrong{after: func(b *Breaker, _ coord.Outcome, was Breaker) { b.wary = was.wary }}},
		{"probes are never given up", byDo, wrong{before: func(b *Breaker, now time.Duration) { b.probeAt = now }}},
		{"probes are given up a nanosecond early", byDo, wrong{allow: func(b *Breaker, tk Ticket, ok bool, _ *coord.Advice) (Ticket, bool) {
			if ok && b.probing {
				b.probeAt--
			}
			return tk, ok
		}}},
		{"advice leaves the machine as it is", byDo, wrong{hear: func(b *Breaker, a coord.Advice) coord.Advice { a.Era = b.era; return a }}},
		{"the machine works under advice", byDo, wrong{hear: func(_ *Breaker, a coord.Advice) coord.Advice {
			return coord.Advice{Phi: coord.PhiFull, Lately: a.Lately, Era: a.Era}
		}}},
		{"outcomes under advice count", byDo, wrong{end: func(b *Breaker, tk Ticket, o coord.Outcome) (Ticket, coord.Outcome) {
			if tk.generation == 0 {
				tk = Ticket{b.generation, b.window.age}
			}
			return tk, o
		}}},
		{"Allow: one failure in a row more", byAllow, wrong{first: func(b *Breaker) { b.config.ConsecutiveFailures++ }}},
		{"own jitter: one failure in a row more", byDoUntouched, wrong{first: func(b *Breaker) { b.config.ConsecutiveFailures++ }}},
		{"own jitter: twice the open time", byDoUntouched, wrong{first: func(b *Breaker) { b.openFor *= 2 }}},
		{"gobreaker: one failure in a row more", byGobreaker, wrong{first: func(b *Breaker) { b.config.ConsecutiveFailures++ }}},
		{"gobreaker: a nanosecond more", byGobreaker, wrong{first: func(b *Breaker) { b.openFor++ }}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			traces := rapid.Custom(func(r *rapid.T) trace { return drawTrace(r, tc.in) })
			for seed := range 5000 {
				if err := play(t, tc.in, traces.Example(seed), tc.make); err != nil {
					t.Logf("found in trace %d: %v", seed, err)
					return
				}
			}
			t.Error("not found")
		})
	}
}

// Some traces hardly ever come by chance.
func TestRareTraces(t *testing.T) {
	const second = time.Second
	begins := step{Do: begin, Attempt: 1}
	lands := func(r result) step { return step{Do: land, Result: r} } // the one that began first
	fails := step{Do: call, Times: 1, Attempt: 1, Result: failure}
	waits := func(d time.Duration) step { return step{Do: wait, Wait: d} }
	looks := step{Do: look}
	// Two failures of the second bucket, then a success and a failure that had
	// begun in the first: a row of one, which is not all that the window holds
	// when either bucket leaves it, and so stays.
	inRow := Config{Window: 10 * second, MinRequests: -1, ConsecutiveFailures: 3}
	crossed := []step{
		begins, begins, waits(second), begins, begins,
		{Do: land, Which: 2, Result: failure}, {Do: land, Which: 2, Result: failure},
		lands(success), lands(failure),
	}
	for _, tc := range []struct {
		name  string
		trace trace
		wrong wrong
	}{
		{
			name: "a row outlives the window",
			trace: trace{Config: inRow, Steps: append(slices.Clip(crossed),
				waits(9*second), looks, waits(second), looks, waits(8*second), looks, fails, fails, looks)},
			wrong: wrong{before: func(b *Breaker, now time.Duration) {
				b.advance(now)
				b.window.sum.inRow = min(b.window.sum.inRow, b.window.sum.failed)
			}},
		},
		{
			name:  "a row does not outlive a silence as long as the window",
			trace: trace{Config: inRow, Steps: append(slices.Clip(crossed), waits(10*second), fails, fails, looks)},
			wrong: wrong{before: func(b *Breaker, now time.Duration) {
				for b.state == Closed && b.window.age < int64((now-b.since)/b.period) {
					b.window.grow(b.window.age + 1)
				}
			}},
		},
		{
			// A success that comes when its bucket has left the window is not
			// counted, but shows that the endpoint answers.
			name: "an uncounted success ends the wariness",
			trace: trace{
				Config: Config{Window: second, OpenTimeout: 9, ConsecutiveFailures: 2},
				Steps: []step{
					fails, fails, waits(10), begins, waits(11 * second), // a probe that is given up
					begins, waits(2 * second), {Do: land, Which: 1, Result: success}, fails, looks,
				},
			},
			wrong: wrong{after: func(b *Breaker, _ coord.Outcome, was Breaker) {
				b.wary = was.wary && (b.wary || b.generation == was.generation && b.window.sum == was.window.sum)
			}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, s := range []subject{byDo, byAllow} {
				if err := play(t, s, tc.trace, nil); err != nil {
					t.Error(err)
				}
				if err := play(t, s, tc.trace, tc.wrong.make); err == nil {
					t.Error("nothing rare happens in it")
				}
			}
		})
	}
}
