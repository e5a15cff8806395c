package main

import (
	"embed"
	"html/template"
	"io"

	"github.com/murmuration-go/murmuration/benchmarks/incident/internal/ways"
)

// assets are the page's own and those of uPlot 1.6.32, unchanged.
//
//go:embed assets
var assets embed.FS

// page writes the report: one file that needs nothing else.
func page(w io.Writer, reports []Report, strategies []ways.Way) error {
	t, err := template.New("page.html").Funcs(template.FuncMap{
		"columns": func(r Report) []string { return r.columns() },
		"rows": func(r Report) (l [][]string) {
			for i := range r.Results {
				l = append(l, r.row(&r.Results[i]))
			}
			return l
		},
		"plots": plots,
		"ours":  isOurs,
	}).ParseFS(assets, "assets/page.html")
	if err != nil {
		return err
	}
	file := func(name string) string {
		b, e := assets.ReadFile("assets/" + name)
		if e != nil {
			err = e
		}
		return string(b)
	}
	data := map[string]any{
		"Reports": reports, "Strategies": strategies, "Percentiles": percentiles,
		"Attempts": ways.MaxAttempts, "Timeout": ways.AttemptTimeout, "Deadline": ways.Deadline,
		"Style":   template.CSS(file("uPlot.min.css") + file("page.css")),
		"Library": template.JS(file("uPlot.iife.min.js")),
		"Script":  template.JS(file("page.js")),
		"Licence": file("LICENSE"),
	}
	if err != nil {
		return err
	}
	return t.Execute(w, data)
}

type plot struct{ Kind, Title string }

// plots are those of a scenario.
func plots(r Report) []plot {
	l := []plot{
		{"load", "Attempts that arrive, a second; first tries offered and capacity"},
		{"ok", "Share of calls that succeed, by when they were due"},
		{"amp", "Amplification: attempts over first tries"},
		{"open", "Dimmer or breakers: share of first tries that may go home"},
		{"latency", "Latency of successful calls from when they were due, ms"},
	}
	if r.Zoned {
		l[0] = plot{"load", "Attempts that arrive in zone A, a second, and its capacity"}
		l = append(l[:1], append([]plot{{"other", "Attempts that arrive in zone B, a second, and its capacity"}}, l[1:]...)...)
	}
	return l
}
