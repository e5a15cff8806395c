package law_test

import (
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/law"
	"github.com/murmuration-go/murmuration/internal/wire"
)

const tight = 300e6 // 300 ms: the healthy mean is 10, the threshold 110

// TestTrip: what two seconds of trouble after five good ones lead to.
func TestTrip(t *testing.T) {
	black := load{slow: 100}
	refused := load{fast: 100}
	for _, c := range []struct {
		name    string
		members int
		loads   []load
		state   wire.State
		phi     float64
		mode    coord.Mode
	}{
		{"all is well", 3, []load{well}, wire.Closed, 1, coord.RetryAll},
		{"5 % slow failures", 3, []load{{ok: 95, slow: 5, latency: healthy}}, wire.Closed, 1, coord.RetryAll},
		{"20 % failures of both kinds", 3, []load{{ok: 80, slow: 10, fast: 10, latency: healthy}}, wire.Closed, 1, coord.RetryAll},
		{"slow successes alone", 3, []load{{ok: 100, latency: tight}}, wire.Closed, 1, coord.RetryAll},

		{"one of two", 2, []load{black, well}, wire.Closed, 1, coord.RetryAll},
		{"one of three", 3, []load{black, well}, wire.Closed, 1, coord.RetryAll},
		{"one of three, refused", 3, []load{refused, well}, wire.Closed, 1, coord.RetryAll},
		{"two of ten", 10, []load{black, black, well}, wire.Closed, 1, coord.RetryAll},
		{"the only one", 1, []load{black}, wire.Dim, .0625, coord.RetryNone},
		{"the only one, refused", 1, []load{refused}, wire.NotLoad, 1, coord.RetryRatio},

		{"timeouts only", 3, []load{black}, wire.Dim, .0625, coord.RetryNone},
		{"timeouts with slow successes", 3, []load{{ok: 50, slow: 50, latency: tight}}, wire.Dim, .25, coord.RetryNone},
		{"timeouts with quick successes", 3, []load{{ok: 50, slow: 50, latency: healthy}}, wire.NotLoad, 1, coord.RetryRatio},
		{"timeouts with refusals", 3, []load{{slow: 50, fast: 50}}, wire.NotLoad, 1, coord.RetryRatio},
		{"refusals only", 3, []load{refused}, wire.NotLoad, 1, coord.RetryRatio},
		{"refusals with slow successes", 3, []load{{ok: 50, fast: 50, latency: tight}}, wire.NotLoad, 1, coord.RetryRatio},

		{"refusals, retries help", 3, []load{{fast: 100, retries: 10, retriesOK: 5}}, wire.NotLoad, 1, coord.RetryRatio},
		{"refusals, retries do not help", 3, []load{{fast: 100, retries: 10, retriesOK: 4}}, wire.NotLoad, 1, coord.RetryNone},
		{"too few to tell overload", 2, []load{{slow: 1}}, wire.NotLoad, 1, coord.RetryRatio},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, c.members)
			b.ticks(20, well)
			b.ticks(8, c.loads...)
			if b.d.State == wire.Dim && c.state == wire.Dim { // it may have gone on deciding
				b = newBench(t, c.members)
				b.ticks(20, well)
				b.epoch(8, c.loads...)
			}
			b.want(c.phi, c.mode, c.state)
		})
	}
}

// TestDoubt: reporters that do not trust their own view trip nothing.
func TestDoubt(t *testing.T) {
	b := newBench(t, 3)
	b.ticks(20, well)
	for _, m := range b.members {
		m.row.Health = 0
	}
	b.ticks(40, load{slow: 100})
	b.want(1, coord.RetryAll, wire.Closed)
}

// TestDrain: once failures stop, the evidence drains and all retries are back.
func TestDrain(t *testing.T) {
	b := newBench(t, 3)
	b.ticks(20, well)
	b.ticks(8, load{fast: 100, retries: 10})
	b.want(1, coord.RetryNone, wire.NotLoad)
	b.epoch(10, well)
	b.want(1, coord.RetryAll, wire.Closed)
}

