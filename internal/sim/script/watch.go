package script

import (
	"github.com/murmuration-go/murmuration/internal/sim"
	"github.com/murmuration-go/murmuration/internal/sim/guarantee"
)

// watch is the checker of guarantees, told when the endpoint is down as G5 means
// it: nobody gets an answer, and that costs time. Where some get an error at
// once, it is not: those who are refused need no dimmer.
type watch struct {
	*guarantee.Checker
	r *run

	stalled bool
	down    bool
	refuses bool // during this stall the queue has become full
}

// settle looks whether the endpoint is down now.
func (x *watch) settle(r *run) {
	silent, errs := x.stalled, false
	for _, e := range r.effects {
		silent = silent || e.fate == sim.Swallowed && e.share >= 1 && e.on == nil
		errs = errs || (e.fate == sim.Rejected || e.fate == sim.Cut) && e.share > 0
	}
	if !x.stalled {
		x.refuses = false
	}
	if down := silent && !errs && !x.refuses; down != x.down {
		x.down = down
		x.Down(r.w, 0, 0, down)
	}
}

// Sent notices a queue that is full.
func (x *watch) Sent(w *sim.World, m *sim.Member, service int, a *sim.Attempt) {
	if s := w.Service(service).Servers[a.Endpoint]; x.stalled && !x.refuses && a.Endpoint == 0 && !s.Drops && s.Waiting() >= s.Queue {
		x.refuses = true
		x.settle(x.r)
	}
	if !x.r.garbled || x.r.liar == nil {
		x.Checker.Sent(w, m, service, a) // G5, and nothing else
	}
}
