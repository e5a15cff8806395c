package ledger

import (
	"math"
	"time"
)

// Backoff shapes the waits before retries: exponential, capped, with full jitter
// (Brooker, "Exponential backoff and jitter", 2015). It is pure; the randomness
// is handed in.
type Backoff struct {
	// Base is the longest wait before the first retry, doubled for each
	// further one. Default 10 ms; negative means no waits at all.
	Base time.Duration
	// Max is the longest wait of all. Default 2 s.
	Max time.Duration
	// Failing is how many members are failing, 0 if unknown. From two on the
	// base grows with their number; see spread.
	Failing int
}

// Defaults of Backoff.
const (
	defaultBase = 10 * time.Millisecond
	defaultMax  = 2 * time.Second
)

// Longest returns the longest wait before the n-th retry (from 1) of an endpoint
// that typically answers within typical, which is the least base; 0 if unknown.
func (b Backoff) Longest(n int, typical time.Duration) time.Duration {
	base, top := b.Base, b.Max
	switch {
	case base < 0:
		return 0
	case base == 0:
		base = defaultBase
	}
	if top <= 0 {
		top = defaultMax
	}
	base = b.spread(max(base, typical), top)
	for ; n > 1 && base < top; n-- {
		base += min(base, top-base) // doubled, without overflow
	}
	return min(base, top)
}

// spread makes a base longer the more members are failing, up to top: 1 + log2 of
// their number times as long. Retries that come all at once would be spread evenly
// by a factor as large as the number, but then a fleet of a thousand would wait for
// seconds where one client waits for ten milliseconds; and how many retries there
// are is not the backoff's to bound but the budget's. In the simulator neither that
// nor the root of the number was any better.
func (b Backoff) spread(base, top time.Duration) time.Duration {
	if b.Failing < 2 {
		return base
	}
	factor := 1 + math.Log2(float64(b.Failing))
	if float64(base) >= float64(top)/factor {
		return max(base, top)
	}
	return time.Duration(float64(base) * factor)
}

// WaitForLoan returns the wait of a retry that hopes for a loan: uniform within
// the upper three quarters, [Longest/4, Longest], for a loan takes about as long
// to come as an answer does.
func (b Backoff) WaitForLoan(n int, typical time.Duration, u float64) time.Duration {
	longest := b.Longest(n, typical)
	return longest/4 + min(time.Duration(u*(.75*float64(longest)+1)), longest-longest/4)
}
