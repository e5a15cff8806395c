package node

import (
	"math"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// evidence is what the verdict that decides rests on. A steward that has just taken a
// decision over from others has seen nothing yet: it rests on what those have seen, or
// on what the advice rested on before.
func (v *view) evidence(by *held, fresh []held) coord.Evidence {
	r := &by.row
	e := coord.Evidence{
		Steward: by.origin.Member, State: r.State.String(), Reporters: int(min(r.Reporters, math.MaxInt32)),
		Failures: r.Failures, Outcomes: r.Outcomes, Window: r.Window,
		Latency: r.Latency, Baseline: r.L0, Demand: float64(r.Demand) / 1000,
	}
	if e.Outcomes > 0 {
		return e
	}
	var from time.Duration
	if was := &v.advice; was.Source == coord.SourceCluster {
		e.Failures, e.Outcomes, e.Latency, from = was.Evidence.Failures, was.Evidence.Outcomes, was.Evidence.Latency, was.AsOf-was.Evidence.Window
	}
	var newest *held
	for i := range fresh {
		if h := &fresh[i]; h.row.Outcomes > 0 && (newest == nil || h.asOf > newest.asOf) {
			newest = h
		}
	}
	if newest != nil {
		e.Failures, e.Outcomes, e.Latency, from = newest.row.Failures, newest.row.Outcomes, newest.row.Latency, newest.asOf-newest.row.Window
	}
	if e.Outcomes > 0 {
		e.Window = max(by.asOf-from, r.Window)
	}
	return e
}
