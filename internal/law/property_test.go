package law

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// op is one thing that happens to a steward.
type op struct {
	what  string
	after time.Duration
	from  wire.Origin
	row   wire.ReportRow
	name  string
	phi   coord.Phi
}

func (o op) apply(s *Steward, now time.Duration) {
	switch o.what {
	case "report":
		s.Report(now, o.from, &o.row)
	case "heard":
		s.Heard(now, o.name, o.phi)
	case "appoint":
		s.Appoint([]string{"self", o.name})
	case "judge":
		s.Judge(now)
	case "step":
		s.Step(now)
	}
}

var (
	counts = rapid.OneOf(rapid.Uint64Range(0, 50), rapid.Uint64Range(0, 5000),
		rapid.SampledFrom([]uint64{0, 1, wire.MaxCount - 1, wire.MaxCount}))
	spans = rapid.OneOf(rapid.Map(rapid.Int64Range(0, 2e6), func(us int64) time.Duration { return time.Duration(us) * time.Microsecond }),
		rapid.SampledFrom([]time.Duration{0, time.Microsecond, wire.MaxSpan}))
	sums = rapid.OneOf(spans, rapid.SampledFrom([]time.Duration{wire.MaxSum - time.Microsecond, wire.MaxSum}))
	phis = rapid.OneOf(rapid.SampledFrom([]coord.Phi{0, 1, 164, 4096, 6554, 16384, coord.PhiFull}),
		rapid.Map(rapid.Uint16(), func(p uint16) coord.Phi { return coord.Phi(p) }))
)

var names = []string{"self", "b", "c", "d", "e", "f"}

// world draws histories. Most of what members report goes on from what they
// reported before, as in life; now and then it is anything the wire lets through.
type world struct {
	rows map[string]*wire.ReportRow
	seqs map[string]uint64
	sent []op // reports so far, to be repeated
}

func (w *world) draw(t *rapid.T) op {
	member := rapid.SampledFrom(names)
	switch what := rapid.SampledFrom([]string{"report", "report", "report", "report", "repeat", "step", "step", "judge", "heard", "appoint"}).Draw(t, "what"); what {
	case "step":
		return op{what: what, after: rapid.SampledFrom([]time.Duration{0, Tick, Tick, Tick, Tick, 3 * time.Second, 40 * time.Second}).Draw(t, "after")}
	case "judge":
		return op{what: what, after: 50 * time.Millisecond}
	case "heard":
		return op{what: what, name: member.Draw(t, "steward"), phi: phis.Draw(t, "phi")}
	case "appoint":
		return op{what: what, name: member.Draw(t, "steward")}
	case "repeat":
		if len(w.sent) > 0 {
			return w.sent[rapid.IntRange(0, len(w.sent)-1).Draw(t, "which")]
		}
	}
	return w.report(t, member.Draw(t, "member"))
}

