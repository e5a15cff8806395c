package node_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/wire"
)

var anyVerdict = rapid.Custom(func(t *rapid.T) wire.VerdictRow {
	span := rapid.Map(rapid.Int64Range(0, int64(wire.MaxSpan/time.Microsecond)), func(us int64) time.Duration { return time.Duration(us) * time.Microsecond })
	count := rapid.Uint64Range(0, wire.MaxCount)
	return wire.VerdictRow{
		Service: "svc", Endpoint: "e",
		Phi:   coord.Phi(rapid.SampledFrom([]uint16{0, 1, 100, 655, 4096, 16384, 40000, 65535}).Draw(t, "phi")),
		Mode:  rapid.SampledFrom([]coord.Mode{coord.RetryAll, coord.RetryRatio, coord.RetryNone}).Draw(t, "mode"),
		State: rapid.SampledFrom([]wire.State{wire.Closed, wire.NotLoad, wire.Dim}).Draw(t, "state"),
		L0:    span.Draw(t, "L0"), Thr: span.Draw(t, "thr"), Latency: span.Draw(t, "latency"), Window: span.Draw(t, "window"),
		Demand: count.Draw(t, "demand"), Reporters: rapid.SampledFrom([]uint64{0, 1, 2, wire.MaxCount}).Draw(t, "reporters"),
		Failures: count.Draw(t, "failures"), Outcomes: count.Draw(t, "outcomes"),
		Failing:  rapid.SampledFrom([]uint64{0, 1, 2, 3, 100, wire.MaxCount}).Draw(t, "failing"),
		Pushback: rapid.OneOf(rapid.Just(time.Duration(0)), span, pushbacks).Draw(t, "pushback"),
	}
})

// pushbacks are some that are not capped.
var pushbacks = rapid.Map(rapid.IntRange(1, 30_000), func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond })

// said is a verdict on its way.
type said struct {
	origin wire.Origin
	row    wire.VerdictRow
}

// TestMergeLaws: verdicts may be repeated and reordered at will; the same advice
// comes of them.
func TestMergeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, shuffled := newMember(t), newMember(t)
		var all []said
		for i := range rapid.IntRange(1, 12).Draw(t, "verdicts") {
			steward := rapid.SampledFrom(s.stewards).Draw(t, "steward")
			o := wire.Origin{Member: steward, Incarnation: uint64(i / 8), Seq: uint64(i)}
			all = append(all, said{o, anyVerdict.Draw(t, "row")})
		}
		for _, v := range all {
			s.hearAs(v.origin, 0, v.row)
		}
		for _, v := range rapid.Permutation(slices.Concat(all, all)).Draw(t, "shuffled") {
			shuffled.hearAs(v.origin, 0, v.row)
		}
		for range 100 { // and none of them comes to differ later on
			a, b := s.advice, shuffled.advice
			if a.Phi != b.Phi || a.Mode != b.Mode || a.Fresh != b.Fresh || a.Source != b.Source || a.Thr != b.Thr ||
				a.Failing != b.Failing || (a.Until-b.Until).Abs() >= 250*time.Millisecond {
				t.Fatalf("in order %+v, shuffled %+v", a, b)
			}
			s.tick()
			shuffled.tick()
		}
	})
}

// TestStaleOnlyFades (G4): with nothing new to hear, phi never falls, and soon
// nothing is in force.
func TestStaleOnlyFades(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newMember(t)
		for i := range rapid.IntRange(1, 20).Draw(t, "verdicts") {
			age := time.Duration(rapid.IntRange(0, 20_000).Draw(t, "age")) * time.Millisecond
			s.hearAs(wire.Origin{Member: rapid.SampledFrom(s.stewards).Draw(t, "steward"), Seq: uint64(i + 1)}, age, anyVerdict.Draw(t, "row"))
			for range rapid.IntRange(0, 30).Draw(t, "ticks") {
				s.tick()
			}
		}
		was := s.advice
		for end := s.now + 43*time.Second; s.now < end; was = s.advice { // 15 s valid, 10 s held, 17 doublings
			if s.tick(); s.advice.Phi < was.Phi {
				t.Fatalf("phi fell from %d to %d with nothing new to hear", was.Phi, s.advice.Phi)
			}
			if s.advice.Until > was.Until {
				t.Fatalf("retries wait until %v, not %v any more, with nothing new to hear", s.advice.Until, was.Until)
			}
			if s.advice.Fresh > was.Fresh {
				t.Fatalf("%d fresh after %d", s.advice.Fresh, was.Fresh)
			}
		}
		s.wants(1, coord.RetryAll, 0)
	})
}

