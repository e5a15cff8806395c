package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/murmuration-go/murmuration/benchmarks/incident/internal/ways"
)

// TestPage: the report is one file that asks for nothing else, and has everything in
// it.
func TestPage(t *testing.T) {
	calls := map[string][]call{"none": steady(29*sec, during(2*sec, 12*sec), 1), ways.Ours: steady(29*sec, during(2*sec, 12*sec), 1)}
	r := ran(t, "F1r", calls).report("http")
	r.Title += "</script><b>"
	var b bytes.Buffer
	if err := page(&b, []Report{*r}, ways.All); err != nil {
		t.Fatal(err)
	}
	html := b.String()
	if l := regexp.MustCompile(`(?i)(\bsrc|\bhref)="[^#]|@import|url\(|\bfetch\(|XMLHttpRequest`).FindAllString(html, -1); l != nil {
		t.Errorf("the page asks for something: %q", l)
	}
	for _, s := range []string{"uPlot=function", "Permission is hereby granted", "prefers-color-scheme: dark", `data-kind="other"`, "murmuration lost to nobody"} {
		if !strings.Contains(html, s) {
			t.Errorf("no %q in the page", s)
		}
	}
	if strings.Contains(html, "</script><b>") {
		t.Error("the data ends its script")
	}
	_, data, _ := strings.Cut(html, `id="data">`)
	data, _, _ = strings.Cut(data, "</script>")
	var back []Report
	if err := json.Unmarshal([]byte(data), &back); err != nil || len(back) != 1 || back[0].Title != r.Title || len(back[0].Results) != 2 {
		t.Errorf("the data reads as %+v: %v", back, err)
	}
}

// TestVendored: what is embedded is what the console has, which is tested against
// what was published.
func TestVendored(t *testing.T) {
	for _, name := range []string{"uPlot.iife.min.js", "uPlot.min.css", "LICENSE"} {
		ours, err := assets.ReadFile("assets/" + name)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := os.ReadFile(filepath.Join("../../gossip/console/web/uplot", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(ours, theirs) {
			t.Errorf("%s is not the console's", name)
		}
	}
}

// TestREADME: it tells every configuration as the code has it.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range ways.All {
		if row := "| " + w.Name + " | " + w.Config + " | " + w.Zones + " |"; !strings.Contains(string(readme), row) {
			t.Errorf("the README has no row\n%s", row)
		}
	}
}
