package law_test

import (
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// In these tests three members want 100 first tries a tick each, 1,200 a second
// together, so that the trickle of probes is .0025.

// some is a tick in which 20 attempts of a member are sent, a few more than phi
// allows: epochs then end as soon as time allows.
func some(l load) load {
	l.dimmed = 100 - l.ok - l.slow - l.fast - l.lost
	return l
}

var (
	clean    = some(load{ok: 20, latency: healthy})
	straying = some(load{ok: 20, latency: 60 * time.Millisecond}) // not tight, but not at ease either
	slow     = some(load{ok: 20, latency: 300 * time.Millisecond})
	failing  = some(load{slow: 20})
)

// TestRamp: what one epoch of each kind leads to, one after the other.
func TestRamp(t *testing.T) {
	type step struct {
		load load
		phi  float64
	}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"nothing succeeds: a quarter each time, down to the probes", []step{
			{failing, .0625 / 4}, {failing, .0625 / 16}, {failing, .0025},
		}},
		{"one in eleven succeeds: as if nothing did", []step{
			{some(load{ok: 1, slow: 10, latency: healthy}), .0625 / 4},
		}},
		{"one in nine succeeds, quickly: clean", []step{
			{some(load{ok: 2, slow: 16, latency: healthy}), .125},
		}},
		{"clean: twice each time, up to the ceiling of .4", []step{
			{clean, .125}, {clean, .25}, {clean, .4},
		}},
		{"with ease past a ceiling that is only a guess", []step{
			{clean, .125}, {clean, .25}, {clean, .4}, {clean, .6}, {clean, .9}, {clean, 1},
		}},
		{"not with ease: 1.12 times beyond the ceiling", []step{
			{straying, .125}, {straying, .25}, {straying, .4}, {straying, .448}, {straying, .448 * 1.12},
		}},
		{"out of probing: to .1", []step{
			{failing, .0625 / 4}, {failing, .0625 / 16}, {failing, .0025}, {clean, .1}, {clean, .2}, {clean, .4},
		}},
		{"slow: .85 of it, and again as long as it gets no better", []step{
			{clean, .125}, {slow, .125 * .85}, {slow, .125 * .85 * .85},
		}},
		{"a step up that turned out too much is the new ceiling", []step{
			{clean, .125}, {clean, .25}, {slow, .25 * .85}, {clean, .25 * .85 * 1.12}, {clean, .25 * .85 * 1.12 * 1.12},
		}},
		{"the ceiling is a rate: .85 of what failed", []step{
			{clean, .125}, {clean, .25}, {failing, .0625}, {clean, .125}, {clean, .25 * .85},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := trip(t, 3)
			for i, s := range c.steps {
				d := b.epoch(12, s.load)
				if got := d.Phi.Float(); got < s.phi-5e-4 || got > s.phi+5e-4 {
					t.Fatalf("step %d: phi is %.4f, want %.4f", i, got, s.phi)
				}
				if d.Mode != coord.RetryNone || d.State != wire.Dim {
					t.Fatalf("step %d: retries %v, %v; want none, dim", i, d.Mode, d.State)
				}
			}
		})
	}
}

// TestDraining: as long as each epoch's successes are a tenth faster than the
// last one's, phi is held.
func TestDraining(t *testing.T) {
	b := trip(t, 3)
	b.epoch(8, some(load{ok: 20, latency: 900 * time.Millisecond}))
	was := b.d.Phi
	for _, ms := range []int{700, 500, 400, 300, 200} {
		b.ticks(2, some(load{ok: 20, latency: time.Duration(ms) * time.Millisecond}))
		if b.d.Phi != was {
			t.Fatalf("at %d ms: phi %.4f, want %.4f", ms, b.d.Phi.Float(), was.Float())
		}
	}
}

