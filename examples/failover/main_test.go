package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shortened is the incident in less time.
func shortened() settings {
	s := defaults()
	s.warm, s.down, s.cold, s.after = 7*time.Second, 14*time.Second, 6*time.Second, 3*time.Second
	return s
}

// TestZoneDies runs the incident for real, over HTTP, over gRPC, and with every
// client for itself. It asserts counts and ratios, with room for chance and for a
// machine that is busy.
func TestZoneDies(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	for _, how := range []string{"http", "grpc", "alone"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s := shortened()
			switch how {
			case "grpc":
				s.grpc, s.how = true, "vanish"
			case "alone": // it does not take long
				s.alone, s.warm, s.down, s.cold, s.after = true, 2*time.Second, 8*time.Second, time.Second, 0
			}
			r, err := incident(t.Context(), s, nil)
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s", text)
			if s.alone {
				r.wantStampede(t)
			} else {
				r.wantCalm(t, s)
			}
		})
	}
}

// starved is how late calls may be made, in milliseconds, for times to mean anything:
// a machine that stands still looks like a zone that does.
const starved = 150

// wantCalm: what fits goes to b, and not more; b's users lose next to nothing.
func (r *report) wantCalm(t *testing.T, s settings) {
	t.Helper()
	dead, whole := r.Phases[1], r.Phases[3]
	if dead.A.Diverted == 0 {
		t.Error("nothing went to b")
	}
	if r.Refusals.Typed != r.Refusals.Count {
		t.Errorf("%d of %d refusals say why", r.Refusals.Typed, r.Refusals.Count)
	}
	switch g := r.Reasons; {
	case g.Diverted == 0 || s.how == "vanish" && g.Refused == 0:
		t.Errorf("nothing was diverted or refused: %+v", g)
	case g.UnexplainedDiverted+g.UnexplainedRefused != 0 || g.UnexplainedSpans+g.UnexplainedAway != 0:
		t.Errorf("some do not say why: %+v", g)
	case g.DivertedSpans != int64(g.Diverted) || g.RefusedSpans < int64(g.Refused):
		t.Errorf("spans are lacking: %+v", g)
	}
	if s.how == "vanish" && dead.A.Refused < dead.A.Calls/3 {
		t.Errorf("%d of %d calls were refused unsent", dead.A.Refused, dead.A.Calls)
	}
	if r.LateMS > starved {
		t.Logf("calls were made up to %.0f ms late: this machine is too busy for the rest", r.LateMS)
		return
	}
	for _, p := range r.Phases[1:] {
		if p.B.Goodput < .97 || p.LoadB5 > .84 {
			t.Errorf("%s: of b's users' calls %.3f succeeded, and b had up to %.2f of its capacity for 5 s", p.Name, p.B.Goodput, p.LoadB5)
		}
	}
	if got := r.Shift.Reached; got < .4*s.room() || got > 1.3*s.room() {
		t.Errorf("%.1f a second went to b, where there was room for %.0f", got, s.room())
	}
	if done := r.Shift.DoneS; done == nil || *done > 12 {
		t.Errorf("the shift was not done after 12 s: %+v", r.Shift)
	}
	if r.Refusals.Count > 0 && r.Refusals.MedianMS > 1 {
		t.Errorf("refusals took %v ms", r.Refusals.MedianMS)
	}
	if whole.A.Goodput < .7 {
		t.Errorf("a is whole, and %.3f of its users' calls succeed", whole.A.Goodput)
	}
}

// wantStampede: this is what there is to be calm about.
func (r *report) wantStampede(t *testing.T) {
	t.Helper()
	if dead := r.Phases[1]; dead.B.Goodput > .9 || dead.LoadB1 < 1.2 {
		t.Errorf("of b's users' calls %.3f succeeded, and b had at most %.2f of its capacity", dead.B.Goodput, dead.LoadB1)
	}
}