func (w *world) report(t *rapid.T, name string) op {
	r := w.rows[name]
	if r == nil {
		r = &wire.ReportRow{Health: 255}
		r.Phi, r.Timeout = coord.PhiFull, time.Second
		w.rows[name] = r
	}
	tot, tag := &r.Totals, &r.Tagged
	flow := &r.Flow
	fields := []*uint64{&tot.Demand, &tot.OK, &tot.FailSlow, &tot.FailFast, &tot.Retries, &tot.RetriesOK, &tag.Sent, &tag.OK, &tag.FailSlow, &tag.FailFast, &flow.Sent, &flow.Need, &flow.Strained}
	if rapid.IntRange(0, 9).Draw(t, "odd") == 0 { // counters run backwards, or over
		for _, f := range fields {
			*f = counts.Draw(t, "count")
		}
		tot.OKLatency, tag.OKLatency = sums.Draw(t, "sum"), sums.Draw(t, "sum")
		r.Place = coord.Place{Zone: rapid.StringN(0, 2, 4).Draw(t, "zone"), Away: rapid.Bool().Draw(t, "away"), Capacity: rapid.Float64Range(0, 1e9).Draw(t, "capacity")}
		r.Timeout, r.L0, r.Health = spans.Draw(t, "timeout"), spans.Draw(t, "L0"), rapid.Uint8().Draw(t, "health")
	}
	if r.Pushback = (coord.Pushback{}); rapid.IntRange(0, 3).Draw(t, "pushed back") == 0 {
		r.Pushback = coord.Pushback{Left: spans.Draw(t, "left"), Ago: spans.Draw(t, "ago")}
	}
	if phi := phis.Draw(t, "phi"); rapid.Bool().Draw(t, "move") && phi != r.Phi {
		r.Phi, *tag = phi, coord.TagCounts{}
		r.Tag++
	}
	n := rapid.Uint64Range(0, 500).Draw(t, "n")
	ok := rapid.Uint64Range(0, n).Draw(t, "ok")
	slow := rapid.Uint64Range(0, n-ok).Draw(t, "slow")
	for i, more := range []uint64{n, ok, slow, n - ok - slow, n / 10, n / 20, n, ok, slow, n - ok - slow, n, n / 3, ok / 4} {
		*fields[i] = min(*fields[i]+more, wire.MaxCount)
	}
	latency := time.Duration(ok) * spans.Draw(t, "latency") % wire.MaxSpan
	tot.OKLatency, tag.OKLatency = min(tot.OKLatency+latency, wire.MaxSum), min(tag.OKLatency+latency, wire.MaxSum)
	w.seqs[name]++
	o := op{what: "report", from: wire.Origin{Member: name, Incarnation: 1, Seq: w.seqs[name]}, row: *r}
	if rapid.IntRange(0, 30).Draw(t, "restart") == 0 {
		o.from.Incarnation = 2
	}
	w.sent = append(w.sent, o)
	return o
}

func history(t *rapid.T) []op {
	w := &world{rows: map[string]*wire.ReportRow{}, seqs: map[string]uint64{}}
	var ops []op
	for range rapid.IntRange(1, 400).Draw(t, "length") {
		ops = append(ops, w.draw(t))
	}
	return ops
}

// TestInvariants: whatever is reported and heard, the decision keeps the promises
// of doc.go, and every number in it is a number.
func TestInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Hour
		s, again := New("self", now), New("self", now)
		for _, o := range history(t) {
			now += o.after
			was := *s
			o.apply(s, now)
			o.apply(again, now)
			check(t, s)
			checkTraffic(t, s.Traffic())
			if o.what == "step" || o.what == "judge" {
				checkStep(t, &was, s)
			}
			if fmt.Sprintf("%+v", s.Decision()) != fmt.Sprintf("%+v", again.Decision()) {
				t.Fatalf("two stewards of one history disagree: %+v, %+v", s.Decision(), again.Decision())
			}
		}
	})
}

func check(t *rapid.T, s *Steward) {
	d := s.Decision()
	numbers := []float64{s.s, s.s2, s.demand.value, s.l0.value, s.linc, s.timeout, s.dim.ceil, s.latencyNow().value(), s.thr(), s.phiMin(), s.ceiling()}
	for i, x := range numbers {
		if math.IsNaN(x) || math.IsInf(x, 0) || x < 0 {
			t.Fatalf("number %d is %v", i, x)
		}
	}
	switch {
	case d.Phi == 0:
		t.Fatal("phi is 0: nothing could ever end it")
	case d.State != wire.Dim && d.Phi != coord.PhiFull:
		t.Fatalf("%v at %v", d.State, d.Phi)
	case d.State == wire.Dim && d.Mode != coord.RetryNone:
		t.Fatalf("retries %v while dimmed", d.Mode)
	case d.State == wire.Closed && d.Mode != coord.RetryAll:
		t.Fatalf("retries %v while closed", d.Mode)
	case d.L0 < 0 || d.Thr < 0 || d.Latency < 0 || d.Demand < 0 || d.Failures > wire.MaxCount || d.Outcomes > wire.MaxCount,
		d.Pushback < 0, d.Pushback > coord.MaxPushback, d.Failing < 0, d.Failing > len(s.order):
		t.Fatalf("%+v", d)
	case len(s.peers) > 6 || len(s.reporters) > 6 || len(s.reporters) != len(s.order):
		t.Fatalf("%d stewards, %d reporters, %d in order", len(s.peers), len(s.reporters), len(s.order))
	}
}

