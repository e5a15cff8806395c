package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/murmuration-go/murmuration/benchmarks/incident/internal/ways"
	"github.com/murmuration-go/murmuration/benchmarks/incident/internal/world"
)

// progress tells how far the lab is and how long it will take: one line that is
// rewritten on a terminal, plain lines elsewhere.
type progress struct {
	w        io.Writer
	quiet    bool
	terminal bool
	left     []time.Duration // of the scenarios that are not over, the present one first
	told     time.Time
}

// between is about how long it takes to set up and take down a scenario.
const between = 4 * time.Second

func newProgress(w io.Writer, plans []world.Plan, quiet bool) *progress {
	p := &progress{w: w, quiet: quiet}
	if f, ok := w.(*os.File); ok {
		st, err := f.Stat()
		p.terminal = err == nil && st.Mode()&os.ModeCharDevice != 0
	}
	for i := range plans {
		p.left = append(p.left, plans[i].Traffic()+ways.Deadline/2+between)
	}
	return p
}

// at tells that a scenario has come so far.
func (p *progress) at(plan *world.Plan, now time.Duration) {
	every := 5 * time.Second
	if p.terminal {
		every = 0
	}
	if p.quiet || time.Since(p.told) < every {
		return
	}
	p.told = time.Now()
	phase := "all well"
	switch {
	case now >= plan.Traffic():
		phase = "last calls end"
	case now >= plan.End():
		phase = "after the fault"
	case now >= plan.Onset:
		phase = "FAULT"
	}
	var left time.Duration
	for _, d := range p.left {
		left += d
	}
	left = max(left-now, 0).Round(time.Second)
	line := fmt.Sprintf("%-7s %3.0f of %.0f s, %s; %d to go, about %v left", plan.ID, now.Seconds(), plan.Traffic().Seconds(), phase, len(p.left)-1, left)
	if p.terminal {
		fmt.Fprintf(p.w, "\r\x1b[K%s", line)
		return
	}
	fmt.Fprintln(p.w, line)
}

// next tells that a scenario is over.
func (p *progress) next() {
	p.left = p.left[1:]
	if p.terminal && !p.quiet {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
