package script

import (
	"slices"
	"time"
)

// Shrink looks for a smaller script that fails as well, by asking fails at most
// budget times: with fewer lines, fewer members, less load and shorter times. It
// is done when no single step makes it smaller any more. The script itself is
// taken to fail.
//
// What fails should ask for the same guarantee to be broken, or the search ends
// at another fault than it began with.
func Shrink(s Script, fails func(Script) bool, budget int) Script {
	x := &shrinking{s: s, fails: fails, budget: budget}
	for again := true; again && x.budget > 0; {
		again = x.drop()
		again = x.merge() || again
		again = x.lessen() || again
	}
	return x.s
}

type shrinking struct {
	s      Script
	fails  func(Script) bool
	budget int
}

// try takes a candidate if it fails too.
func (x *shrinking) try(s Script) bool {
	if x.budget <= 0 {
		return false
	}
	x.budget--
	if !x.fails(s) {
		return false
	}
	x.s = s
	return true
}

// drop leaves out lines: half of them at once, then a quarter, down to single
// ones, from the end on, for what comes after the failure matters least.
func (x *shrinking) drop() (better bool) {
	for n := (len(x.s) + 1) / 2; n >= 1; n /= 2 {
		for to := len(x.s); to > 0; to -= n {
			if to > len(x.s) {
				continue
			}
			better = x.try(slices.Delete(slices.Clone(x.s), max(to-n, 0), to)) || better
		}
	}
	return better
}

// merge makes one of two neighbouring runs.
func (x *shrinking) merge() (better bool) {
	for i := len(x.s) - 2; i >= 0; i-- {
		if i+1 < len(x.s) && x.s[i].Name == "run" && x.s[i+1].Name == "run" && x.s[i].For+x.s[i+1].For <= maxSpan {
			s := slices.Delete(slices.Clone(x.s), i+1, i+2)
			s[i].For += x.s[i+1].For
			better = x.try(s) || better
		}
	}
	return better
}

// lessen makes the numbers of single lines smaller, or rounder.
func (x *shrinking) lessen() (better bool) {
	for i := range x.s {
		for _, smaller := range lessen(x.s[i]) {
			s := slices.Clone(x.s)
			s[i] = smaller
			for x.try(s) { // and again by as much, as long as it goes
				better = true
				next := lessen(s[i])
				if len(next) == 0 || next[0] == s[i] {
					break
				}
				s = slices.Clone(s)
				s[i] = next[0]
			}
		}
	}
	return better
}

// lessen gives what a line could be instead, the boldest first.
func lessen(l Line) (ls []Line) {
	with := func(change func(*Line)) {
		m := l
		if change(&m); m != l {
			ls = append(ls, m)
		}
	}
	if l.For > 0 {
		half := (l.For / 2).Round(time.Second)
		if l.For <= 2*time.Second {
			half = (l.For / 2).Round(100 * time.Millisecond)
		}
		if half > 0 && half < l.For {
			with(func(m *Line) { m.For = half })
		}
		if less := l.For.Truncate(time.Second); less > 0 {
			with(func(m *Line) { m.For = less })
		}
		if less := (l.For - time.Second).Truncate(time.Second); less > 0 {
			with(func(m *Line) { m.For = less })
		}
	}
	switch l.Name {
	case "members", "zones", "tier", "workers":
		if l.N > 1 {
			with(func(m *Line) { m.N /= 2 })
			with(func(m *Line) { m.N-- })
		}
	case "load":
		if l.X >= 2 {
			with(func(m *Line) { m.X = float64(int(l.X / 2)) })
			with(func(m *Line) { m.X = float64(int(l.X)) })
		}
	case "network":
		for _, name := range []string{"loss", "duplicate", "reorder", "late", "latency", "garble"} {
			with(func(m *Line) {
				switch share, time := m.setting(name); {
				case share != nil:
					*share = 0
				case time != nil:
					*time = 0
				}
			})
		}
	}
	if l.Who.I > 0 {
		with(func(m *Line) { m.Who.I /= 2 })
		with(func(m *Line) { m.Who.I-- })
	}
	return ls
}
