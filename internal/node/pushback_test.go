package node_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/law"
	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/rendezvous"
	"github.com/murmuration-go/murmuration/internal/wire"
)

func pushback(d time.Duration) wire.VerdictRow {
	row := closed
	row.Pushback = d
	return row
}

// TestPushbackNeedsTwoStewards: retries wait as long as the second of the
// stewards says, and no longer than thirty seconds.
func TestPushbackNeedsTwoStewards(t *testing.T) {
	const s = time.Second
	for name, c := range map[string]struct{ says, wants []time.Duration }{
		"one":           {[]time.Duration{10 * s}, []time.Duration{0}},
		"one of three":  {[]time.Duration{10 * s, 0, 0}, []time.Duration{0, 0, 0}},
		"two of three":  {[]time.Duration{10 * s, 0, 8 * s}, []time.Duration{0, 0, 8 * s}},
		"three":         {[]time.Duration{3 * s, 9 * s, 6 * s}, []time.Duration{0, 3 * s, 6 * s}},
		"exaggerations": {[]time.Duration{wire.MaxSpan, time.Hour}, []time.Duration{0, 30 * s}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMember(t)
			for i, d := range c.says {
				m.hear(m.stewards[i], pushback(d))
				want := c.wants[i]
				if want > 0 {
					want += m.now
				}
				if m.advice.Until != want || m.advice.InForce() || m.advice.Tag != 0 || m.advice.Era != 0 {
					t.Errorf("after %d: %+v at %v, want until %v", i+1, m.advice, m.now, want)
				}
			}
		})
	}
}

// TestPushbackRunsOut: at its end, whether or not the verdicts are still heard.
// What is repeated does not prolong it, and is not published again and again.
func TestPushbackRunsOut(t *testing.T) {
	for _, heard := range []time.Duration{time.Second, 20 * time.Second} { // verdicts while CLOSED count for 15 s
		m := newMember(t)
		m.wait(20 * time.Second)
		began := m.now
		end := began + 25*time.Second
		published := 0
		for m.now < end+time.Second {
			if m.now-began < heard {
				for i, x := range m.stewards { // each a few milliseconds off
					m.hear(x, pushback(end-m.now-time.Duration(i)*time.Millisecond))
					published += len(m.out.Advice)
				}
			}
			m.tick()
			published += len(m.out.Advice)
			switch left := m.advice.Pushback(m.now); {
			case m.now < end-2*time.Millisecond && (left > end-m.now || left < end-m.now-2*time.Millisecond):
				t.Fatalf("%v left %v after the beginning", left, m.now-began)
			case m.now >= end && (left != 0 || m.advice.Until != 0):
				t.Fatalf("%v left after the end", left)
			}
		}
		if most := 12 + int(heard/time.Second); published > most { // that stewards are heard is, each second
			t.Errorf("published %d times", published)
		}
	}
}

// TestFailingNeedsTwoStewards, and is rounded.
func TestFailingNeedsTwoStewards(t *testing.T) {
	m := newMember(t)
	for i, c := range []struct {
		says uint64
		want int
	}{{1000, 0}, {3, 2}, {100, 64}} {
		row := closed
		row.Failing = c.says
		m.hear(m.stewards[i], row)
		if m.advice.Failing != c.want {
			t.Errorf("%d failing, want %d", m.advice.Failing, c.want)
		}
	}
	m.wait(16 * time.Second)
	if m.advice.Failing != 0 {
		t.Errorf("%d failing by verdicts of long ago", m.advice.Failing)
	}
}

// pushed is a report by somebody who was pushed back just now.
func pushed(calls uint64, d time.Duration) wire.ReportRow {
	row := reportRow("e", calls)
	row.Pushback.Left = d
	return row
}

// TestPushbackIsTold: reporters hear of it with the tick after the second report,
// everybody hears once, and as long as it lasts reporters hear of it each second.
func TestPushbackIsTold(t *testing.T) {
	s := newSteward(t)
	told := func(to string) (rows []wire.VerdictRow) {
		for _, x := range s.out.Sends {
			if m, err := wire.Decode(x.Data); err == nil && m.Verdicts != nil && x.To == to {
				rows = append(rows, m.Verdicts.Rows...)
			}
		}
		return rows
	}
	a, b := s.others[0], s.others[1]
	var calls uint64
	step := func(pushA, pushB time.Duration) {
		calls++
		s.report(a, pushed(calls, pushA))
		s.report(b, pushed(calls, pushB))
		s.tick()
	}
	for range 30 {
		step(0, 0)
	}
	step(10*time.Second, 0)
	if d, _ := s.node.Decided("svc", "e"); d.Pushback != 0 || len(s.out.Casts) > 0 {
		t.Fatalf("%v by one report, %d casts", d.Pushback, len(s.out.Casts))
	}
	var casts, answers int
	for i := range 40 {
		step(10*time.Second, 10*time.Second)
		casts += len(s.out.Casts)
		rows := told(b)
		answers += len(rows)
		if i == 0 && (len(rows) != 1 || rows[0].Pushback < 9*time.Second) {
			t.Errorf("at once: %+v", rows)
		}
	}
	// It goes on for ten seconds: its end moves along with each report.
	if casts < 2 || casts > 3 || answers < 9 || answers > 12 {
		t.Errorf("%d casts and %d answers in ten seconds", casts, answers)
	}
	step(30*time.Second, 30*time.Second)
	if rows := told(a); len(s.out.Casts) != 1 || len(rows) != 1 || rows[0].Pushback < 29*time.Second {
		t.Errorf("when it jumps: %d casts, %+v", len(s.out.Casts), rows)
	}
}

