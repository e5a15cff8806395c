package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// progress tells how the runs are doing: one line that is rewritten on a
// terminal, plain lines elsewhere.
type progress struct {
	w        io.Writer
	terminal bool
	every    time.Duration
}

func newProgress(f *os.File) *progress {
	p := &progress{w: f, every: 2 * time.Second}
	if st, err := f.Stat(); err == nil && st.Mode()&os.ModeCharDevice != 0 {
		p.terminal, p.every = true, 250*time.Millisecond
	}
	return p
}

func (p *progress) show(runs []*run, s settings, start time.Time) {
	now := time.Since(start)
	phase := "healthy"
	switch {
	case now >= s.stallAt+s.stall:
		phase = "server is back"
	case now >= s.stallAt:
		phase = "STALLED"
	}
	line := fmt.Sprintf("%5.1f s %-14s", now.Seconds(), phase)
	for _, r := range runs {
		rate, okShare, amp, phi := r.recent(now)
		line += fmt.Sprintf(" | %s %4.0f/s ok %3.0f%% x%.2f", short(r.name), rate, 100*okShare, amp)
		if r.name == ours {
			line += fmt.Sprintf(" dimmer %.2f", phi)
		}
	}
	if p.terminal {
		fmt.Fprintf(p.w, "\r\x1b[K%s", line)
		return
	}
	fmt.Fprintln(p.w, line)
}

func (p *progress) note(format string, args ...any) {
	if p.terminal {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
	fmt.Fprintf(p.w, format+"\n", args...)
}

func (p *progress) end() {
	if p.terminal {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

func short(name string) string {
	if i := strings.IndexByte(name, ','); i > 0 {
		return name[:i]
	}
	return name
}

// recent sums the last second: requests a second at the server, share of the
// calls that ended well, requests per call, and the first member's dimmer.
func (r *run) recent(now time.Duration) (rate, ok, amplification, phi float64) {
	const window = time.Second
	arrived := r.server.arrivals()
	for i := len(arrived) - 1; i >= 0 && arrived[i] > now-window; i-- {
		rate++
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	wanted, ended, good := 0.0, 0.0, 0.0
	for i := len(r.calls) - 1; i >= 0 && r.calls[i].due > now-6*window; i-- {
		c := &r.calls[i]
		if c.due > now-window {
			wanted++
		}
		if c.done > now-window {
			ended++
			if c.ok {
				good++
			}
		}
	}
	phi = 1
	for i, c := range r.clients {
		if !r.dead[i] {
			phi = c.dimmer()
			break
		}
	}
	return rate, good / max(ended, 1), rate / max(wanted, 1), phi
}
