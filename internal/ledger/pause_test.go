package ledger

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestClusterFactor: the more members fail, the longer the base, within the
// longest wait of all.
func TestClusterFactor(t *testing.T) {
	const ms, forever = time.Millisecond, time.Duration(math.MaxInt64)
	for _, tc := range []struct {
		backoff Backoff
		failing int
		n       int
		typical time.Duration
		want    time.Duration
	}{
		{Backoff{}, 0, 1, 0, 10 * ms},
		{Backoff{}, 1, 1, 0, 10 * ms},
		{Backoff{}, -5, 1, 0, 10 * ms},
		{Backoff{}, 2, 1, 0, 20 * ms},
		{Backoff{}, 16, 1, 0, 50 * ms},
		{Backoff{}, 16, 2, 0, 100 * ms},
		{Backoff{}, 1024, 1, 0, 110 * ms},
		{Backoff{}, 1024, 1, 100 * ms, 1100 * ms},
		{Backoff{}, 1024, 2, 100 * ms, 2 * time.Second},
		{Backoff{}, 1024, 1, time.Minute, 2 * time.Second},
		{Backoff{}, math.MaxInt, 1, 0, 640 * ms},
		{Backoff{Base: -1}, 1024, 1, time.Second, 0},
		{Backoff{Base: 30 * ms, Max: 10 * ms}, 4, 1, 0, 10 * ms},
		{Backoff{Base: forever, Max: forever}, 4, 1, 0, forever},
		{Backoff{Base: 1, Max: forever}, 4, 1, 0, 3},
	} {
		tc.backoff.Failing = tc.failing
		if got := tc.backoff.Longest(tc.n, tc.typical); got != tc.want {
			t.Errorf("%+v, retry %d, typically %v: %v at most, want %v", tc.backoff, tc.n, tc.typical, got, tc.want)
		}
	}
}

// TestPause: of backoff, what the call was told and what the cluster shares the
// longest wait counts, and it fits the room or is refused.
func TestPause(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	const last = 1 - 1.0/(1<<53)
	for name, c := range map[string]struct {
		p     Pause
		u, v  float64
		want  time.Duration
		noFit bool
	}{
		"backoff":                          {Pause{Retry: 1}, .5, 0, 5 * ms, false},
		"told":                             {Pause{Retry: 1, Floor: s}, .5, 0, s, false},
		"told for less than the backoff":   {Pause{Retry: 8, Floor: s}, last, 0, 1280 * ms, false},
		"shared":                           {Pause{Retry: 1, Shared: 4 * s}, 0, 0, 4 * s, false},
		"shared, and backoff":              {Pause{Retry: 1, Shared: 4 * s}, .5, 0, 4*s + 5*ms, false},
		"shared, last":                     {Pause{Retry: 1, Shared: 4 * s}, .5, last, 6 * s, false},
		"shared, in the middle":            {Pause{Retry: 1, Shared: 4 * s}, .5, .25, 5 * s, false},
		"shared, about to end":             {Pause{Retry: 1, Shared: 100 * ms}, .5, last, 150 * ms, false},
		"told for longer than is shared":   {Pause{Retry: 1, Shared: 4 * s, Floor: 20 * s}, .5, last, 20 * s, false},
		"room":                             {Pause{Retry: 1, Room: 6 * ms}, .5, 0, 5 * ms, false},
		"no room":                          {Pause{Retry: 1, Room: 5 * ms}, .5, 0, 5 * ms, true},
		"no room for what was told":        {Pause{Retry: 1, Floor: s, Room: s}, .5, 0, s, true},
		"none at all":                      {Pause{Retry: 1, Room: -s}, 0, 0, 0, true},
		"no wait, no room":                 {Pause{Backoff: Backoff{Base: -1}, Retry: 1, Room: 0}, .5, 0, 0, true},
		"spread":                           {Pause{Backoff: Backoff{Failing: 16}, Retry: 1}, .5, 0, 25 * ms, false},
		"spread within the room":           {Pause{Backoff: Backoff{Failing: 16}, Retry: 1, Room: 30*ms + 1}, .5, 0, 15 * ms, false},
		"too little room even for one":     {Pause{Backoff: Backoff{Failing: 16}, Retry: 1, Room: 5 * ms}, .5, 0, 5 * ms, true},
		"shared, within the room":          {Pause{Retry: 1, Shared: 4 * s, Room: 5*s + 1}, .5, last, 5 * s, false},
		"shared, no room for it":           {Pause{Retry: 1, Shared: 4 * s, Room: 4 * s}, .5, 0, 4 * s, true},
		"shared, room for nothing but it":  {Pause{Retry: 1, Shared: 4 * s, Room: 4*s + 2}, .5, last, 4*s + 1, false},
		"no waits, but for what is shared": {Pause{Backoff: Backoff{Base: -1}, Retry: 1, Shared: s}, .5, 0, s, false},
	} {
		if c.p.Room == 0 && !c.noFit {
			c.p.Room = NoDeadline
		}
		if got, ok := c.p.Draw(c.u, c.v); ok == c.noFit || (got-c.want).Abs() > 10 {
			t.Errorf("%s: %v, %v; want %v", name, got, ok, c.want)
		}
	}
}