func TestSettings(t *testing.T) {
	err := settings{how: "slowly", capacity: [2]float64{0, 9000}, demand: [2]float64{-1, 0}}.check()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, flag := range []string{"-members", "-how", "-capacity-a", "-capacity-b", "-demand-a", "-demand-b", "-down", "-cold"} {
		if !strings.Contains(err.Error(), flag) {
			t.Errorf("%s is not named in: %v", flag, err)
		}
	}
	for _, s := range []settings{defaults(), shortened()} {
		if err := s.check(); err != nil {
			t.Error(err)
		}
	}
}

// TestSameSeedSameTraffic: the seed fixes who calls when.
func TestSameSeedSameTraffic(t *testing.T) {
	a := arrivals(1, 3, 10, time.Minute)
	if !slices.Equal(a, arrivals(1, 3, 10, time.Minute)) || len(a) < 400 || len(a) > 800 {
		t.Errorf("%d calls", len(a))
	}
	if slices.Equal(a, arrivals(2, 3, 10, time.Minute)) || slices.Equal(a, arrivals(1, 4, 10, time.Minute)) {
		t.Error("another seed, or another member, has the same traffic")
	}
}

// TestZone: what a zone does with requests, in virtual time.
func TestZone(t *testing.T) {
	const ms = time.Millisecond
	died := fault{from: 1000 * ms, to: 2000 * ms, cold: 1000 * ms}
	for _, c := range []struct {
		now, due time.Duration
		fate     fate
	}{
		{0, 100 * ms, answered},
		{0, 200 * ms, answered}, // queues
		{500 * ms, 600 * ms, answered},
		{950 * ms, 1000 * ms, refused}, // dies with the queue
		{1500 * ms, 1500 * ms, refused},
		{2000 * ms, 2333 * ms, answered}, // cold: 30 % of ten a second
		{3500 * ms, 3600 * ms, answered},
	} {
		t.Run(fmt.Sprint(c.now), func(t *testing.T) {
			z := &zone{capacity: 10, fault: died}
			if c.due == 200*ms {
				z.queue(0)
			}
			due, fate := z.queue(c.now)
			if due.Truncate(ms) != c.due || fate != c.fate {
				t.Errorf("due at %v, fate %v; want %v, %v", due, fate, c.due, c.fate)
			}
		})
	}
	z := &zone{capacity: 10, fault: died}
	z.fault.vanish = true
	if _, fate := z.queue(1500 * ms); fate != swallowed {
		t.Errorf("fate %v", fate)
	}
}

// TestShifted: a shift of ten a second that begins 5 s into the outage.
func TestShifted(t *testing.T) {
	var calls []call
	for at := 15 * time.Second; at < 30*time.Second; at += 100 * time.Millisecond {
		calls = append(calls, call{zone: 0, at: 1, ok: true, due: at, ended: at})
	}
	got := shifted(calls, phase{from: 10 * time.Second, to: 30 * time.Second})
	if got.Reached != 10 || got.DoneS == nil || *got.DoneS < 4 || *got.DoneS > 5.5 {
		t.Errorf("%+v, done after %v", got, got.DoneS)
	}
	if none := shifted(nil, phase{from: 10 * time.Second, to: 30 * time.Second}); none.DoneS != nil {
		t.Errorf("of nothing: %+v", none)
	}
}

// TestView: what is shown fits a line, whatever the load.
func TestView(t *testing.T) {
	for _, m := range []moment{{}, {capacity: 100, offered: 60, served: 55}, {capacity: 30, offered: 999, served: 30}} {
		if b := bar(m, 100); len(b) != 60 || (m.offered > 150) != strings.HasSuffix(b, ">") {
			t.Errorf("%+v: %q", m, b)
		}
	}
	var none *view
	none.note("nothing is shown, and nothing breaks")
	(&report{Phases: make([]phaseReport, 4)}).table(io.Discard)
}