// TestPushbackIsPassedOnOnce: a member passes on what goes well beyond what it
// knew, and not what it is told each second.
func TestPushbackIsPassedOnOnce(t *testing.T) {
	for _, d := range []time.Duration{time.Second, 2 * time.Second, 10 * time.Second, 30 * time.Second} {
		m := newMember(t)
		m.hear(m.stewards[0], closed)
		m.wait(10 * time.Second)
		casts := len(m.hear(m.stewards[0], pushback(d)).Casts)
		if casts != 1 {
			t.Errorf("%v: %d casts at first", d, casts)
		}
		for i := range 60 { // its end moves along, and of short ones there is a gap now and then
			m.wait(time.Second)
			if i%3 == 0 && d < 2*time.Second {
				m.hear(m.stewards[0], closed)
			}
			casts += len(m.hear(m.stewards[0], pushback(d)).Casts)
		}
		if casts != 1 {
			t.Errorf("%v: %d casts in a minute", d, casts)
		}
		m.wait(6 * time.Second)
		if n := len(m.hear(m.stewards[0], pushback(d)).Casts); n != 1 {
			t.Errorf("%v: %d casts after six seconds of silence", d, n)
		}
	}
}

// TestPushbackIsSharedBetweenNodes: of six whole nodes two are pushed back; all
// heed it, and those that only one is pushed back by do not.
func TestPushbackIsSharedBetweenNodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"a", "b", "c", "d", "e", "f"}
		roster := node.NewRoster(names)
		nodes := map[string]*node.Node{}
		calls := map[string]uint64{}
		advice := map[string]coord.Advice{}
		for _, name := range names {
			nodes[name] = node.New(name, 1)
			nodes[name].SetMembers(roster)
		}
		now := time.Hour
		wishes := map[string]time.Duration{} // until when
		var deliver func(by string, out *node.Output)
		deliver = func(by string, out *node.Output) {
			for _, a := range out.Advice {
				advice[by] = a.Advice
			}
			sends := slices.Clone(out.Sends)
			for _, x := range sends {
				deliver(x.To, nodes[x.To].Deliver(now, x.Data))
			}
		}
		tick := func() {
			now += law.Tick
			for _, name := range names {
				calls[name]++
				sample := coord.Sample{Endpoint: "e", Phi: coord.PhiFull, Totals: coord.Totals{Demand: calls[name], OK: calls[name]}}
				sample.Pushback.Left = max(wishes[name]-now, 0)
				deliver(name, nodes[name].Tick(now, []node.Samples{{Service: "svc", Endpoints: []coord.Sample{sample}}}, 255))
			}
		}
		for range 24 {
			tick()
		}
		pushedBack := rapid.Permutation(names).Draw(t, "pushed back")[:rapid.IntRange(0, 3).Draw(t, "how many")]
		var ends []time.Duration
		for _, name := range pushedBack {
			wishes[name] = now + rapid.SampledFrom([]time.Duration{2 * time.Second, 5 * time.Second, 29 * time.Second}).Draw(t, "pushback")
			ends = append(ends, wishes[name])
		}
		for range 4 {
			tick()
		}
		var want time.Duration
		if slices.Sort(ends); len(ends) >= 2 {
			want = ends[len(ends)-2]
		}
		for _, name := range names {
			if got := advice[name].Until; (got - want).Abs() > law.Tick {
				t.Errorf("%v is pushed back; %s waits until %v, want %v (stewards %v)", pushedBack, name, got, want, rendezvous.Top(rendezvous.List(names), "svc"))
			}
		}
	})
}

// TestNoSinglePushback (G3): whatever one steward says, retries wait no longer
// than another one says.
func TestNoSinglePushback(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMember(t)
		var until time.Duration
		for range rapid.IntRange(1, 30).Draw(t, "rounds") {
			if d := pushbacks.Draw(t, "pushback"); rapid.Bool().Draw(t, "honest") {
				m.hear(rapid.SampledFrom(m.stewards[1:]).Draw(t, "steward"), pushback(d))
				until = max(until, m.now+d)
			}
			m.hear(m.stewards[0], anyVerdict.Draw(t, "lie"))
			for range rapid.IntRange(0, 20).Draw(t, "ticks") {
				m.tick()
			}
			if m.advice.Until > until || m.advice.Until > m.now+30*time.Second {
				t.Fatalf("at %v retries wait until %v; the honest say %v", m.now, m.advice.Until, until)
			}
		}
	})
}
