package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/murmuration-go/murmuration/benchmarks/incident/internal/ways"
	"github.com/murmuration-go/murmuration/benchmarks/incident/internal/world"
)

// columns are the heads of a report's table.
func (r *Report) columns() []string {
	l := []string{"strategy", "goodput", "amplification", "attempts while down", "recovery", "peak after", "p50", "p99", "p99.9 ms", "refused at once"}
	if r.Zoned {
		l = append(l, "in the fault", "B's own", "B's peak")
	}
	return l
}

// row is a strategy's line in it.
func (r *Report) row(x *Result) []string {
	ms := func(f float64) string {
		if x.Latency == nil {
			return "-"
		}
		return fmt.Sprintf("%.0f", f)
	}
	l := []string{
		x.Strategy, fmt.Sprintf("%.3f", x.Goodput), fmt.Sprintf("%.2f", x.Amplification), fmt.Sprint(x.AttemptsDown),
		seconds(x.Recovery), fmt.Sprintf("%.2f", x.Peak),
		ms(x.P50), ms(x.P99), ms(x.P999), fmt.Sprint(x.Refused),
	}
	if r.Zoned {
		l = append(l, fmt.Sprintf("%.3f", x.FaultGoodput), fmt.Sprintf("%.3f", x.Own), fmt.Sprintf("%.2f", x.PeakB))
	}
	return l
}

// Heading names the scenario.
func (r *Report) Heading() string {
	s := r.Scenario + ": " + r.Title
	if r.Scale != 0 && r.Scale != 1 {
		s += fmt.Sprintf(" (all times x %g)", r.Scale)
	}
	return s
}

// Measured says how the run was made and how late it was.
func (r *Report) Measured() string {
	demand := 0.0
	for _, x := range r.Offered {
		demand += x / float64(len(r.Offered))
	}
	capacity := 0.0
	for _, x := range r.Capacity {
		capacity += x
	}
	return fmt.Sprintf(
		"%d members, %.0f calls a second on average, capacity %.0f/s, over %s, seed %d; fault from %.1f to %.1f s, calls until %.1f s. Calls were made up to %.0f ms late (p99 %.1f), ticks %.0f ms.",
		r.Members, demand, capacity, r.Protocol, r.Seed, r.Onset, r.End, r.Traffic, r.LateMax, r.LateP99, r.TickMax)
}

func (r *Report) table(w io.Writer) error {
	fmt.Fprintf(w, "\n%s\n%s\n%s\n", r.Heading(), r.Verdict, r.Measured())
	if r.Invalid != "" {
		fmt.Fprintf(w, "INVALID: %s.\n", r.Invalid)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, strings.Join(r.columns(), "\t")+"\t")
	for i := range r.Results {
		fmt.Fprintln(t, strings.Join(r.row(&r.Results[i]), "\t")+"\t")
	}
	return t.Flush()
}

// list prints what there is.
func list(w io.Writer) {
	fmt.Fprintln(w, "scenarios")
	for _, s := range world.All {
		fmt.Fprintf(w, "  %-8s %s; then %v\n", s.ID, s.Title, s.After)
	}
	fmt.Fprintf(w, "strategies: %d attempts at most, each %v; a user waits %v\n", ways.MaxAttempts, ways.AttemptTimeout, ways.Deadline)
	for _, x := range ways.All {
		fmt.Fprintf(w, "  %-18s %s. With zones: %s.\n", x.Name, x.Config, x.Zones)
	}
}