// checkTraffic: parts are no larger than what they are parts of, and zones are
// few, each there once.
func checkTraffic(t *rapid.T, x *Traffic) {
	const round = 1 + 1e-9
	for i, n := range []float64{x.Attempts, x.Foreign, x.OK, x.Strained, x.Capacity} {
		if math.IsNaN(n) || math.IsInf(n, 0) || n < 0 {
			t.Fatalf("number %d is %v", i, n)
		}
	}
	if x.Foreign > x.Attempts*round || x.Strained > x.OK*round || len(x.Zones) > wire.MaxZones {
		t.Fatalf("%+v", x)
	}
	for i, z := range x.Zones {
		if i > 0 && z.Zone <= x.Zones[i-1].Zone || math.IsNaN(z.Demand) || z.Demand < 0 || z.Need < 0 || !z.Home && z.Demand+z.Need > 0 {
			t.Fatalf("%+v", x.Zones)
		}
	}
}

// checkStep: phi rises only by a clean epoch's step, and never falls below the
// trickle of probes, give or take how far it follows the demand.
func checkStep(t *rapid.T, was, s *Steward) {
	if s.phi == was.phi {
		return
	}
	const round = 1. / 65535
	phi, base := s.phi.Float(), s.dim.base.Float()
	adopted := s.state == wire.Dim && was.state == wire.Closed
	if low := s.phiMin() / 1.5; phi < low-round && !adopted {
		t.Fatalf("phi %.5f, the trickle of probes is %.5f", phi, s.phiMin())
	}
	if s.phi < was.phi || was.dim.only != "" {
		return
	}
	if was.state != wire.Dim {
		t.Fatalf("phi rises from %v to %v in %v", was.phi, s.phi, was.state)
	}
	most := max(1.12*base, min(2*base, s.ceiling()), s.phiMin())
	if base <= 1.5*s.phiMin() {
		most = max(most, .1)
	}
	if phi > most+round {
		t.Fatalf("phi rises to %.5f from %.5f in force, ceiling %.5f", phi, base, s.ceiling())
	}
}

// TestOrder: reports that are repeated, late or shuffled within a tick change
// nothing: neither the decisions nor what is left in the steward.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Hour
		s, shuffled := New("self", now), New("self", now)
		var tick, past []op
		for _, name := range names { // the first word of a process is a beginning and nothing more
			first := op{what: "report", from: wire.Origin{Member: name, Incarnation: 1}, row: wire.ReportRow{Health: 255}}
			first.row.Phi = coord.PhiFull
			first.apply(s, now)
			first.apply(shuffled, now)
		}
		for _, o := range history(t) {
			if o.what == "report" && o.from.Incarnation == 1 {
				tick = append(tick, o)
			}
			if o.what != "step" {
				continue
			}
			now += Tick
			for _, r := range tick {
				r.apply(s, now)
			}
			for _, r := range rapid.Permutation(slices.Concat(tick, tick, past)).Draw(t, "shuffled") {
				r.apply(shuffled, now)
			}
			past, tick = append(past, tick...), nil
			past = past[max(0, len(past)-20):]
			if a, b := s.Step(now), shuffled.Step(now); a != b {
				t.Fatalf("in order %+v, shuffled %+v", a, b)
			}
			if a, b := state(s), state(shuffled); a != b {
				t.Fatalf("in order\n%s\nshuffled\n%s", a, b)
			}
		}
	})
}

func state(s *Steward) string {
	text := fmt.Sprint(s.s, s.s2, s.demand, s.l0, s.linc, s.timeout, s.state, s.phi, s.dim, s.until)
	for _, r := range s.order {
		text += fmt.Sprintf("\n%+v", *r)
	}
	return text
}
