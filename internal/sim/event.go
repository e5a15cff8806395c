package sim

import "time"

// handler is something that happens at an instant.
type handler interface{ fire(w *World) }

// do is a handler made of a function.
type do func()

func (f do) fire(*World) { f() }

// event is a handler and its instant. Events of one instant happen in the order
// in which they were planned.
type event struct {
	at time.Duration
	n  uint64
	h  handler
}

func (e *event) before(f *event) bool {
	return e.at < f.at || e.at == f.at && e.n < f.n
}

// agenda is a heap of events in which each node has four children: its sifts
// touch fewer cache lines than a binary heap's.
type agenda struct{ events []event }

func (q *agenda) push(e event) {
	q.events = append(q.events, e)
	i := len(q.events) - 1
	for i > 0 {
		up := (i - 1) / 4
		if !e.before(&q.events[up]) {
			break
		}
		q.events[i] = q.events[up]
		i = up
	}
	q.events[i] = e
}

func (q *agenda) pop() event {
	top := q.events[0]
	n := len(q.events) - 1
	last := q.events[n]
	q.events[n] = event{}
	q.events = q.events[:n]
	if n == 0 {
		return top
	}
	i := 0
	for {
		first := 4*i + 1
		if first >= n {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, n); c++ {
			if q.events[c].before(&q.events[least]) {
				least = c
			}
		}
		if !q.events[least].before(&last) {
			break
		}
		q.events[i] = q.events[least]
		i = least
	}
	q.events[i] = last
	return top
}

// After lets f happen after d.
func (w *World) After(d time.Duration, f func()) { w.after(d, do(f)) }

func (w *World) after(d time.Duration, h handler) {
	w.planned++
	w.agenda.push(event{w.now + max(d, 0), w.planned, h})
}

// Run lets everything happen that is planned within the next d.
func (w *World) Run(d time.Duration) {
	until := w.now + d
	for len(w.agenda.events) > 0 && w.agenda.events[0].at <= until && !w.stopped {
		e := w.agenda.pop()
		w.now = e.at
		w.events++
		e.h.fire(w)
		if w.watch != nil {
			w.watch.After(w)
		}
	}
	if !w.stopped {
		w.now = until
	}
}

// Stop ends Run after the present event.
func (w *World) Stop() { w.stopped = true }

// line is a queue of what happens a fixed delay after it was planned. Only its
// head is in the agenda, which keeps the agenda small when there are tens of
// thousands of attempt timeouts.
type line struct {
	delay time.Duration
	items []lineItem
	head  int
	due   bool // the head is in the agenda
}

// lineItem is something that happens to an attempt unless the call has moved on.
type lineItem struct {
	at   time.Duration
	n    uint64
	call *call
	gen  uint32
	o    Outcome
}

func (l *line) add(w *World, c *call, o Outcome) {
	w.planned++
	l.items = append(l.items, lineItem{w.now + l.delay, w.planned, c, c.gen, o})
	if !l.due {
		l.plan(w)
	}
}

// plan puts the head into the agenda, passing over what has no effect any more.
func (l *line) plan(w *World) {
	for l.head < len(l.items) && l.items[l.head].call.gen != l.items[l.head].gen {
		l.drop()
	}
	if l.due = l.head < len(l.items); l.due {
		it := &l.items[l.head]
		w.agenda.push(event{max(it.at, w.now), it.n, l})
	}
}

func (l *line) drop() {
	l.items[l.head].call = nil
	if l.head++; l.head == len(l.items) || l.head >= 4096 && 2*l.head >= len(l.items) {
		l.items = l.items[:copy(l.items, l.items[l.head:])]
		l.head = 0
	}
}

func (l *line) fire(w *World) {
	it := l.items[l.head]
	l.drop()
	if it.call.gen == it.gen {
		it.call.ended(w, it.o)
	}
	l.plan(w)
}
