package ledger

import "time"

// Backoff shapes the waits before retries: exponential, capped, with full jitter
// (Brooker, "Exponential backoff and jitter", 2015). It is pure; the randomness
// is handed in.
type Backoff struct {
	// Base is the longest wait before the first retry, doubled for each
	// further one. Default 10 ms; negative means no waits at all.
	Base time.Duration
	// Max is the longest wait of all. Default 2 s.
	Max time.Duration
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
	base = max(base, typical)
	for ; n > 1 && base < top; n-- {
		base += min(base, top-base) // doubled, without overflow
	}
	return min(base, top)
}

// Wait returns the wait itself: with u uniform in [0, 1), it is uniform within
// [0, Longest].
func (b Backoff) Wait(n int, typical time.Duration, u float64) time.Duration {
	longest := b.Longest(n, typical)
	return min(time.Duration(u*(float64(longest)+1)), longest)
}

// WaitForLoan returns the wait of a retry that hopes for a loan: uniform within
// the upper three quarters, [Longest/4, Longest], for a loan takes about as long
// to come as an answer does.
func (b Backoff) WaitForLoan(n int, typical time.Duration, u float64) time.Duration {
	longest := b.Longest(n, typical)
	return longest/4 + min(time.Duration(u*(.75*float64(longest)+1)), longest-longest/4)
}
