package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim/scenario"
)

// output is told the results in order.
type output interface {
	result(scenario.Result) error
	end() error
}

// lines prints a JSON object a run.
type lines struct{ w io.Writer }

func (l *lines) result(r scenario.Result) error { return json.NewEncoder(l.w).Encode(r) }
func (l *lines) end() error                     { return nil }

// table prints a row for each combination, the mean of its seeds.
type table struct {
	w     io.Writer
	seeds int
	group []scenario.Result
	title string
}

func (t *table) result(r scenario.Result) error {
	t.group = append(t.group, r)
	if len(t.group) < t.seeds {
		return nil
	}
	m := scenario.Mean(t.group)
	t.group = t.group[:0]
	if title := heading(&m); title != t.title {
		t.title = title
		fmt.Fprintf(t.w, "\n%s\n%-18s %13s %6s %8s %10s %14s %7s\n", title,
			"policy", "amplification", "peak", "goodput", "recovery_s", "attempts_down", "trips")
	}
	_, err := fmt.Fprintf(t.w, "%-18s %13.2f %6.2f %8.3f %10s %14d %7d\n",
		m.Policy, m.Amplification, m.Peak, m.Goodput, seconds(m.Recovery), m.AttemptsDown, m.Trips)
	if x := m.Spare; x != nil && err == nil {
		_, err = fmt.Fprintf(t.w, "%-18s in the fault %.3f succeed, %.3f of the spare zones' own; their load over capacity is at most %.2f in 5 s, %.2f in 1 s; shifted after %s s\n",
			"", x.InFault, x.Own, x.Mean, x.Peak, seconds(x.Shifted))
	}
	return err
}

func (t *table) end() error {
	_, err := fmt.Fprintf(t.w, `
Means of %d seeds; peak and trips: the most, and all together.
amplification  attempts over first tries wanted, from the onset to 10 s after the fault
peak           most attempts of a second over the capacity, from 4 s after the onset
goodput        share of the calls that succeeded, from the onset to 60 s after the fault
recovery_s     from the end of the fault until 97 %% of calls succeed for 5 s
attempts_down  that reached the endpoint while it was down
trips          times that advice began to dim a member
`, t.seeds)
	return err
}

func heading(r *scenario.Result) string {
	s := fmt.Sprintf("%s, %d members, load %g of %g/s, timeout %gs", r.Scenario, r.N, r.Rho, r.Capacity, r.Timeout)
	if len(r.Extra) > 0 {
		s += ", with " + strings.Join(r.Extra, " and ")
	}
	return s
}

func seconds(s *float64) string {
	if s == nil {
		return "never"
	}
	return fmt.Sprintf("%.0f", *s)
}

// matrix prints goodput and recovery in Markdown, a column for each policy, and
// below what else is told of murmuration.
type matrix struct {
	w        io.Writer
	seeds    int
	group    []scenario.Result
	policies []string
	rows     []string
	cells    map[string]map[string]string
	ours     []string // lines of the second table
}

func (m *matrix) result(r scenario.Result) error {
	m.group = append(m.group, r)
	if len(m.group) < m.seeds {
		return nil
	}
	mean := scenario.Mean(m.group)
	m.group = m.group[:0]
	row := fmt.Sprintf("%s, %d", mean.Scenario, mean.N)
	if len(mean.Extra) > 0 {
		row += " + " + strings.Join(mean.Extra, " + ")
	}
	if mean.Rho != .8 || mean.Timeout != 1 || mean.Capacity != 1000 {
		row += fmt.Sprintf(" (load %g of %g/s, timeout %gs)", mean.Rho, mean.Capacity, mean.Timeout)
	}
	if m.cells == nil {
		m.cells = map[string]map[string]string{}
	}
	if m.cells[row] == nil {
		m.cells[row] = map[string]string{}
		m.rows = append(m.rows, row)
	}
	known := false
	for _, p := range m.policies {
		known = known || p == mean.Policy
	}
	if !known {
		m.policies = append(m.policies, mean.Policy)
	}
	m.cells[row][mean.Policy] = fmt.Sprintf("%.2f / %s", mean.Goodput, seconds(mean.Recovery))
	if x := mean.Spare; x != nil {
		m.cells[row][mean.Policy] = fmt.Sprintf("%.2f / %.2f / %.2f / %.2f", x.InFault, x.Own, x.Mean, x.Peak)
		return nil
	}
	if strings.HasPrefix(mean.Policy, "murmuration") {
		m.ours = append(m.ours, fmt.Sprintf("| %s | %s | %.2f | %.2f | %.2f | %s | %d | %d |", row, mean.Policy,
			mean.Amplification, mean.OnsetPeak, mean.Peak, share(mean.Retried), mean.AttemptsDown, mean.Trips))
	}
	return nil
}

// share is one of what there may be none of.
func share(s *float64) string {
	if s == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f", *s)
}

func (m *matrix) end() error {
	fmt.Fprintf(m.w, "| scenario, members | %s |\n|---|%s\n", strings.Join(m.policies, " | "), strings.Repeat("---|", len(m.policies)))
	for _, row := range m.rows {
		var cells []string
		for _, p := range m.policies {
			cells = append(cells, m.cells[row][p])
		}
		if _, err := fmt.Fprintf(m.w, "| %s | %s |\n", row, strings.Join(cells, " | ")); err != nil {
			return err
		}
	}
	if len(m.ours) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(m.w, "\n| scenario, members | policy | amplification | onset peak | peak | retries made / wanted | attempts while down | trips |\n|---|---|---|---|---|---|---|---|\n%s\n",
		strings.Join(m.ours, "\n"))
	return err
}

// progress keeps people informed about a long run.
type progress struct {
	w           io.Writer
	quiet       bool
	total, have int
	began       time.Time
	told        time.Time
}

func newProgress(w io.Writer, total int, quiet bool) *progress {
	return &progress{w: w, total: total, quiet: quiet, began: time.Now()}
}

func (p *progress) step(r scenario.Result) {
	p.have++
	if p.quiet || time.Since(p.told) < time.Second && p.have < p.total {
		return
	}
	p.told = time.Now()
	spent := time.Since(p.began)
	left := time.Duration(float64(spent) / float64(p.have) * float64(p.total-p.have))
	fmt.Fprintf(p.w, "%d of %d runs, %v, about %v left; last: %s, %d members, %s\n",
		p.have, p.total, spent.Round(time.Second), left.Round(time.Second), r.Scenario, r.N, r.Policy)
}

func (p *progress) done() {
	if !p.quiet {
		fmt.Fprintf(p.w, "%d runs in %v\n", p.total, time.Since(p.began).Round(time.Second))
	}
}