// TestNoSingleVoice (G3): whatever one steward says, and however often, advice
// stays between what the two others say; and with one other, it does not go
// beyond that one.
func TestNoSingleVoice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newMember(t)
		liar, b, c := s.stewards[0], s.stewards[1], s.stewards[2]
		both := rapid.Bool().Draw(t, "two others")
		for range rapid.IntRange(1, 15).Draw(t, "rounds") {
			x, y := honest.Draw(t, "b"), honest.Draw(t, "c")
			s.hear(b, x)
			if both {
				s.hear(c, y)
			} else {
				y = closed
			}
			for range rapid.IntRange(1, 3).Draw(t, "lies") {
				s.hear(liar, anyVerdict.Draw(t, "lie"))
			}
			a := s.advice
			if a.Phi < min(x.Phi, y.Phi) || a.Mode > max(x.Mode, y.Mode) {
				t.Fatalf("phi %d and retries %v, more restrictive than %d, %v and %d, %v", a.Phi, a.Mode, x.Phi, x.Mode, y.Phi, y.Mode)
			}
			if both && (a.Phi > max(x.Phi, y.Phi) || a.Mode < min(x.Mode, y.Mode)) {
				t.Fatalf("phi %d and retries %v, less than %d, %v and %d, %v agree on", a.Phi, a.Mode, x.Phi, x.Mode, y.Phi, y.Mode)
			}
			if rapid.Bool().Draw(t, "tick") {
				s.tick()
			}
		}
	})
}

var honest = rapid.Custom(func(t *rapid.T) wire.VerdictRow {
	switch rapid.IntRange(0, 3).Draw(t, "state") {
	case 0:
		return closed
	case 1:
		return notLoad
	}
	return verdict(rapid.Float64Range(.001, 1).Draw(t, "phi"), coord.RetryNone, wire.Dim)
})

// TestAloneAsEver (G2): a node that hears nobody never emits advice that
// restricts anything, whatever it counts itself and whoever should be there.
func TestAloneAsEver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := node.New("self", 1)
		var members []string
		for i := range rapid.IntRange(0, 6).Draw(t, "others") {
			members = append(members, fmt.Sprint("member-", i))
		}
		n.SetMembers(node.NewRoster(append(members, "self")))
		sample := coord.Sample{Endpoint: "e", Phi: coord.PhiFull, Timeout: time.Second}
		now := time.Hour
		for range rapid.IntRange(1, 100).Draw(t, "ticks") {
			now += 250 * time.Millisecond
			c := rapid.Uint64Range(0, 1000)
			ok, slow, fast := c.Draw(t, "ok"), c.Draw(t, "slow"), c.Draw(t, "fast")
			for _, f := range []struct{ n, more *uint64 }{{&sample.Totals.OK, &ok}, {&sample.Totals.FailSlow, &slow}, {&sample.Totals.FailFast, &fast}} {
				*f.n += *f.more
			}
			sample.Totals.Demand += ok + slow + fast
			sample.Pushback.Left = pushbacks.Draw(t, "pushback")
			sample.Tagged = coord.TagCounts{Sent: sample.Totals.Demand, OK: sample.Totals.OK, FailSlow: sample.Totals.FailSlow, FailFast: sample.Totals.FailFast}
			out := n.Tick(now, []node.Samples{{Service: "svc", Endpoints: []coord.Sample{sample}}}, 255)
			for _, a := range out.Advice {
				if a.InForce() || a.Tag != 0 || a.Era != 0 || a.Until != 0 || a.Failing != 0 {
					t.Fatalf("%+v", a)
				}
			}
		}
	})
}
