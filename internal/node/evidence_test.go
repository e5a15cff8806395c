package node_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/murmuration-go/murmuration/internal/wire"
)

// TestEvidence: advice in force says who decided, on what, and as of when.
func TestEvidence(t *testing.T) {
	s := newMember(t)
	row := dim
	row.Failures, row.Outcomes, row.Window, row.Demand = 30, 40, 500*time.Millisecond, 1_234_567
	for _, x := range s.stewards[:2] {
		s.hear(x, row)
	}
	at := s.now
	s.wait(time.Second)
	e := s.advice.Evidence
	if e.Steward == "" || e.State != "dim" || e.Reporters != 5 || e.Failures != 30 || e.Outcomes != 40 || e.Demand != 1234.567 || s.advice.AsOf != at {
		t.Errorf("%+v as of %v", e, s.advice.AsOf)
	}
}

// TestEvidenceIsTheDecision: who is named has said the phi that is in force, and
// on these numbers.
func TestEvidenceIsTheDecision(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newMember(t)
		said := map[string]wire.VerdictRow{}
		for _, x := range s.stewards {
			row := anyVerdict.Draw(t, "row")
			row.Phi, row.Reporters = max(row.Phi, 1), 5
			said[x] = row
			s.hear(x, row)
		}
		e := s.advice.Evidence
		if !s.advice.InForce() {
			return
		}
		by, seen := said[e.Steward], false
		for _, row := range said {
			seen = seen || row.Outcomes > 0 && row.Failures == e.Failures && row.Outcomes == e.Outcomes
		}
		if by.Outcomes > 0 {
			seen = by.Failures == e.Failures && by.Outcomes == e.Outcomes
		}
		if by.Phi != s.advice.Phi || by.State.String() != e.State || e.Outcomes > 0 && !seen {
			t.Fatalf("phi %d is in force, by %+v; it has said %+v", s.advice.Phi, e, by)
		}
	})
}

// TestEvidenceIsHandedOn: a steward that has taken over and seen nothing yet rests on
// what its fellows have seen, and if they are new as well, on what was known before.
func TestEvidenceIsHandedOn(t *testing.T) {
	saw, nothing := dim, dim
	saw.Failures, saw.Outcomes, saw.Window = 30, 40, 500*time.Millisecond
	nothing.Phi--
	s := newMember(t)
	s.hear(s.stewards[0], saw)
	at := s.now
	s.wait(time.Second)
	s.hear(s.stewards[1], nothing)
	s.hear(s.stewards[2], nothing)
	check := func(what string) {
		t.Helper()
		e, from := s.advice.Evidence, s.advice.AsOf-s.advice.Evidence.Window
		if e.Failures != 30 || e.Outcomes != 40 || from != at-saw.Window {
			t.Errorf("%s: %+v, seen since %v, want %v", what, e, from, at-saw.Window)
		}
	}
	check("a fellow has seen it")
	s.wait(time.Second)
	for _, x := range s.stewards {
		s.hear(x, nothing)
	}
	check("nobody who says so now has")
	s.hear(s.stewards[1], saw)
	s.hear(s.stewards[2], saw)
	if e := s.advice.Evidence; e.Window != saw.Window {
		t.Errorf("of news: %+v", e)
	}
}
