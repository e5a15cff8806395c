package standin

import (
	"fmt"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// twins are an original and its stand-in on their way through one trace.
type twins struct {
	original original
	machine  machine
	standIn  *Breaker // inside machine
	jitter   jitter
	cluster  *cluster      // nil: alone
	advice   *coord.Advice // nil: alone
	began    time.Time
	born     time.Duration
	told     uint64 // the life whose open time has been read
	flying   []flight
}

// flight is an attempt that both let go and that has not ended.
type flight struct {
	end    func(result)
	ticket Ticket
}

func (w *twins) now() time.Duration { return w.born + time.Since(w.began) }

func (w *twins) run(tr trace) error {
	defer func() { // after a difference, nobody may be left waiting
		for _, f := range w.flying {
			f.end(success)
		}
	}()
	for i, s := range tr.Steps {
		err := w.step(s)
		if err == nil && tr.Watched {
			err = w.look()
		}
		if err != nil {
			return fmt.Errorf("step %d, %v: %w", i, s, err)
		}
	}
	for len(w.flying) > 0 {
		if err := w.land(0, failure); err != nil {
			return fmt.Errorf("at the end: %w", err)
		}
	}
	return w.look()
}

func (w *twins) step(s step) error {
	switch s.Do {
	case call:
		for range s.Times {
			got := w.original.call(s)
			ticket, err := w.ask(got)
			if err == nil && got == went {
				err = w.done(ticket, s.Result)
			}
			if err != nil {
				return err
			}
		}
	case begin:
		got, end := w.original.begin(s)
		ticket, err := w.ask(got)
		if got == went {
			w.flying = append(w.flying, flight{end, ticket})
		}
		return err
	case land:
		if n := len(w.flying); n > 0 {
			return w.land(s.Which%n, s.Result)
		}
	case wait:
		return w.sleep(s.Wait)
	case edge:
		return w.sleep(w.due(s.Which) + s.Wait - w.now())
	case publish:
		w.publish(s.Advice, s.Back)
	case look:
		return w.look()
	}
	return nil
}

// ask asks the stand-in what the original has answered. What advice refuses
// does not come before a local machine.
func (w *twins) ask(got answer) (Ticket, error) {
	if got == dimmed {
		if w.advice == nil || !w.advice.InForce() {
			return Ticket{}, fmt.Errorf("the original was dimmed by advice that is not in force")
		}
		return Ticket{}, nil
	}
	ticket, ok := w.machine.Allow(w.now(), w.advice)
	if ok != (got == went) {
		return ticket, fmt.Errorf("the original's answer: %v; the stand-in lets it go: %v", got, ok)
	}
	return ticket, nil
}

func (w *twins) land(i int, r result) error {
	f := w.flying[i]
	w.flying = append(w.flying[:i:i], w.flying[i+1:]...)
	f.end(r)
	return w.done(f.ticket, r)
}

// done ends an attempt on the stand-in. If that opens it, the original's open
// time is read.
func (w *twins) done(ticket Ticket, r result) error {
	w.machine.Done(w.now(), ticket, r.Outcome, w.advice)
	b := w.standIn
	if w.jitter != jitterRead || b.state != Open || b.since != w.now() {
		return nil
	}
	openFor, shortest := w.read(), b.config.OpenTimeout
	if openFor < shortest || openFor > shortest+shortest/10 || b.openFor < shortest || b.openFor > shortest+shortest/10 {
		return fmt.Errorf("open for %v, the stand-in for %v; want %v or up to a tenth more", openFor, b.openFor, shortest)
	}
	if w.told == b.born && b.openFor != openFor {
		return fmt.Errorf("open for %v, then for %v in the same life", b.openFor, openFor)
	}
	w.told, b.openFor = b.born, openFor
	return nil
}

// read asks the original for its open time, for the moment under advice that
// lets the local machine answer and leaves it as it is.
func (w *twins) read() time.Duration {
	if w.cluster != nil {
		was := *w.advice
		w.cluster.endpoint().Publish(coord.Advice{Phi: coord.PhiFull, Tag: was.Tag, Era: w.standIn.era})
		defer func() {
			w.cluster.endpoint().Publish(was)
			w.advice = w.cluster.endpoint().Advice()
		}()
	}
	return w.original.openFor()
}

// speaks reports whether State means the local machine for both: no advice is
// in force, and the stand-in has been told of the last that was.
func (w *twins) speaks() bool {
	return w.advice == nil || !w.advice.InForce() && w.advice.Era <= w.standIn.era
}

func (w *twins) look() error {
	if !w.speaks() {
		return nil
	}
	if ours, theirs := w.machine.State(w.now()), w.original.state(); ours != theirs {
		return fmt.Errorf("the original is %v, the stand-in %v", theirs, ours)
	}
	return nil
}

// publish does as a member's driver does: a new tag for each phi, a new era each
// time that advice ends. The era may also be one back, so that it need not have
// moved on when advice ends.
func (w *twins) publish(a coord.Advice, back bool) {
	a.Tag, a.Era = w.advice.Tag, w.advice.Era
	if a.Phi != w.advice.Phi {
		a.Tag++
	}
	if w.advice.InForce() && !a.InForce() {
		a.Era++
	}
	if back && a.Era > 0 {
		a.Era--
	}
	w.cluster.endpoint().Publish(a)
	w.advice = w.cluster.endpoint().Advice()
}

// due is when the stand-in does something next that hangs on the time.
func (w *twins) due(which int) time.Duration {
	b := w.standIn
	switch {
	case b.state == Open:
		return b.since + b.openFor
	case b.probing:
		return b.probeAt + max(b.openFor, stuckAfter)
	case b.bad && which == 0:
		return b.badSince + settle
	case b.state == Closed && len(w.flying) > 0 && which == 1: // too late to count
		return b.since + time.Duration(w.flying[0].ticket.age+b.window.n)*b.period
	}
	return b.since + (w.now() - b.since).Truncate(b.period) + b.period // a new bucket
}

func (w *twins) sleep(d time.Duration) error {
	b, until := w.standIn, w.now()+d
	switch {
	case d <= 0:
		return nil
	case w.jitter == jitterSkipped && b.state == Open:
		first := b.since + b.config.OpenTimeout
		if last := first + b.config.OpenTimeout/10; until > first && until <= last {
			until = last + 1
		}
	case w.jitter == jitterNone && b.probing && until > w.due(0):
		for i, f := range w.flying {
			if f.ticket.generation == b.generation {
				if err := w.land(i, success); err != nil {
					return err
				}
				break
			}
		}
	}
	time.Sleep(until - w.now())
	return nil
}
