package gossip

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestTrust(t *testing.T) {
	for delay, want := range map[time.Duration]float64{
		-time.Second: 1, 0: 1, 100 * time.Millisecond: 1, 550 * time.Millisecond: .5, time.Second: 0, time.Hour: 0,
	} {
		if got := trustOf(delay); got != want {
			t.Errorf("%v late: trust %v, want %v", delay, got, want)
		}
	}
}

func TestJudge(t *testing.T) {
	ok := situation{members: 3, trust: 1, endpoints: 2}
	tests := []struct {
		name   string
		change func(*situation)
		mode   Mode
		reason string
	}{
		{"well", func(*situation) {}, ModeCoordinated, "3 members"},
		{"short", func(s *situation) { s.short = 1 }, ModeDegraded, "1 of 2 endpoints"},
		{"late", func(s *situation) { s.trust, s.delay = .4, 700*time.Millisecond }, ModeDegraded, "late by up to 700ms"},
		{"left", func(s *situation) { s.left = true }, ModeAlone, "has left"},
		{"first", func(s *situation) { s.members = 1 }, ModeAlone, "no seeds are configured"},
		{"waiting", func(s *situation) { s.members, s.alone.seeds = 1, []string{"a:1"} }, ModeAlone, "not answered yet"},
		{"itself", func(s *situation) { s.members, s.alone = 1, solitude{seeds: []string{"a:1"}, tried: true} }, ModeAlone, "nobody but this member"},
		{"refused", func(s *situation) {
			s.members, s.alone = 1, solitude{seeds: []string{"a:1", "b:2"}, tried: true, last: round{tried: 1, err: errors.New("connection refused")}}
		}, ModeAlone, "no peer answers at these seeds: a:1, b:2 (connection refused)"},
		{"gone", func(s *situation) { s.members, s.alone = 1, solitude{seeds: []string{"a:1"}, tried: true, met: true} }, ModeAlone, "are gone"},
		{"strangers", func(s *situation) { s.members, s.alone = 1, solitude{decrypt: 2, labels: 3} }, ModeAlone, "2 packets or connections came that Keys do not decrypt; 3 packets"},
	}
	for _, test := range tests {
		s := ok
		test.change(&s)
		mode, reason := s.judge()
		if mode != test.mode || !strings.Contains(reason, test.reason) {
			t.Errorf("%s: %v, %q; want %v, %q", test.name, mode, reason, test.mode, test.reason)
		}
		if mode == ModeAlone && !strings.Contains(reason, "local rules") {
			t.Errorf("%s: %q does not say what is done", test.name, reason)
		}
	}
}

func TestMood(t *testing.T) {
	const a, d, c = ModeAlone, ModeDegraded, ModeCoordinated
	for _, test := range []struct {
		name string
		say  []Mode // each second
		want []Mode
	}{
		{"company counts at once", []Mode{a, c, c, a, c}, []Mode{a, c, c, a, c}},
		{"trouble must last", []Mode{c, d, c, d, d, d, d}, []Mode{c, c, c, c, c, d, d}},
		{"so must its end", []Mode{c, d, d, d, c, d, c, c, c}, []Mode{c, c, c, d, d, d, d, d, c}},
		{"solitude counts at once", []Mode{c, d, d, d, a}, []Mode{c, c, c, d, a}},
		{"company without verdicts", []Mode{a, d, d, d}, []Mode{a, a, a, d}},
	} {
		var m mood
		for i, mode := range test.say {
			was := m.mode
			changed := m.move(time.Duration(i)*time.Second, mode, "why")
			if m.mode != test.want[i] || changed != (m.mode != was) {
				t.Errorf("%s: second %d: %v (changed %v), want %v", test.name, i, m.mode, changed, test.want[i])
			}
		}
	}
}

func TestMoodIsLoggedOnce(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	var m mood
	lines := func() int { return strings.Count(out.String(), "\n") }
	s := &situation{members: 1, alone: solitude{seeds: []string{"a:1"}}}
	at := func(now time.Duration, reason string) {
		was := m.mode
		changed := m.move(now, ModeAlone, reason)
		m.say(log, now, changed, was, s)
	}
	at(0, "not yet")
	if lines() != 0 {
		t.Errorf("too early: %s", &out)
	}
	s.alone.tried = true
	for i := range 100 {
		at(time.Duration(i)*time.Second, "refused 12 times")
	}
	if lines() != 1 || !strings.Contains(out.String(), "level=WARN") {
		t.Errorf("want one warning: %s", &out)
	}
	at(101*time.Second, "refused 13 times")
	if lines() != 1 {
		t.Errorf("another number is no other reason: %s", &out)
	}
	at(102*time.Second, "wrong key")
	at(103*time.Second, "refused 12 times")
	at(104*time.Second, "wrong key")
	if lines() != 2 {
		t.Errorf("want a line for another reason, and not each time: %s", &out)
	}
	was := m.mode
	m.say(log, 0, m.move(105*time.Second, ModeCoordinated, "3 members"), was, s)
	if lines() != 3 || !strings.Contains(out.String(), "level=INFO msg=\"gossip: coordinated\" was=alone reason=\"3 members\"") {
		t.Errorf("a change of mode: %s", &out)
	}
}