// TestPauseProperties: a wait that is accepted fits; it is never shorter than what
// was told or is shared; and being spread ends no call that would have gone on.
func TestPauseProperties(t *testing.T) {
	span := rapid.Map(rapid.IntRange(0, 60_000), func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond })
	rapid.Check(t, func(t *rapid.T) {
		p := Pause{
			Backoff: Backoff{Base: span.Draw(t, "base") / 60, Failing: rapid.IntRange(0, 5000).Draw(t, "failing")},
			Retry:   rapid.IntRange(1, 10).Draw(t, "retry"), Typical: span.Draw(t, "typical") / 60,
			Room: rapid.OneOf(rapid.Just(NoDeadline), span).Draw(t, "room") - time.Millisecond,
		}
		if rapid.Bool().Draw(t, "told") {
			p.Floor = span.Draw(t, "floor") / 2
		}
		if rapid.Bool().Draw(t, "pushed back") {
			p.Shared = span.Draw(t, "shared") / 2
		}
		u, v := rapid.Float64Range(0, math.Nextafter(1, 0)).Draw(t, "u"), rapid.Float64Range(0, math.Nextafter(1, 0)).Draw(t, "v")
		wait, ok := p.Draw(u, v)
		switch {
		case ok != (wait < p.Room):
			t.Fatalf("%v in %v: %v", wait, p.Room, ok)
		case wait < p.Floor || wait < p.Shared:
			t.Fatalf("%v, told %v, shared %v", wait, p.Floor, p.Shared)
		case wait > max(p.Floor, p.Shared+max(2*time.Second, p.Shared/2)):
			t.Fatalf("%v is longer than anything asks for", wait)
		}
		alone := p
		alone.Backoff.Failing = 0
		if _, fits := alone.Draw(u, v); fits && !ok {
			t.Fatal("being spread has ended the call")
		}
		if alone.Shared = 0; p.Shared < p.Room {
			if _, fits := alone.Draw(u, v); fits && !ok {
				t.Fatal("what is shared has ended the call, though there is room for it")
			}
		}
	})
}

// TestNoStampede: of calls that fail at a constant rate during a pushback, however
// long it is, the retries come at four times that rate at most when it ends. That
// of those spread uniformly would be much higher.
func TestNoStampede(t *testing.T) {
	for _, length := range []time.Duration{time.Second, 10 * time.Second, 30 * time.Second} {
		const calls, slots = 200_000, 100 // in the time that as many calls took to fail
		var came, uniform [2 * slots]int
		slot := length / slots
		for i := range calls {
			left := time.Duration(float64(length) * (1 - float64(i)/calls))
			v := math.Mod(float64(i)*math.Phi, 1) // evenly spread, and not in step
			u := math.Mod(float64(i)*math.Sqrt2, 1)
			wait, _ := Pause{Retry: 1, Shared: left, Room: NoDeadline}.Draw(u, v)
			came[(wait-left)/slot]++
			uniform[max(time.Duration(v*float64(left/2)), time.Duration(u*float64(10*time.Millisecond)))/slot]++
		}
		peak, peakUniform := 0, 0
		for i := range came {
			peak, peakUniform = max(peak, came[i]), max(peakUniform, uniform[i])
		}
		rate := float64(calls) / slots
		t.Logf("%v: %.1f times the rate at which calls failed; %.1f if it were uniform", length, float64(peak)/rate, float64(peakUniform)/rate)
		if float64(peak) > 4.2*rate {
			t.Errorf("%v: retries come back at %.1f times the rate at which calls failed", length, float64(peak)/rate)
		}
	}
}