// TestSlowForOtherReasons: after five tight epochs that cuts did not help the
// slowness is taken for normal, and phi rises again.
func TestSlowForOtherReasons(t *testing.T) {
	b := trip(t, 3)
	for range 4 {
		b.epoch(8, slow)
	}
	low := b.d.Phi
	if b.d.Thr > 200*time.Millisecond {
		t.Fatalf("the threshold is %v after four epochs", b.d.Thr)
	}
	if d := b.epoch(8, slow); d.Phi <= low || d.Thr < 300*time.Millisecond {
		t.Errorf("phi from %.4f to %.4f, threshold %v; want more, over 300 ms", low.Float(), d.Phi.Float(), d.Thr)
	}
	// What is slower still has to prove itself anew.
	slower := some(load{ok: 20, latency: 480 * time.Millisecond})
	low = b.d.Phi
	for i := range 4 {
		if d := b.epoch(8, slower); d.Phi >= low {
			t.Fatalf("epoch %d: phi from %.4f to %.4f, want a cut", i, low.Float(), d.Phi.Float())
		}
		low = b.d.Phi
	}
}

// TestUnresolved: an epoch does not end while over half of what was sent is on
// its way, since successes arrive before timeouts.
func TestUnresolved(t *testing.T) {
	b := trip(t, 3)
	half := some(load{ok: 20, latency: healthy, lost: 30})
	if b.ticks(20, half); b.d.Phi != coord.PhiOf(.0625) {
		t.Errorf("phi is %.4f", b.d.Phi.Float())
	}
}

// TestEpochNeedsOthers: with three reporters or more, one of them alone does not
// end an epoch, but for a fallback after 10 s.
func TestEpochNeedsOthers(t *testing.T) {
	b := trip(t, 3)
	none := load{dimmed: 100}
	b.ticks(36, clean, none, none)
	b.want(.0625, coord.RetryNone, wire.Dim)
	b.epoch(8, clean, none, none)
}

// TestProbation: at phi 1 the retries stay off until 10 s were clean; then all
// is well, or not yet, by the evidence left.
func TestProbation(t *testing.T) {
	for _, c := range []struct {
		name  string
		last  load
		state wire.State
	}{
		{"nothing fails", well, wire.Closed},
		{"every other attempt is refused", load{ok: 50, fast: 50, latency: healthy}, wire.NotLoad},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := trip(t, 3)
			for b.d.Phi < coord.PhiFull {
				b.epoch(12, clean)
			}
			at := b.now
			b.epoch(60, c.last)
			if d := b.now - at; d < 10*time.Second || d > 11*time.Second {
				t.Errorf("after %v, want 10 s", d)
			}
			if b.d.State != c.state || b.d.Phi != coord.PhiFull {
				t.Errorf("%v at %.4f, want %v at 1", b.d.State, b.d.Phi.Float(), c.state)
			}
		})
	}
}

// TestEvidenceJudgesOnce: what has judged one epoch judges no other one, even if
// another phi was in force for a moment in between.
func TestEvidenceJudgesOnce(t *testing.T) {
	b := trip(t, 3)
	for b.d.Phi > coord.PhiOf(.003) {
		b.epoch(8, failing)
	}
	b.ticks(40, failing) // at the probes, again and again judged
	was := b.d.Phi
	b.fellows = false
	b.ticks(21, load{dimmed: 100}) // the other stewards are silent: phi is not in force
	b.fellows = true
	if b.ticks(4, clean); b.d.Phi <= was {
		t.Error("old failures were judged again")
	}
}

// TestAlone: where nobody else decides nothing is in force, members apply 1, and
// by that the steward judges: it finds out when trouble is over.
func TestAlone(t *testing.T) {
	b := newBench(t, 1)
	b.fellows = false
	b.members[0].origin.Member = "steward"
	tick := func(l load) {
		b.tick(l)
		b.follow(coord.PhiFull)
	}
	for range 130 { // for so long that whoever reported before is forgotten
		tick(well)
	}
	for range 20 {
		tick(load{slow: 100})
	}
	if b.d.State != wire.Dim {
		t.Fatalf("%v while all is timing out", b.d.State)
	}
	for range 60 {
		tick(well)
	}
	b.want(1, coord.RetryAll, wire.Closed)
}
