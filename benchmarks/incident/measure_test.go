package main

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/benchmarks/incident/internal/ways"
	"github.com/murmuration-go/murmuration/benchmarks/incident/internal/world"
)

const sec = time.Second

// steady is ten calls a second of one member; those that fail are asked for.
func steady(traffic time.Duration, fails func(due time.Duration) bool, attempts int) []call {
	var l []call
	for due := 50 * time.Millisecond; due < traffic; due += sec / 10 {
		c := call{due: due, began: due, ended: due + 20*time.Millisecond, ok: !fails(due)}
		for i := range attempts {
			c.sent = append(c.sent, due+time.Duration(i)*time.Millisecond)
		}
		l = append(l, c)
	}
	return l
}

func during(from, to time.Duration) func(time.Duration) bool {
	return func(d time.Duration) bool { return d >= from && d < to }
}

func TestRecovery(t *testing.T) {
	for _, x := range []struct {
		fails func(time.Duration) bool
		want  float64
	}{
		{during(2*sec, 4*sec), 0},
		{during(2*sec, 9*sec), 5},
		{during(2*sec, 30*sec), math.Inf(1)},
		{during(7*sec, 7*sec+90*time.Millisecond), 0}, // one of fifty
	} {
		got := recovery([][]call{steady(20*sec, x.fails, 1)}, 4*sec, 20*sec)
		if never(got) != x.want {
			t.Errorf("recovery after %v, want %v", never(got), x.want)
		}
	}
}

func TestPeak(t *testing.T) {
	var l []time.Duration
	for i := range 100 {
		l = append(l, time.Duration(i)*sec/10)
	}
	for range 7 {
		l = append(l, 10*sec)
	}
	if got := peak(l, 2*sec, 9*sec); got != 10 {
		t.Errorf("the peak of ten a second is %v", got)
	}
	if got := peak(l, 2*sec, 11*sec); got != 16 {
		t.Errorf("the peak with seven at once is %v", got)
	}
}

// run is a lab that has run, with one member of each of some strategies.
func ran(t *testing.T, scenario string, calls map[string][]call) *lab {
	t.Helper()
	l, err := world.Find(scenario)
	if err != nil {
		t.Fatal(err)
	}
	p := &world.Plan{Scenario: l[0], Members: 2, Capacity: 20, Load: .5, Onset: 2 * sec, Seed: 1}
	b := &lab{plan: p, ticks: []time.Duration{0}}
	for _, w := range ways.All {
		if c, ok := calls[w.Name]; ok {
			e := &entrant{way: w, calls: [][]call{c, nil}, open: []float64{1}}
			for z := range p.Zones() {
				e.servers = append(e.servers, world.NewServer(p, z))
			}
			b.entrants = append(b.entrants, e)
		}
	}
	return b
}

func TestResult(t *testing.T) {
	// S2: the fault is from 2 to 12 s, calls until 27 s.
	calls := steady(27*sec, during(2*sec, 12*sec), 2)
	for i := range calls {
		if during(2*sec, 3*sec)(calls[i].due) {
			calls[i].sent = nil
		}
	}
	r := ran(t, "S2", map[string][]call{"none": calls}).report("http").Results[0]
	if r.Calls != 250 || r.Goodput != .6 || r.FaultGoodput != 0 || r.Refused != 10 {
		t.Errorf("%d calls, goodput %v, in the fault %v, %d refused", r.Calls, r.Goodput, r.FaultGoodput, r.Refused)
	}
	if r.Amplification != 1.9 { // from 2 to 22 s, of which one second sent nothing
		t.Errorf("amplification %v", r.Amplification)
	}
	if r.Recovery == nil || *r.Recovery != 0 {
		t.Errorf("recovery %v", r.Recovery)
	}
	if r.P50 < 19 || r.P999 > 21 {
		t.Errorf("latency %v to %v", r.P50, r.P999)
	}
	if n := len(r.Succeeded); n != 54 || *r.Succeeded[10] != 0 || *r.Succeeded[30] != 1 || *r.Ratio[30] != 2 {
		t.Errorf("%d steps of the series", n)
	}
}

// TestLate: a run in which calls were made late says so, and latency counts from when
// they were due.
func TestLate(t *testing.T) {
	calls := steady(27*sec, during(0, 0), 1)
	for i := range calls {
		calls[i].began += 300 * time.Millisecond
		calls[i].ended += 300 * time.Millisecond
	}
	r := ran(t, "S2", map[string][]call{"none": calls}).report("http")
	if r.Invalid == "" || r.LateP99 < 290 || r.Results[0].P50 < 310 {
		t.Errorf("invalid %q, %v ms late, median latency %v", r.Invalid, r.LateP99, r.Results[0].P50)
	}
	var b strings.Builder
	if err := r.table(&b); err != nil || !strings.Contains(b.String(), "INVALID") {
		t.Errorf("the table does not say so: %v", err)
	}
}

func TestVerdict(t *testing.T) {
	always, good, bad := during(0, 0), during(2*sec, 12*sec), during(2*sec, 20*sec)
	for _, x := range []struct {
		ours, theirs func(time.Duration) bool
		want         string
	}{
		{good, bad, "Most calls succeeded with murmuration (0.60). The first to recover, 0.0 s after the fault: murmuration. murmuration lost to nobody."},
		{bad, good, "Most calls succeeded with failsafe (0.60). The first to recover, 0.0 s after the fault: failsafe. murmuration lost in goodput (0.28, failsafe 0.60); in recovery (8.0 s, failsafe 0.0 s)."},
		{always, always, "Most calls succeeded with failsafe and murmuration (1.00). The first to recover, 0.0 s after the fault: failsafe and murmuration. murmuration lost to nobody."},
	} {
		r := ran(t, "S2", map[string][]call{"murmuration": steady(27*sec, x.ours, 1), "failsafe": steady(27*sec, x.theirs, 1)}).report("http")
		if r.Verdict != x.want {
			t.Errorf("the verdict is\n%s\nwant\n%s", r.Verdict, x.want)
		}
	}
}

// TestNobodyRecovers: the figures of what never succeeds are none.
func TestNobodyRecovers(t *testing.T) {
	r := ran(t, "F1r", map[string][]call{"none": steady(29*sec, during(0, 29*sec), 1)}).report("http")
	if !strings.Contains(r.Verdict, "Nobody recovered") || r.Results[0].Latency != nil {
		t.Errorf("%q, latency %v", r.Verdict, r.Results[0].Latency)
	}
	if row := strings.Join(r.row(&r.Results[0]), " "); !strings.Contains(row, "never") || !strings.Contains(row, " - ") {
		t.Errorf("the row is %q", row)
	}
}
