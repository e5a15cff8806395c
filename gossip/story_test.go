package gossip

import (
	"slices"
	"sync"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/internal/coord"
)

// story is what all processes are told, in one order.
type story struct {
	mu      sync.Mutex
	lines   []line
	decided map[int]int    // decisions written down, by process
	health  map[int]Health // as it was written down last
	stalled bool           // the server has, once
}

// line is a signal of the coordination, or a request that failed for it.
type line struct {
	id       int
	what     string // mode, members, health, decision or failure
	health   Health
	decision coord.Decision
	refusal  *breaker.OpenError
	alone    bool // fewer than two stewards were heard when it failed
	late     bool // the incident has begun
}

func (l *story) add(n line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n.late = l.stalled
	l.lines = append(l.lines, n)
}

// look writes down what a process is told now, if it is news. The story is locked.
func (l *story) look(p *patient) {
	all := p.seen.Log().Decisions()
	for _, d := range all[l.decided[p.id]:] {
		l.lines = append(l.lines, line{id: p.id, what: "decision", decision: d})
	}
	l.decided[p.id] = len(all)
	h := p.cluster.Health()
	if was := l.health[p.id]; h.Mode != was.Mode || h.Coverage != was.Coverage || h.Members != was.Members ||
		h.Missing != was.Missing || h.SplitSuspected != was.SplitSuspected || !slices.Equal(h.Disagreements, was.Disagreements) {
		l.health[p.id] = h
		l.lines = append(l.lines, line{id: p.id, what: "health", health: h})
	}
}

// of returns what one process was told, and what failed there; all for a negative id.
func (l *story) of(id int) (lines []line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.lines {
		if id < 0 || n.id == id {
			lines = append(lines, n)
		}
	}
	return lines
}

func (l *story) count(id int, is func(line) bool) (n int) {
	for _, one := range l.of(id) {
		if is(one) {
			n++
		}
	}
	return n
}

// check asserts of every request that failed for what the coordination says that this
// was told before: the decision; that stewards are not heard, where too few are; and
// that members are gone, where those decide who have taken over from them.
func (s *scene) check() {
	s.t.Helper()
	s.end()
	failures, alone, taken := 0, 0, 0
	for id := range s.log.decided {
		lines := s.log.of(id)
		for i, l := range lines {
			if l.what != "failure" {
				continue
			}
			failures++
			told := func(is func(line) bool) bool { return slices.ContainsFunc(lines[:i], is) }
			if !told(func(d line) bool { return d.what == "decision" && d.explains(l.refusal) }) {
				s.t.Errorf("member %d, line %d: no decision told of %v", id, i, l.refusal)
			}
			if l.alone {
				alone++
				if !told(func(h line) bool { return h.what == "health" && h.health.short() }) {
					s.t.Errorf("member %d, line %d: not told that stewards are not heard, for which %v", id, i, l.refusal)
				}
			}
			if by := l.refusal.Evidence.Steward; by != "" && !slices.Contains(s.stewarded, by) {
				taken++
				if !told(func(m line) bool { return m.what == "members" && m.late }) {
					s.t.Errorf("member %d, line %d: not told that members are gone, for which another steward decides: %v", id, i, l.refusal)
				}
			}
		}
		if len(lines) == 0 || s.log.decided[id] >= coord.MaxDecisions {
			s.t.Errorf("member %d: %d lines, %d decisions", id, len(lines), s.log.decided[id])
		}
	}
	s.t.Logf("%d requests failed for what the coordination says; of them %d while fewer than two stewards were heard, %d by stewards that had taken over", failures, alone, taken)
	if failures == 0 {
		s.t.Error("nothing was refused")
	}
}

// explains reports whether a decision is the one that a request was refused by.
func (l *line) explains(e *breaker.OpenError) bool {
	d := &l.decision
	switch {
	case d.Endpoint != e.Endpoint || d.Source != e.Source:
		return false
	case e.Source == breaker.SourceLocal:
		return d.State == "open" || d.State == "half-open"
	case e.Retry:
		return d.Retries == coord.RetryNone
	}
	return d.Phi == e.Phi
}

// short reports whether Health tells that fewer than two stewards are heard.
func (h *Health) short() bool { return h.Mode != ModeCoordinated || h.Coverage < .6 }
