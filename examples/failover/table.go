package main

import (
	"fmt"
	"io"
	"strings"
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
	fmt.Fprintf(w, "\nb has room for %.0f of a's calls a second, up to three quarters of its capacity. %.0f a second succeeded there\n"+
		"in the second half of a's outage, nine tenths of that %s after a's death.\n", r.Shift.Room, r.Shift.Reached, done)
	if n := r.Refusals; n.Count > 0 {
		fmt.Fprintf(w, "%d calls were refused with nothing sent, half of them within %.3f ms and 99 %% within %.2f ms;\n"+
			"%d by an error that says why, the last one:\n  %s\n", n.Count, n.MedianMS, n.P99MS, n.Typed, n.Example)
	}
	if g := r.Reasons; g.Diverted+g.Refused > 0 {
		fmt.Fprintf(w, "Who decided, on what evidence and how old that was say the errors of all but %d of the calls that were refused or\n"+
			"diverted, and all but %d of their %d spans.\n", g.UnexplainedRefused+g.UnexplainedDiverted,
			g.UnexplainedSpans+g.UnexplainedAway, g.RefusedSpans+g.DivertedSpans)
	}
	fmt.Fprintf(w, "\na's users, b's users: the share of their calls that succeeded; load: requests that arrived, over the capacity\n"+
		"of the whole zone, the most in any second and any 5 s. Seed %d; calls were made at most %.0f ms late.\n\n%s\n", r.Seed, r.LateMS, r.look())
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
	lines := []string{fmt.Sprintf("What to look at: %d calls of b's users failed from a's death on, and b got at most %.2f of its capacity in a second.", lost, loads)}
	if served := fmt.Sprintf("Of a's users %.0f %% were served while it was dead", 100*dead.A.Goodput); r.Shift.Reached < .7*r.Shift.Room {
		lines = append(lines, served+". More would fit: what b gets grows with what it has been seen to bear.")
	} else {
		lines = append(lines, served+"; there is no room for many more.")
	}
	if dead.A.Refused == 0 {
		lines = append(lines,
			"a refused by itself and at once, so that what does not fit in b ended with a's own answer: dimming would save nothing.",
			"Nobody held back when a was back, cold; the cluster saw it overrun, let a part through, and more step by step.")
	} else {
		lines = append(lines,
			"What does not fit in b was refused before anything was sent, while a few calls went on probing a.",
			"When a was back, cold, it got more step by step, as those succeeded.")
	}
	return strings.Join(append(lines, "Run the same with -alone. Where b has room for all of a's users, -alone wins: try -capacity-b 300 with both."), "\n")
}
