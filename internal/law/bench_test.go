package law_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/law"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// bench drives one steward as a cluster would: members report each tick, follow
// the decision from the next tick on, and two other stewards say the same.
type bench struct {
	t       *testing.T
	now     time.Duration
	s       *law.Steward
	members []*member
	fellows bool
	d       law.Decision
}

type member struct {
	origin wire.Origin
	row    wire.ReportRow
	silent bool
}

// load is what one member sees in a tick.
type load struct {
	ok, slow, fast int
	latency        time.Duration // of the successes
	lost           int           // attempts without an outcome
	dimmed         int           // first tries not sent
	retries        int           // of the attempts
	retriesOK      int
}

const healthy = 10 * time.Millisecond

func newBench(t *testing.T, members int) *bench {
	b := &bench{t: t, now: time.Hour, fellows: true}
	b.s = law.New("steward", b.now)
	b.d = b.s.Decision()
	for i := range members {
		m := &member{origin: wire.Origin{Member: fmt.Sprint("member-", i), Incarnation: 1}}
		m.row.Endpoint, m.row.Health, m.row.Phi, m.row.Timeout = "e", 255, coord.PhiFull, time.Second
		b.members = append(b.members, m)
	}
	b.tick() // what is counted before a steward's first report is not its business
	return b
}

func (m *member) see(l load) {
	us := time.Duration(l.ok) * l.latency
	n := uint64(l.ok + l.slow + l.fast)
	tot, tag := &m.row.Totals, &m.row.Tagged
	tot.Demand += n + uint64(l.lost+l.dimmed)
	tot.OK += uint64(l.ok)
	tot.OKLatency += us
	tot.FailSlow += uint64(l.slow)
	tot.FailFast += uint64(l.fast)
	tot.Retries += uint64(l.retries)
	tot.RetriesOK += uint64(l.retriesOK)
	tag.Sent += n + uint64(l.lost)
	tag.OK += uint64(l.ok)
	tag.OKLatency += us
	tag.FailSlow += uint64(l.slow)
	tag.FailFast += uint64(l.fast)
}

func (b *bench) report(m *member) law.Intake {
	m.origin.Seq++
	return b.s.Report(b.now, m.origin, &m.row)
}

// tick lets the members see a load each, the last one for all that are left,
// and the steward decide.
func (b *bench) tick(loads ...load) law.Decision {
	b.now += law.Tick
	for i, m := range b.members {
		if len(loads) > 0 {
			m.see(loads[min(i, len(loads)-1)])
		}
		if !m.silent {
			b.report(m)
		}
	}
	if b.fellows {
		for _, fellow := range []string{"fellow-1", "fellow-2"} {
			b.s.Heard(b.now, fellow, b.d.Phi)
		}
	}
	b.d = b.s.Step(b.now)
	b.follow(b.d.Phi)
	return b.d
}

// follow lets all members apply a dimmer.
func (b *bench) follow(phi coord.Phi) {
	for _, m := range b.members {
		if m.row.Phi != phi {
			m.row.Phi, m.row.Tagged = phi, coord.TagCounts{}
			m.row.Tag++
		}
	}
}

func (b *bench) ticks(n int, loads ...load) law.Decision {
	for range n {
		b.tick(loads...)
	}
	return b.d
}

// well is a tick of 100 quick successes for each member.
var well = load{ok: 100, latency: healthy}

// trip brings the endpoint to DIM at .0625, nothing having succeeded, as seen by
// healthy reporters before.
func trip(t *testing.T, members int) *bench {
	b := newBench(t, members)
	b.ticks(20, well)
	for range 8 {
		if b.tick(load{slow: 100}).State == wire.Dim {
			b.want(.0625, coord.RetryNone, wire.Dim)
			return b
		}
	}
	t.Fatal("all is timing out and nothing happens")
	return nil
}

// epoch lets the members see the load each tick until the decision changes, and
// fails if it takes more than the given number of ticks.
func (b *bench) epoch(most int, loads ...load) law.Decision {
	b.t.Helper()
	was := b.d
	for range most {
		if d := b.tick(loads...); d.Phi != was.Phi || d.State != was.State {
			return d
		}
	}
	b.t.Fatalf("phi is still %.4f after %d ticks", was.Phi.Float(), most)
	return b.d
}

func (b *bench) want(phi float64, mode coord.Mode, state wire.State) {
	b.t.Helper()
	if d := b.d; d.Phi != coord.PhiOf(phi) || d.Mode != mode || d.State != state {
		b.t.Fatalf("phi %.4f, retries %v, %v; want %.4f, %v, %v", d.Phi.Float(), d.Mode, d.State, phi, mode, state)
	}
}
