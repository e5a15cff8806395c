package law_test

import (
	"math"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/law"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// TestAdoption: a steward that has just been appointed takes over from what most
// of three reporters or more carry.
func TestAdoption(t *testing.T) {
	for _, c := range []struct {
		name    string
		phis    []float64
		l0      time.Duration
		late    time.Duration
		state   wire.State
		phi     float64
		learned time.Duration
	}{
		{"all dimmed", []float64{.2, .2, .2}, healthy, 0, wire.Dim, .2, healthy},
		{"most dimmed, at different values", []float64{.1, .2, 1}, healthy, 0, wire.Dim, .2, healthy},
		{"half dimmed", []float64{.2, .2, 1, 1}, healthy, 0, wire.Closed, 1, healthy},
		{"one of three", []float64{.2, 1, 1}, healthy, 0, wire.Closed, 1, healthy},
		{"too few reporters", []float64{.2, .2}, healthy, 0, wire.Closed, 1, 0},
		{"no longer new", []float64{.2, .2, .2}, healthy, 11 * time.Second, wire.Closed, 1, 0},
		{"a baseline beyond the timeout", []float64{1, 1, 1}, time.Hour, 0, wire.Closed, 1, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, 0)
			b.now += c.late
			for i, phi := range c.phis {
				m := &member{origin: wire.Origin{Member: string(rune('a' + i))}}
				m.row.Phi, m.row.L0, m.row.Health, m.row.Timeout = coord.PhiOf(phi), c.l0, 255, time.Second
				b.members = append(b.members, m)
				b.report(m)
			}
			b.d = b.s.Step(b.now)
			if b.d.State != c.state || b.d.Phi != coord.PhiOf(c.phi) || (b.d.L0-c.learned).Abs() > 1 {
				t.Errorf("%v at %.4f with baseline %v; want %v at %v with %v", b.d.State, b.d.Phi.Float(), b.d.L0, c.state, c.phi, c.learned)
			}
		})
	}
}

// TestAdoptedCeiling: the ramp goes on from where it was.
func TestAdoptedCeiling(t *testing.T) {
	b := newBench(t, 0)
	for i := range 3 {
		m := &member{origin: wire.Origin{Member: string(rune('a' + i))}}
		m.row.Phi, m.row.L0, m.row.Health, m.row.Timeout = coord.PhiOf(.8), healthy, 255, time.Second
		b.members = append(b.members, m)
	}
	b.tick(load{})
	b.want(.8, coord.RetryNone, wire.Dim)
	if d := b.epoch(20, straying); (d.Phi.Float() - .8*1.12) > .001 {
		t.Errorf("first step to %.4f, want %.4f: the ceiling is where it was adopted", d.Phi.Float(), .8*1.12)
	}
}

// TestBaseline: the healthy mean is a plain average at first, then moves by one
// part in a hundred at most, and stands still while anything is amiss.
func TestBaseline(t *testing.T) {
	b := newBench(t, 3)
	b.ticks(20, load{ok: 100, latency: 8 * time.Millisecond})
	b.ticks(20, load{ok: 100, latency: 12 * time.Millisecond})
	near := func(want time.Duration) {
		t.Helper()
		if got := b.d.L0; (got - want).Abs() > want/1000 {
			t.Fatalf("baseline %v, want %v", got, want)
		}
	}
	near(10 * time.Millisecond)
	b.ticks(1, load{ok: 100, latency: 15 * time.Millisecond})
	near(10*time.Millisecond + 50*time.Microsecond)
	was := b.d.L0
	for range 10 { // however slow
		b.ticks(1, load{ok: 100, latency: 900 * time.Millisecond})
		was += was / 100
		near(was)
	}
	b.ticks(40, load{ok: 60, fast: 40, latency: 50 * time.Millisecond})
	near(was)
	if b.d.State != wire.NotLoad {
		t.Errorf("%v", b.d.State)
	}
}

