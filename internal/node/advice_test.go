package node_test

import (
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// TestSecondMostRestrictive: of phi and of the retry mode each.
func TestSecondMostRestrictive(t *testing.T) {
	deeper := verdict(.125, coord.RetryNone, wire.Dim)
	odd := verdict(.5, coord.RetryAll, wire.Dim) // no honest steward says so
	for _, c := range []struct {
		name string
		rows []wire.VerdictRow
		phi  float64
		mode coord.Mode
	}{
		{"all is well", []wire.VerdictRow{closed, closed, closed}, 1, coord.RetryAll},
		{"one dims", []wire.VerdictRow{dim, closed, closed}, 1, coord.RetryAll},
		{"two dim", []wire.VerdictRow{dim, dim, closed}, .25, coord.RetryNone},
		{"two dim, differently", []wire.VerdictRow{dim, deeper, closed}, .25, coord.RetryNone},
		{"three dim", []wire.VerdictRow{dim, deeper, deeper}, .125, coord.RetryNone},
		{"one dims, one has fewer retries", []wire.VerdictRow{dim, notLoad, closed}, 1, coord.RetryRatio},
		{"phi and mode from different ones", []wire.VerdictRow{odd, dim, notLoad}, .5, coord.RetryRatio},
		{"two of two", []wire.VerdictRow{dim, deeper}, .25, coord.RetryNone},
		{"one of two", []wire.VerdictRow{dim, closed}, 1, coord.RetryAll},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newMember(t)
			for i, row := range c.rows {
				s.hear(s.stewards[i], row)
			}
			s.wants(c.phi, c.mode, len(c.rows))
		})
	}
	t.Run("one alone", func(t *testing.T) {
		s := newMember(t)
		s.hear(s.stewards[0], dim)
		s.tick()
		s.wants(1, coord.RetryAll, 1)
	})
}

// TestSilence: verdicts count for 5 s, then phi is held for 10 s and doubles each
// second, without retries; then local rules are back. One steward that is still
// heard changes nothing about that.
func TestSilence(t *testing.T) {
	for _, voices := range []int{0, 1} {
		s := newMember(t)
		for _, x := range s.stewards {
			s.hear(x, dim)
		}
		heard, tag, era := s.now, s.advice.Tag, s.advice.Era
		for s.now < heard+19*time.Second {
			if voices > 0 {
				s.hear(s.stewards[0], verdict(.01, coord.RetryNone, wire.Dim))
			}
			s.tick()
			switch gone := s.now - heard; {
			case gone < 5*time.Second:
				s.wants(.25, coord.RetryNone, 3)
			case gone <= 15*time.Second:
				s.wants(.25, coord.RetryNone, voices)
			case gone < 16*time.Second:
				s.wants(float64(2*coord.PhiOf(.25))/65535, coord.RetryNone, voices)
			default:
				s.wants(1, coord.RetryAll, voices)
			}
		}
		if s.advice.Tag != tag+2 {
			t.Errorf("tag %d after two changes from %d", s.advice.Tag, tag)
		}
		if s.advice.Era != era+1 {
			t.Errorf("era %d after advice ended once in %d", s.advice.Era, era)
		}
	}
}

// TestClosedLasts: what is said while all is well counts for 15 s.
func TestClosedLasts(t *testing.T) {
	s := newMember(t)
	for _, x := range s.stewards {
		s.hear(x, closed)
	}
	s.wait(14 * time.Second)
	s.wants(1, coord.RetryAll, 3)
	s.wait(time.Second)
	s.wants(1, coord.RetryAll, 0)
}

// TestAge: the time a verdict was on its way counts.
func TestAge(t *testing.T) {
	s := newMember(t)
	for i, x := range s.stewards {
		s.hearAs(wire.Origin{Member: x, Seq: 1}, time.Duration(i)*2*time.Second, dim)
	}
	s.wants(.25, coord.RetryNone, 3)
	s.wait(time.Second)
	s.wants(.25, coord.RetryNone, 2)
	if s.advice.AsOf > s.now-time.Second {
		t.Errorf("as of %v, %v ago", s.advice.AsOf, s.now-s.advice.AsOf)
	}
	s.hearAs(wire.Origin{Member: s.stewards[2], Seq: 2}, wire.MaxAge, dim)
	s.wants(.25, coord.RetryNone, 2)
}

// TestEndOfTrouble: tags rise with every change of phi, eras when advice ends.
func TestEndOfTrouble(t *testing.T) {
	s := newMember(t)
	for _, c := range []struct {
		row      wire.VerdictRow
		tag, era uint64
	}{
		{closed, 0, 0},
		{notLoad, 0, 0}, // phi stays 1
		{dim, 1, 0},
		{verdict(.5, coord.RetryNone, wire.Dim), 2, 0},
		{verdict(1, coord.RetryNone, wire.Dim), 3, 0}, // on probation
		{closed, 3, 1},
		{notLoad, 3, 1},
		{closed, 3, 2},
	} {
		for _, x := range s.stewards {
			s.hear(x, c.row)
		}
		if s.advice.Tag != c.tag || s.advice.Era != c.era {
			t.Errorf("after %v at %.4f: tag %d, era %d; want %d, %d", c.row.State, c.row.Phi.Float(), s.advice.Tag, s.advice.Era, c.tag, c.era)
		}
		s.tick()
	}
}

