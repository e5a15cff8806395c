package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// report is all that was measured.
type report struct {
	Costs  []cost    `json:"costs"`
	Onsets []onset   `json:"onsets"`
	Joins  []joining `json:"joins"`
}

func (r *report) json(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// table prints what is for people.
func (r *report) table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(cells ...string) { fmt.Fprintln(t, strings.Join(cells, "\t")+"\t") }
	line("members", "load", "kB/s", "over idle", "packets/s", "CPU", "over the calls'")
	base := map[string]cost{}
	for _, c := range r.Costs {
		if c.Load == idle {
			clear(base)
		}
		base[c.Load] = c
		over, calls := "-", (*float64)(nil)
		if c.Load != idle {
			over = fmt.Sprintf("%.2f", (c.Bytes-base[idle].Bytes)/1000)
		}
		if c.Load == five || c.Load == amiss {
			calls = base[alone].CPU
		}
		line(members(c.Members, c.Virtual), c.Load, fmt.Sprintf("%.2f", c.Bytes/1000), over, fmt.Sprintf("%.1f", c.Packets), percent(c.CPU), percent(less(c.CPU, calls)))
	}
	if len(r.Onsets) > 0 {
		line()
		line("members", "runs", "50 % act", "worst", "99 % act", "worst", "all act", "worst")
	}
	for _, o := range r.Onsets {
		line(members(o.Members, o.Virtual), fmt.Sprint(len(o.All)), middle(o.Half), worst(o.Half), middle(o.Most), worst(o.Most), middle(o.All), worst(o.All))
	}
	line()
	line("members", "fleet", "Join", "known", "left", "rejoined", "missed")
	for _, j := range r.Joins {
		line(members(j.Members, j.Virtual), fmt.Sprintf("%.2f s", j.Fleet), middle(j.Join), middle(j.Known), middle(j.Left), middle(j.Rejoin), middle(j.Missed))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprint(w, `
kB/s, packets/s  that a member sends, streams included; each packet has 28 bytes of headers beside
CPU              of one core, a member, kernel included; also what it takes to make the calls
over the calls'  the same beyond a fleet that makes the same calls without telling anybody
50, 99 % act     median of the runs: from the fault until so many members dim; the attempt timeout is 1 s of it
fleet            from the start of the last member until all know all
Join             of one more member: until it returned; known: until all know it; left: it leaves, until nobody lists it
rejoined         one crashes and is started anew: until all know the new one; missed: until nobody lists the old one
`)
	return err
}

func members(n int, virtual bool) string {
	if virtual {
		return fmt.Sprintf("%d, virtual time", n)
	}
	return fmt.Sprint(n)
}

func percent(p *float64) string {
	if p == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f %%", *p)
}

func less(a, b *float64) *float64 {
	if a == nil || b == nil {
		return nil
	}
	d := *a - *b
	return &d
}

// middle is the median, the upper one of two.
func middle(l []float64) string {
	if len(l) == 0 {
		return "-"
	}
	l = slices.Sorted(slices.Values(l))
	return fmt.Sprintf("%.2f s", l[len(l)/2])
}

func worst(l []float64) string { return fmt.Sprintf("%.2f s", slices.Max(l)) }
