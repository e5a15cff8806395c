// Package frugal estimates the median of a stream with one word of memory.
package frugal

import (
	"sync/atomic"
	"time"
)

// Median is an estimate of the median of the durations added to it: each moves
// the estimate a step towards itself (Ma, Muthukrishnan and Sandler, "Frugal
// streaming for estimating quantiles", 2013; here with multiplicative steps,
// since latencies spread over orders of magnitude). The zero Median is ready,
// and safe for concurrent use.
type Median struct {
	estimate atomic.Int64 // nanoseconds, 0 none
	samples  atomic.Uint32
}

const settled = 64 // samples after which steps are small

// Warm reports whether enough was seen that a sample now and then will do.
func (m *Median) Warm() bool { return m.samples.Load() >= settled }

// Add moves the estimate towards d. Of concurrent samples some may be lost.
func (m *Median) Add(d time.Duration) {
	d = max(d, 1)
	have := m.estimate.Load()
	if have == 0 {
		m.estimate.CompareAndSwap(0, int64(d))
		return
	}
	step := int64(64)
	if !m.Warm() {
		m.samples.Add(1)
		step = 8
	}
	next := have
	switch {
	case int64(d) > have:
		next = min(have+have/step+1, int64(d))
	case int64(d) < have:
		next = max(have-have/step-1, int64(d))
	}
	m.estimate.CompareAndSwap(have, next)
}

// Value is the estimate, 0 before the first sample.
func (m *Median) Value() time.Duration { return time.Duration(m.estimate.Load()) }
