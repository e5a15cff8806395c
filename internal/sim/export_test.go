package sim

import "time"

// Begin lets the member make a call to a service.
func (w *World) Begin(service int, m *Member) { w.begin(w.services[service], m) }

// Abstain makes the member one that uses no service: it counts nothing and
// reports nothing. It must not be asked to make a call, nor for its advice.
func (m *Member) Abstain() { m.eps, m.samples = nil, nil }

// CrashNoticed is a crash that the first member notices after d.
func (w *World) CrashNoticed(m *Member, d time.Duration) {
	w.remove(m)
	w.views.change(w, d)
}

// Cast lets the member spread a message by gossip.
func (w *World) Cast(m *Member, key string, data []byte) { m.casts.queue(w, m, key, data) }

// Busy is how many of the server's workers are at work.
func (s *Server) Busy() (n int) {
	for i := range s.workers {
		if s.workers[i].busy {
			n++
		}
	}
	return n
}

// Pending is how many attempts will still be answered or time out.
func (w *World) Pending() (n int) {
	for _, l := range []*line{&w.answers, &w.timeouts} {
		for _, it := range l.items[l.head:] {
			if it.call.gen == it.gen {
				n++
			}
		}
	}
	return n
}

// FreedTwice reports whether a call has been ended more than once.
func (w *World) FreedTwice() bool {
	seen := map[*call]bool{}
	for _, c := range w.free {
		if seen[c] {
			return true
		}
		seen[c] = true
	}
	return false
}
