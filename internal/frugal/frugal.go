// Package frugal estimates quantiles of a stream with one word of memory.
package frugal

import (
	"sync/atomic"
	"time"
)

// quantile is an estimate of a quantile of the durations added to it: each moves
// the estimate a step towards itself (Ma, Muthukrishnan and Sandler, "Frugal
// streaming for estimating quantiles", 2013; here with multiplicative steps,
// since latencies spread over orders of magnitude). Steps up and down are in the
// ratio q to 1-q, so that they cancel out where a share of q lies below. The zero
// quantile is ready, and safe for concurrent use.
type quantile struct {
	estimate atomic.Int64 // nanoseconds, 0 none
	samples  atomic.Uint32
}

// pace is the size of steps, as what the estimate is divided by.
type pace struct{ up, down int64 }

const settled = 64 // samples after which steps are small

// Warm reports whether enough was seen to rely on the estimate, and for a sample
// now and then to do.
func (q *quantile) Warm() bool { return q.samples.Load() >= settled }

// add moves the estimate towards d. Of concurrent samples some may be lost.
func (q *quantile) add(d time.Duration, early, late pace) {
	d = max(d, 1)
	have := q.estimate.Load()
	if have == 0 {
		q.estimate.CompareAndSwap(0, int64(d))
		return
	}
	step := late
	if !q.Warm() {
		q.samples.Add(1)
		step = early
	}
	next := have
	switch {
	case int64(d) > have:
		next = min(have+have/step.up+1, int64(d))
	case int64(d) < have:
		next = max(have-have/step.down-1, int64(d))
	}
	q.estimate.CompareAndSwap(have, next)
}

// Value is the estimate, 0 before the first sample.
func (q *quantile) Value() time.Duration { return time.Duration(q.estimate.Load()) }

// Median estimates the median.
type Median struct{ quantile }

// Add moves the estimate towards d.
func (m *Median) Add(d time.Duration) { m.add(d, pace{8, 8}, pace{64, 64}) }

// P95 estimates the 95th percentile. A sample that is known to be at least d, and
// no less than the estimate, may be added as d.
type P95 struct{ quantile }

// Add moves the estimate towards d.
func (p *P95) Add(d time.Duration) { p.add(d, pace{4, 4 * 19}, pace{32, 32 * 19}) }
