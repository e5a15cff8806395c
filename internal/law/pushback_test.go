package law

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// hearing is a steward whose reporters have no traffic but what a test says.
type hearing struct {
	*Steward
	now time.Duration
	seq uint64
}

func (h *hearing) told(member string, left, ago time.Duration) {
	h.seq++
	row := &wire.ReportRow{Health: 255}
	row.Phi = coord.PhiFull
	row.Pushback = coord.Pushback{Left: left, Ago: ago}
	h.Report(h.now, wire.Origin{Member: member, Incarnation: 1, Seq: h.seq}, row)
}

// TestPushbackTimeline: what two have seen within five seconds holds for all, for
// as long as the second of them says.
func TestPushbackTimeline(t *testing.T) {
	const s = time.Second
	type step struct {
		at        time.Duration // since the beginning
		member    string        // "": nobody
		left, ago time.Duration
		want      time.Duration // after the tick that follows
	}
	for name, steps := range map[string][]step{
		"one alone": {
			{0, "a", 10 * s, 0, 0}, {s, "a", 30 * s, 0, 0},
		},
		"two": {
			{0, "a", 10 * s, 0, 0}, {s, "b", 10 * s, 0, 9 * s}, {4 * s, "", 0, 0, 6 * s}, {10 * s, "", 0, 0, 0},
		},
		"the shorter of two": {
			{0, "a", 30 * s, 0, 0}, {0, "b", 2 * s, 0, 2 * s}, {2 * s, "a", 30 * s, 0, 0},
		},
		"the second of three": {
			{0, "a", 30 * s, 0, 0}, {0, "b", 2 * s, 0, 2 * s}, {0, "c", 8 * s, 0, 8 * s},
		},
		"more than five seconds apart": {
			{0, "a", 30 * s, 0, 0}, {5*s + 1, "b", 30 * s, 0, 0},
		},
		"five seconds apart": {
			{0, "a", 30 * s, 0, 0}, {5 * s, "b", 30 * s, 0, 25 * s},
		},
		"seen before it was told": {
			{0, "a", 30 * s, 3 * s, 0}, {3 * s, "b", 30 * s, 0, 0}, {3 * s, "c", 9 * s, 5 * s, 9 * s},
		},
		"capped": {
			{0, "a", time.Hour, 0, 0}, {0, "b", wire.MaxSpan, 0, 30 * s},
		},
		"its witnesses fall silent": {
			{0, "a", 20 * s, 0, 0}, {0, "b", 20 * s, 0, 20 * s}, {19 * s, "", 0, 0, s},
		},
		"told no more is not taken back": {
			{0, "a", 10 * s, 0, 0}, {0, "b", 10 * s, 0, 10 * s}, {s, "a", 0, 0, 9 * s}, {s, "b", 0, 0, 9 * s},
		},
		"a shorter wish does not shorten it": {
			{0, "a", 10 * s, 0, 0}, {0, "b", 10 * s, 0, 10 * s}, {s, "a", s, 0, 9 * s}, {s, "b", s, 0, 9 * s},
		},
		"a longer one prolongs it": {
			{0, "a", 10 * s, 0, 0}, {0, "b", 10 * s, 0, 10 * s}, {s, "a", 20 * s, 0, 9 * s}, {s, "b", 15 * s, 0, 15 * s},
		},
		"one that is over": {
			{0, "a", s, 0, 0}, {2 * s, "b", 10 * s, 0, 0},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := &hearing{New("self", time.Hour), time.Hour, 0}
			for _, x := range steps {
				h.now = time.Hour + x.at
				if x.member != "" {
					h.told(x.member, x.left, x.ago)
				}
				d := h.Step(h.now)
				if d.Pushback != x.want {
					t.Errorf("after %v, %q saying %v: %v, want %v", x.at, x.member, x.left, d.Pushback, x.want)
				}
				if d.State != wire.Closed || d.Phi != coord.PhiFull || d.Mode != coord.RetryAll {
					t.Errorf("after %v: %+v", x.at, d)
				}
			}
		})
	}
}

// saying is one thing that a member said of a pushback.
type saying struct {
	member      string
	seen, until time.Duration
	any         bool
}

// TestPushbackAgainstDumb: the steward's answer is that of somebody who writes
// everything down and, at every tick, looks at what each member said last.
func TestPushbackAgainstDumb(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &hearing{New("self", time.Hour), time.Hour, 0}
		span := rapid.Map(rapid.IntRange(0, 40_000), func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond })
		var all []saying
		var until time.Duration
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			h.now += span.Draw(t, "after") / 20
			for range rapid.IntRange(0, 3).Draw(t, "reports") {
				member := rapid.SampledFrom(names).Draw(t, "member")
				left, ago := span.Draw(t, "left"), span.Draw(t, "ago")/8
				h.told(member, left, ago)
				all = append(all, saying{member, h.now - ago, h.now + min(left, 30*time.Second), left > 0})
			}
			var ends []time.Duration
			for _, name := range names {
				for _, x := range slices.Backward(all) {
					if x.member == name {
						if x.any && h.now-x.seen <= 5*time.Second {
							ends = append(ends, x.until)
						}
						break // the last word counts
					}
				}
			}
			if slices.Sort(ends); len(ends) >= 2 {
				until = max(until, min(ends[len(ends)-2], h.now+30*time.Second))
			}
			if got, want := h.Step(h.now).Pushback, max(until-h.now, 0); got != want {
				t.Fatalf("at %v: %v, want %v", h.now, got, want)
			}
		}
	})
}

// TestPushbackNeedsTwo: whatever one member says, and however often, it delays
// retries no longer than another one says.
func TestPushbackNeedsTwo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &hearing{New("self", time.Hour), time.Hour, 0}
		span := rapid.Map(rapid.IntRange(0, 40_000), func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond })
		var honest time.Duration
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			h.now += span.Draw(t, "after") / 20
			for range rapid.IntRange(0, 3).Draw(t, "lies") {
				h.told("liar", span.Draw(t, "left"), span.Draw(t, "ago")/8)
			}
			if rapid.IntRange(0, 4).Draw(t, "pushed back") == 0 {
				d := span.Draw(t, "for") / 4
				honest = max(honest, h.now+d)
				h.told(rapid.SampledFrom(names).Draw(t, "member"), d, 0)
			}
			if got := h.Step(h.now).Pushback; h.now+got > max(honest, h.now) {
				t.Fatalf("at %v: %v, while the honest say %v", h.now, got, honest-h.now)
			}
		}
	})
}

// TestFailing counts members, not failures, and only those of the last half
// second.
func TestFailing(t *testing.T) {
	s := New("self", time.Hour)
	rows := map[string]*wire.ReportRow{}
	var seq uint64
	tick := func(failing ...string) int {
		seq++
		for _, name := range names {
			if rows[name] == nil {
				rows[name] = &wire.ReportRow{Health: 255}
			}
			rows[name].Totals.OK += 10
			if slices.Contains(failing, name) {
				rows[name].Totals.FailFast += 3
				rows[name].Totals.OK -= 3
			}
			s.Report(time.Hour, wire.Origin{Member: name, Seq: seq}, rows[name])
		}
		return s.Step(time.Hour + time.Duration(seq)*Tick).Failing
	}
	for i, x := range []struct {
		failing []string
		want    int
	}{
		{nil, 0}, {names[:2], 2}, {names[1:3], 3}, {nil, 2}, {nil, 0}, {names, 6}, {names[:1], 6}, {names[:1], 1},
	} {
		if got := tick(x.failing...); got != x.want {
			t.Errorf("tick %d: %d failing, want %d", i, got, x.want)
		}
	}
}