// TestOnlyReporter: what one reporter alone has tripped holds only as long as it
// is alone; then it takes two.
func TestOnlyReporter(t *testing.T) {
	start := func() *bench {
		b := newBench(t, 3)
		b.ticks(20, well)
		b.members[1].silent, b.members[2].silent = true, true
		b.ticks(20, well)
		b.epoch(8, load{slow: 100})
		b.want(.0625, coord.RetryNone, wire.Dim)
		if b.d.Reporters != 1 {
			t.Errorf("%d reporters, want 1", b.d.Reporters)
		}
		return b
	}
	b := start()
	b.members[1].silent = false
	b.tick(load{slow: 100}, well)
	b.want(1, coord.RetryRatio, wire.NotLoad)
	b.ticks(20, load{slow: 100}, well)
	if b.d.State == wire.Dim {
		t.Error("dimmed again by one of two")
	}

	b = start()
	b.members[1].silent = false
	b.epoch(2, load{slow: 100})
	if b.ticks(2, load{slow: 100}); b.d.State != wire.Dim || b.d.Reporters != 2 {
		t.Errorf("%v by %d reporters while all is timing out, want dim by 2", b.d.State, b.d.Reporters)
	}
}

// TestStaleReports: only what is newer than the member's last report counts.
func TestStaleReports(t *testing.T) {
	b := newBench(t, 2)
	b.ticks(20, well)
	was := b.s.Decision()
	for _, m := range b.members {
		old := m.row
		old.Totals.FailSlow += 1000
		for _, seq := range []uint64{0, 1, m.origin.Seq} {
			o := m.origin
			o.Seq = seq
			if got := b.s.Report(b.now, o, &old); got != law.Stale {
				t.Errorf("sequence number %d after %d is taken: %v", seq, m.origin.Seq, got)
			}
		}
		o := wire.Origin{Member: m.origin.Member, Incarnation: 0, Seq: 1 << 60}
		if got := b.s.Report(b.now, o, &old); got != law.Stale {
			t.Errorf("an earlier process is taken: %v", got)
		}
	}
	b.ticks(1, well)
	if b.d.Failures != was.Failures {
		t.Errorf("%d failures", b.d.Failures)
	}

	// A new process starts counting from nothing, and that is no news yet.
	m := b.members[0]
	m.origin = wire.Origin{Member: m.origin.Member, Incarnation: 2}
	m.row.Totals = coord.Totals{Demand: 1e6, FailSlow: 1e6}
	b.ticks(1, well)
	if b.d.Failures != 0 || b.d.State != wire.Closed {
		t.Errorf("%d failures, %v: a new process's past was taken for the last tick", b.d.Failures, b.d.State)
	}
}

// TestEvidenceOfTrouble: while nothing ends, a decision still tells what it rests on.
func TestEvidenceOfTrouble(t *testing.T) {
	b := trip(t, 3)
	silent := load{}
	last := b.d
	for last.Outcomes == 0 || b.d.Window == 2*law.Tick {
		if last = b.d; b.ticks(1, silent).State != wire.Dim {
			t.Fatal("it is dimmed no more")
		}
	}
	from := b.d.Window
	for i := range 8 {
		d := b.ticks(1, silent)
		if d.Outcomes != last.Outcomes || d.Failures != last.Failures || d.Window != from+law.Tick*time.Duration(i+1) {
			t.Errorf("after %d silent ticks: %d of %d in %v, of %d of %d before", i+1, d.Failures, d.Outcomes, d.Window, last.Failures, last.Outcomes)
		}
	}
	if d := b.ticks(1, load{slow: 3}); d.Outcomes != 9 || d.Failures != 9 || d.Window != 2*law.Tick {
		t.Errorf("of new outcomes: %d of %d in %v", d.Failures, d.Outcomes, d.Window)
	}

	b = newBench(t, 3)
	b.ticks(20, well)
	if d := b.ticks(4, silent); d.Outcomes != 0 || d.Window != 2*law.Tick {
		t.Errorf("while all is well nothing is nothing: %d in %v", d.Outcomes, d.Window)
	}
}