// TestAloneTakesNoAdvice: a member whose cluster is gone holds what was in force
// and then goes by local rules, whatever it decides as the only steward left.
func TestAloneTakesNoAdvice(t *testing.T) {
	s := newMember(t)
	for _, x := range s.stewards {
		s.hear(x, dim)
	}
	s.node.SetMembers(node.NewRoster([]string{s.self}))
	s.tick()
	s.wants(.25, coord.RetryNone, 1)
	s.wait(12 * time.Second)
	s.wants(1, coord.RetryAll, 1)
}

// TestOnlyAboutOneReporter: a verdict that rests on one member's word binds a
// member only if that may be itself.
func TestOnlyAboutOneReporter(t *testing.T) {
	one := dim
	one.Reporters = 1
	quiet := newMember(t)
	quiet.idle = true
	quiet.wait(20 * time.Second)
	busy := newMember(t)
	for _, s := range []*single{busy, quiet} {
		for _, x := range s.stewards {
			s.hear(x, one)
		}
	}
	busy.wants(.25, coord.RetryNone, 3)
	quiet.idle = false
	quiet.tick()
	quiet.wants(1, coord.RetryAll, 3)
	for _, x := range quiet.stewards {
		quiet.hear(x, dim) // others have failed as well
	}
	quiet.wants(.25, coord.RetryNone, 3)
}

// TestWellNeedsTwo: that others succeed is what two stewards have seen; and it does
// not fade with them.
func TestWellNeedsTwo(t *testing.T) {
	fine, failing := closed, closed
	fine.Outcomes, fine.Failures, fine.Window = 40, 20, 500*time.Millisecond
	failing.Outcomes, failing.Failures = 40, 21
	for _, tc := range []struct {
		rows []wire.VerdictRow
		want bool
	}{
		{[]wire.VerdictRow{closed, closed, closed}, false},
		{[]wire.VerdictRow{fine}, false},
		{[]wire.VerdictRow{fine, closed, failing}, false},
		{[]wire.VerdictRow{fine, closed, fine}, true},
		{[]wire.VerdictRow{failing, fine, fine}, true},
	} {
		s := newMember(t)
		for i, row := range tc.rows {
			s.hear(s.stewards[i], row)
		}
		at := s.now
		s.wait(20 * time.Second)
		want := time.Duration(0)
		if tc.want {
			want = at - fine.Window
		}
		if s.advice.Well != want {
			t.Errorf("%+v: well as of %v, want %v", tc.rows, s.advice.Well, want)
		}
	}
}

// TestWellAllTheTime: what has been well all the time is told apart from what is well
// again, after an outage or after nobody was heard.
func TestWellAllTheTime(t *testing.T) {
	fine, failing := closed, closed
	fine.Outcomes, fine.Window = 40, 500*time.Millisecond
	failing.Outcomes, failing.Failures, failing.Window = 40, 40, 500*time.Millisecond
	for _, tc := range []struct {
		what   string
		rows   []wire.VerdictRow // what two stewards say, a second each
		gap    time.Duration     // before the last
		always bool
	}{
		{"all the time", []wire.VerdictRow{fine, fine, fine, fine}, 0, true},
		{"with a second of silence", []wire.VerdictRow{fine, fine, fine}, 2 * time.Second, true},
		{"nobody calls for two seconds", []wire.VerdictRow{fine, closed, closed, fine}, 0, true},
		{"an outage", []wire.VerdictRow{fine, failing, fine}, 0, false},
		{"nobody is heard", []wire.VerdictRow{fine, fine}, 8 * time.Second, false},
	} {
		s := newMember(t)
		first := s.now - fine.Window
		for i, row := range tc.rows {
			if i == len(tc.rows)-1 {
				s.wait(tc.gap)
			}
			for _, name := range s.stewards[:2] {
				s.hear(name, row)
			}
			if i < len(tc.rows)-1 {
				s.wait(time.Second)
			}
		}
		last := s.now - fine.Window
		want := first
		if !tc.always {
			want = last
		}
		if a := &s.advice; a.Well != last || a.WellFrom != want {
			t.Errorf("%s: well from %v to %v, want %v to %v", tc.what, a.WellFrom, a.Well, want, last)
		}
	}
}

// TestThresholdNeedsTwo: the latency that counts as tight is no single steward's
// either.
func TestThresholdNeedsTwo(t *testing.T) {
	for _, lie := range []time.Duration{0, time.Microsecond, wire.MaxSpan} {
		s := newMember(t)
		liar := closed
		liar.Thr = lie
		s.hear(s.stewards[0], liar)
		s.hear(s.stewards[1], closed)
		s.hear(s.stewards[2], closed)
		s.tick()
		if s.advice.Thr != closed.Thr {
			t.Errorf("threshold %v, want %v", s.advice.Thr, closed.Thr)
		}
	}
}
