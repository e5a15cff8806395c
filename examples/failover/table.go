package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// table prints the report for people.
func (r *report) table(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\ta's users\tb's users\tgone to b\trefused\tload on a, 1 s\t5 s\tload on b, 1 s\t5 s\t")
	for _, p := range r.Phases {
		fmt.Fprintf(t, "%s, %.0f s\t%.3f\t%.3f\t%d\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t\n", p.Name, p.ToS-p.FromS,
			p.A.Goodput, p.B.Goodput, p.A.Diverted, p.A.Refused+p.B.Refused, p.LoadA1, p.LoadA5, p.LoadB1, p.LoadB5)
	}
	_ = t.Flush()
	done := "never"
	if r.Shift.DoneS != nil {
		done = fmt.Sprintf("%.1f s", *r.Shift.DoneS)
	}
	fmt.Fprintf(w, "\nb has room for %.0f of a's calls a second, up to three quarters of its capacity; %.0f a second succeeded\n"+
		"there, and nine tenths of that after %s.\n", r.Shift.Room, r.Shift.Reached, done)
	if n := r.Refusals; n.Count > 0 {
		fmt.Fprintf(w, "%d calls were refused with nothing sent, half of them within %.3f ms and 99 %% within %.2f ms;\n"+
			"%d by an error that says why, the last one:\n  %s\n", n.Count, n.MedianMS, n.P99MS, n.Typed, n.Example)
	}
	fmt.Fprintf(w, "\na's users, b's users: the share of their calls that succeeded; load: requests that arrived, over the capacity\n"+
		"of the whole zone, the most in any second and any 5 s. Seed %d; calls were made at most %.0f ms late.\n\n%s", r.Seed, r.LateMS, r.look())
}

// look says what to look at, by what the figures of this run are.
func (r *report) look() string {
	dead := r.Phases[1]
	loads, lost := 0., 0
	for _, p := range r.Phases[1:] {
		loads = max(loads, p.LoadB1)
		lost += p.B.Calls - int(p.B.Goodput*float64(p.B.Calls)+.5)
	}
	if r.Alone {
		return fmt.Sprintf("What to look at: the users of b, whose zone was well all the time; %d of their calls failed from a's death on.\n"+
			"Each client sends what a refuses to b, which gets up to %.2f of its capacity. Once b's queue is longer than\n"+
			"clients wait, it works for nobody; their breakers take turns then, all of them open or all of them not.\n"+
			"Run the same without -alone. Where b has room for all of a's users, being alone wins: -alone -capacity-b 300.", lost, loads)
	}
	fails := "Where a refuses by itself, at once, what does not fit in b ends with a's own answer: dimming would save nothing."
	if dead.A.Refused > 0 {
		fails = "What does not fit in b is refused before anything is sent, while a few calls go on probing a."
	}
	return fmt.Sprintf("What to look at: %d calls of b's users failed from a's death on, and b got at most %.2f of its capacity in a\n"+
		"second. Of a's users %.0f %% are served while it is dead; no more would fit. %s\n"+
		"When a is back, cold, it gets no more than it can bear; that it is whole again takes some seconds to find out.\n"+
		"Run the same with -alone. Where b has room for all of a's users, -alone wins: try -capacity-b 300 with both.",
		lost, loads, 100*dead.A.Goodput, fails)
}
