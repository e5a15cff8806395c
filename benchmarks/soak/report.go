package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"time"
)

// summary is what came of it all.
type summary struct {
	Seed        uint64            `json:"seed"`
	Members     int               `json:"members"`
	For         float64           `json:"for_s"`
	Took        float64           `json:"took_s"`
	Faults      []event           `json:"faults"`
	Coordinated []float64         `json:"coordinated_s"` // after bunches of faults, until all were coordinated
	Recovered   []float64         `json:"recovered_s"`   // and until nobody restricted anything
	Services    map[string]counts `json:"services"`
	Calls       uint64            `json:"calls"`
	Good        uint64            `json:"good"`
	Refused     uint64            `json:"refused"` // calls that ended with a refusal
	Refusals    uint64            `json:"refusals_explained"`
	Diversions  uint64            `json:"diversions_explained"`
	BudgetStops uint64            `json:"stopped_by_budget"`
	Started     int               `json:"members_started"`
	Checkpoints []checkpoint      `json:"checkpoints"`
	HeapTrend   trend             `json:"heap_trend"`
	Goroutines  trend             `json:"goroutines_trend"`
	Broken      int               `json:"broken"`
	Violations  []violation       `json:"violations"`
}

// trend is a straight line through the checkpoints, without the first fifth of them.
type trend struct {
	Mean   float64 `json:"mean"`
	Growth float64 `json:"growth"` // over all the time
	Error  float64 `json:"error"`  // of the growth, two standard errors
}

// enough is how many checkpoints a trend takes.
const enough = 8

// fit fits a line by least squares.
func fit(points []checkpoint, y func(checkpoint) float64) (t trend, ok bool) {
	points = points[len(points)/5:]
	n := float64(len(points))
	if len(points) < enough {
		return t, false
	}
	var mx, my, xx, xy float64
	for _, p := range points {
		mx += p.At / n
		my += y(p) / n
	}
	for _, p := range points {
		xx += (p.At - mx) * (p.At - mx)
		xy += (p.At - mx) * (y(p) - my)
	}
	slope := xy / xx
	var rest float64
	for _, p := range points {
		r := y(p) - my - slope*(p.At-mx)
		rest += r * r
	}
	span := points[len(points)-1].At - points[0].At
	return trend{my, slope * span, 2 * math.Sqrt(rest/(n-2)/xx) * span}, true
}

// flat is the growth, as a share of the mean, that is put up with.
const flat = .1

// grows reports whether the growth is more than that, and more than chance makes it.
func (t trend) grows() bool { return t.Growth-t.Error > 0 && t.Growth > flat*t.Mean }

// fill takes over what the fleet has counted.
func (f *fleet) fill(s *summary) {
	s.Services = map[string]counts{}
	for name, b := range f.books {
		s.Services[name] = b.counts()
		s.Started = b.started
	}
	s.Calls, s.Good, s.Refused = f.calls.Load(), f.good.Load(), f.refused.Load()
	s.Refusals, s.Diversions, s.BudgetStops = f.refusals.Load(), f.diversions.Load(), f.budgetStops.Load()
	var ok bool
	if s.HeapTrend, ok = fit(s.Checkpoints, func(c checkpoint) float64 { return c.HeapMB }); ok && s.HeapTrend.grows() {
		f.broken("the heap grows: %+v MB", s.HeapTrend)
	}
	if s.Goroutines, ok = fit(s.Checkpoints, func(c checkpoint) float64 { return float64(c.Goroutines) }); ok && s.Goroutines.grows() {
		f.broken("goroutines become more: %+v", s.Goroutines)
	}
	s.Took = time.Since(f.began).Seconds()
	f.mu.Lock()
	defer f.mu.Unlock()
	s.Broken, s.Violations = f.broke, f.violations
}

// progress tells how it goes.
func (f *fleet) progress() {
	at := time.Since(f.began)
	f.mu.Lock()
	under, broke := f.under, f.broke
	f.mu.Unlock()
	line := fmt.Sprintf("%v left; calls %d, well %.1f %%, refused %d, diverted %d", max(f.last-at, 0).Round(time.Second),
		f.calls.Load(), percent(f.good.Load(), f.calls.Load()), f.refused.Load(), f.diversions.Load())
	for _, service := range services {
		c := f.books[service].counts()
		line += fmt.Sprintf("; %s: %d first tries, %d retries", service, c.First, c.Retries)
	}
	f.note("%s; violations %d; %s", line, broke, under)
}

func percent(a, b uint64) float64 { return 100 * float64(a) / float64(max(b, 1)) }

// print tells it to people.
func (s *summary) print(w io.Writer) error {
	fmt.Fprintf(w, "seed %d, %d members (%d starts), %.0f s of faults, %.0f s in all\n", s.Seed, s.Members, s.Started, s.For, s.Took)
	fmt.Fprintf(w, "%d faults; all were coordinated %s after them, and nothing was restricted any more %s after them\n",
		len(s.Faults), spread(s.Coordinated), spread(s.Recovered))
	fmt.Fprintf(w, "%d calls, %.2f %% of them well; %d refused, %d stopped by the budget; all of %d refusals and %d diversions explained\n",
		s.Calls, percent(s.Good, s.Calls), s.Refused, s.BudgetStops, s.Refusals, s.Diversions)
	for _, service := range services {
		c := s.Services[service]
		fmt.Fprintf(w, "%s: %d first tries, %d retries, %d diverted; nearest to the bound of the budget by %.1f retries\n", service, c.First, c.Retries, c.Diverted, c.Room)
	}
	if s.HeapTrend.Mean > 0 {
		fmt.Fprintf(w, "heap %.2f MB, growth %+.2f +- %.2f MB; goroutines %.0f, growth %+.1f +- %.1f; from %d checkpoints\n",
			s.HeapTrend.Mean, s.HeapTrend.Growth, s.HeapTrend.Error, s.Goroutines.Mean, s.Goroutines.Growth, s.Goroutines.Error, len(s.Checkpoints))
	} else {
		fmt.Fprintf(w, "too few checkpoints, %d, to tell whether memory grows\n", len(s.Checkpoints))
	}
	for _, v := range s.Violations {
		fmt.Fprintf(w, "VIOLATION at %.1f s: %s (%s)\n", v.At, v.What, v.Under)
	}
	_, err := fmt.Fprintf(w, "violations: %d\n", s.Broken)
	return err
}

// spread is the median and the most of some times.
func spread(l []float64) string {
	if len(l) == 0 {
		return "never"
	}
	l = slices.Sorted(slices.Values(l))
	return fmt.Sprintf("%.1f s (at most %.1f s)", l[len(l)/2], l[len(l)-1])
}
