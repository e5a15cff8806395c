package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// view shows the load of each zone while it runs: a few lines that are rewritten on
// a terminal, one line a second elsewhere. A nil view shows nothing.
type view struct {
	w        io.Writer
	terminal bool
	every    time.Duration
	lines    int // written last, which the next ones replace
}

func newView(f *os.File) *view {
	v := &view{w: f, every: time.Second}
	if st, err := f.Stat(); err == nil && st.Mode()&os.ModeCharDevice != 0 {
		v.terminal, v.every = true, 250*time.Millisecond
	}
	return v
}

func (v *view) note(format string, args ...any) {
	if v != nil {
		fmt.Fprintf(v.w, format+"\n", args...)
	}
}

// watch shows a fleet until it has finished.
func (v *view) watch(f *fleet, finished <-chan struct{}) {
	if v == nil {
		<-finished
		return
	}
	tick := time.NewTicker(v.every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if now := time.Since(f.book.start); now > 0 {
				v.show(f, now)
			}
		case <-finished:
			v.erase()
			return
		}
	}
}

func (v *view) erase() {
	if v.lines > 0 {
		fmt.Fprintf(v.w, "\x1b[%dA\x1b[J", v.lines)
	}
	v.lines = 0
}

func (v *view) show(f *fleet, now time.Duration) {
	name := "the last calls end"
	for _, p := range f.phases() {
		if now >= p.from && now < p.to {
			name = p.name
		}
	}
	var at [2]moment
	for i := range f.zones {
		at[i] = f.moment(i, now)
	}
	if !v.terminal {
		line := fmt.Sprintf("%5.1f s  %-18s", now.Seconds(), name)
		for i, m := range at {
			line += fmt.Sprintf(" | %s %3.0f/s of %.0f, served %3.0f, users ok %3.0f %%", f.zones[i].name, m.offered, m.capacity, m.served, 100*m.ok)
		}
		fmt.Fprintf(v.w, "%s | to b %3.0f/s refused %3.0f/s phi %.2f\n", line, at[0].away, at[0].refused+at[1].refused, at[0].phi)
		return
	}
	v.erase()
	fmt.Fprintf(v.w, "%5.1f s  %s\n", now.Seconds(), name)
	for i, m := range at {
		fmt.Fprintf(v.w, "  %s  %s\n     %4.0f/s of %3.0f, served %4.0f/s, phi %.2f by %v; its users: ok %3.0f %%\n",
			f.zones[i].name, bar(m, f.capacity[i]), m.offered, m.capacity, m.served, m.phi, m.by, 100*m.ok)
	}
	fmt.Fprintf(v.w, "  of a's users' calls %3.0f/s go to b, %3.0f/s are refused with nothing sent\n", at[0].away, at[0].refused)
	fmt.Fprintf(v.w, "  # served  + offered beyond that  . capacity left  | whole capacity\n")
	v.lines = 1 + 2*len(at) + 2
}

// moment is the last second of a zone.
type moment struct {
	capacity, offered, served float64
	ok                        float64 // share of its users' calls that ended well
	away, refused             float64 // of its users' calls, a second
	phi                       float64 // share of first tries that may go there
	by                        fmt.Stringer
}

func (f *fleet) moment(zone int, now time.Duration) moment {
	const second = time.Second
	z := f.zones[zone]
	m := moment{capacity: z.capacity * z.fault.share(now)}
	arrived, done := z.loads()
	m.offered, m.served = within(arrived, now-second, now), within(done, now-second, now)
	ended, ok := 0., 0.
	calls := f.book.all()
	for i := len(calls) - 1; i >= 0 && calls[i].began > now-10*second; i-- {
		c := &calls[i]
		if c.zone != zone || c.ended == 0 || c.ended <= now-second || c.ended > now {
			continue
		}
		ended++
		switch {
		case c.ok:
			ok++
			if c.at != zone {
				m.away++
			}
		case c.at == nowhere:
			m.refused++
		}
	}
	m.ok = ok / max(ended, 1)
	for _, o := range f.members {
		if o.zone == zone {
			x := o.state()
			m.phi, m.by = x.Phi, x.Source
			break
		}
	}
	return m
}

// within counts the times of a span, the last ones of a row that grows.
func within(times []time.Duration, from, to time.Duration) float64 {
	n := 0.
	for i := len(times) - 1; i >= 0 && times[i] > from-time.Second; i-- {
		if times[i] > from && times[i] <= to {
			n++
		}
	}
	return n
}

// bar draws a zone's load: 40 columns are its capacity when it is whole, and there
// is half as much beside that.
func bar(m moment, whole float64) string {
	const full, width = 40, 60
	var b strings.Builder
	for i := range width {
		x := (float64(i) + .5) * whole / full
		switch {
		case i == full:
			b.WriteByte('|')
		case x < m.served:
			b.WriteByte('#')
		case i == width-1 && m.offered > x:
			b.WriteByte('>')
		case x < m.offered:
			b.WriteByte('+')
		case x < m.capacity:
			b.WriteByte('.')
		default:
			b.WriteByte(' ')
		}
	}
	return b.String()
}
