package law_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/law"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// Here members do as they are told: of 100 first tries a tick each sends the
// share that phi lets through, and what becomes of those changes now and then.

// fate is what becomes of attempts for a while.
type fate struct {
	ticks      int
	slow, fast float64 // shares
	latency    time.Duration
}

// sent lets every member send what phi lets through, carrying fractions over.
func (b *bench) sent(f fate, carry []float64) []load {
	loads := make([]load, len(b.members))
	for i := range loads {
		carry[i] += 100 * b.d.Phi.Float()
		n := math.Floor(carry[i] + 1e-9)
		carry[i] -= n
		l := load{slow: int(n * f.slow), fast: int(n * f.fast), latency: f.latency}
		l.ok = int(n) - l.slow - l.fast
		l.dimmed = 100 - int(n)
		loads[i] = l
	}
	return loads
}

func fates(t *rapid.T) fate {
	f := fate{
		ticks:   rapid.IntRange(1, 30).Draw(t, "ticks"),
		latency: rapid.SampledFrom([]time.Duration{0, healthy, 4 * healthy, 20 * healthy, 90 * healthy}).Draw(t, "latency"),
		slow:    rapid.SampledFrom([]float64{0, 0, .05, .5, .95, 1}).Draw(t, "slow"),
	}
	f.fast = (1 - f.slow) * rapid.SampledFrom([]float64{0, 0, .5, 1}).Draw(t, "fast")
	return f
}

// TestGradual: phi rises by at most twice a step, or to .1 out of probing, and
// only from DIM; it never falls below the trickle of probes; and once all is
// well the endpoint is soon CLOSED again, whatever has been before.
func TestGradual(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t, rapid.IntRange(1, 7).Draw(rt, "members"))
		carry := make([]float64, len(b.members))
		b.ticks(rapid.IntRange(0, 60).Draw(rt, "healthy ticks"), well)
		step := func(f fate) {
			was := b.d
			d := b.tick(b.sent(f, carry)...)
			phi, before, probes := d.Phi.Float(), was.Phi.Float(), min(3/d.Demand, 1)
			const round = 1. / 65535
			if phi > max(2*before, .1, probes)+round {
				rt.Fatalf("phi rises from %.5f to %.5f", before, phi)
			}
			if d.Phi > was.Phi && was.State != wire.Dim {
				rt.Fatalf("phi rises from %.5f to %.5f in %v", before, phi, was.State)
			}
			if d.Phi < was.Phi && phi < probes/1.5-round {
				rt.Fatalf("phi falls to %.5f, the trickle of probes is %.5f", phi, probes)
			}
			if d.State != wire.Dim && d.Phi != coord.PhiFull || d.State == wire.Dim && d.Mode != coord.RetryNone {
				rt.Fatalf("%v, phi %.5f, retries %v", d.State, phi, d.Mode)
			}
		}
		for range rapid.IntRange(1, 12).Draw(rt, "fates") {
			f := fates(rt)
			for range f.ticks {
				step(f)
			}
		}
		start := b.now
		for b.d.State != wire.Closed {
			if b.now-start > time.Minute {
				rt.Fatalf("%v at %.5f after a minute in which all was well", b.d.State, b.d.Phi.Float())
			}
			step(fate{latency: time.Microsecond})
		}
	})
}

// TestOneLiar: one of three reporters or more, whatever it says, trips nothing
// while all is well, and what stalled is found well again.
func TestOneLiar(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t, rapid.IntRange(3, 7).Draw(rt, "members"))
		carry := make([]float64, len(b.members))
		liar := b.members[rapid.IntRange(0, len(b.members)-1).Draw(rt, "liar")]
		lie := func() {
			count := rapid.SampledFrom([]uint64{0, 0, 1, 100, 1e4, wire.MaxCount})
			add := func(n *uint64) { *n = min(*n+count.Draw(rt, "count"), wire.MaxCount) }
			tot, tag := &liar.row.Totals, &liar.row.Tagged
			for _, n := range []*uint64{&tot.Demand, &tot.OK, &tot.FailSlow, &tot.FailFast, &tag.Sent, &tag.OK, &tag.FailSlow, &tag.FailFast} {
				add(n)
			}
			tot.OKLatency = rapid.SampledFrom([]time.Duration{0, tot.OKLatency, wire.MaxSum}).Draw(rt, "sum")
			tag.OKLatency = rapid.SampledFrom([]time.Duration{0, tag.OKLatency, wire.MaxSum}).Draw(rt, "tagged sum")
			liar.row.Timeout = rapid.SampledFrom([]time.Duration{0, time.Microsecond, time.Second, wire.MaxSpan}).Draw(rt, "timeout")
		}
		step := func(f fate) law.Decision {
			loads := b.sent(f, carry)
			lie()
			return b.tick(loads...)
		}
		for range 80 {
			if d := step(fate{latency: healthy}); d.State != wire.Closed {
				rt.Fatalf("%v while all is well", d.State)
			}
		}
		for range 20 {
			step(fate{slow: 1})
		}
		if b.d.State != wire.Dim {
			rt.Fatalf("%v while all is timing out", b.d.State)
		}
		for start := b.now; b.d.Phi < coord.PhiFull; step(fate{latency: healthy}) {
			if b.now-start > 90*time.Second {
				rt.Fatalf("%v at %.5f after 90 s in which all was well", b.d.State, b.d.Phi.Float())
			}
		}
	})
}