// TestBaselineOfNothing: an endpoint that answered within a microsecond at first
// can still come to have a baseline.
func TestBaselineOfNothing(t *testing.T) {
	b := newBench(t, 3)
	b.ticks(50, load{ok: 100})
	b.ticks(1000, well)
	if b.d.L0 < healthy/2 {
		t.Errorf("baseline %v after 250 s at %v", b.d.L0, healthy)
	}
}

// TestThreshold: a tenth of the timeout above the baseline, at most eleven times
// it; a quarter of the timeout while there is none.
func TestThreshold(t *testing.T) {
	for _, c := range []struct{ latency, want time.Duration }{
		{0, 250 * time.Millisecond},
		{time.Millisecond, 11 * time.Millisecond},
		{10 * time.Millisecond, 110 * time.Millisecond},
		{400 * time.Millisecond, 500 * time.Millisecond},
	} {
		b := newBench(t, 3)
		if c.latency > 0 {
			b.ticks(10, load{ok: 100, latency: c.latency})
		}
		if (b.d.Thr - c.want).Abs() > 1 {
			t.Errorf("at %v: %v, want %v", c.latency, b.d.Thr, c.want)
		}
	}
}

// TestDemand: a plain average of the first seven ticks, then .15 a tick, of what
// is wanted and not of what is sent.
func TestDemand(t *testing.T) {
	b := newBench(t, 2)
	ticks := []int{0} // newBench takes the first
	for i := range 20 {
		b.tick(load{dimmed: 10 * i})
		ticks = append(ticks, 20*i)
	}
	var want float64
	for i, n := range ticks {
		rate := float64(n) * float64(time.Second/law.Tick)
		if i < 7 {
			want += (rate - want) / float64(i+1)
		} else {
			want += .15 * (rate - want)
		}
	}
	if math.Abs(b.d.Demand-want) > 1e-9*want {
		t.Errorf("%v a second, want %v", b.d.Demand, want)
	}
}

// TestOneVoice: what one of five claims counts at most four times as much as what
// the middle one says.
func TestOneVoice(t *testing.T) {
	b := newBench(t, 5)
	b.ticks(60, load{ok: 1e6, dimmed: 1e6, latency: time.Hour}, well)
	if most := 8. * 400; b.d.Demand > most {
		t.Errorf("demand %.0f a second, want at most %.0f", b.d.Demand, most)
	}
	if b.d.L0 != healthy {
		t.Errorf("baseline %v, want %v", b.d.L0, healthy)
	}
	b.want(1, coord.RetryAll, wire.Closed)
}

// TestOneVoiceInAQuietTick: nor when nobody else, or one other, has called in the
// same tick.
func TestOneVoiceInAQuietTick(t *testing.T) {
	for others := range 2 {
		b := newBench(t, 5)
		one := load{ok: 1, latency: healthy}
		for i := range 80 {
			loads := make([]load, 5)
			loads[1+i%4] = one
			b.tick(loads...) // four a second, by each of the others in turn
		}
		for i := range 16 { // the others are present for five seconds
			loads := make([]load, 5)
			loads[0] = load{ok: 1e6, dimmed: 1e6, latency: healthy}
			if others > 0 {
				loads[1+i%4] = one
			}
			b.tick(loads...)
		}
		if most := 4. * (4 + 1); b.d.Demand > most {
			t.Errorf("%d others: demand %.0f a second, want at most %.0f", others, b.d.Demand, most)
		}
	}
}

// TestForgotten: a steward without reports is of no use after a minute, and
// reporters that fell silent are forgotten, so memory is bounded.
func TestForgotten(t *testing.T) {
	b := newBench(t, 3)
	b.ticks(4, well)
	for _, m := range b.members {
		m.silent = true
	}
	b.ticks(100)
	if b.s.Idle(b.now) {
		t.Error("idle after 25 s")
	}
	if b.ticks(160); !b.s.Idle(b.now) || b.d.Reporters != 0 {
		t.Errorf("not idle after 65 s, %d reporters", b.d.Reporters)
	}
}
