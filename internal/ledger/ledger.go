// Package ledger decides whether a retry may be sent, and when. It is pure: time
// and randomness are handed in, so that a simulator drives what is shipped.
//
// A Ledger is a bucket of tokens, each the right to send one retry; an Account is
// a Ledger kept by rules and by a cluster's advice; Backoff is the wait.
//
// First tries earn a fraction of a token each; retries spend a whole one. A
// bucket with less than one token lets a retry through with a probability equal
// to its balance and then goes into debt, which is repaid first. So a quiet
// member can retry now and then, and the bound stays hard: over any span of
// time,
//
//	retries <= ratio * first tries + stipend minted + cap + 1
//
// the 1 being the largest debt.
package ledger

import (
	"math"
	"sync/atomic"
	"time"
)

// Tokens is a number of tokens with a binary point.
type Tokens int64

// One is one token.
const One Tokens = 1 << 20

// Of rounds a number of tokens.
func Of(tokens float64) Tokens { return Tokens(math.Round(tokens * float64(One))) }

// Float returns the number of tokens.
func (t Tokens) Float() float64 { return float64(t) / float64(One) }

// Ledger is one bucket. It is safe for concurrent use and takes no lock; earning
// into a full bucket costs one read.
type Ledger struct {
	balance atomic.Int64 // Tokens
	minted  atomic.Int64 // stipend up to this reading of the clock
	burns   atomic.Uint64
	spent   atomic.Uint64
}

// New returns a ledger with a balance.
func New(now time.Duration, balance Tokens) *Ledger {
	l := &Ledger{}
	l.balance.Store(int64(balance))
	l.minted.Store(int64(now))
	return l
}

// Earn adds tokens, up to a balance of limit; a balance above it is cut.
func (l *Ledger) Earn(tokens, limit Tokens) {
	for {
		have := l.balance.Load()
		want := min(have+int64(tokens), int64(limit))
		if have == want || l.balance.CompareAndSwap(have, want) {
			return
		}
	}
}

// Mint adds the stipend of rate tokens per second for the time since the last
// Mint, up to a balance of limit. A rate of zero only moves the clock on.
//
// Amounts are rounded down, since the stipend is a bound; a span too short to
// mint anything is left for the next Mint.
func (l *Ledger) Mint(now time.Duration, rate float64, limit Tokens) {
	since := l.minted.Load()
	if int64(now) <= since {
		return
	}
	var add Tokens
	if rate > 0 {
		add = Tokens(min(rate*(now-time.Duration(since)).Seconds(), limit.Float()+1) * float64(One))
		if add == 0 {
			return
		}
	}
	if !l.minted.CompareAndSwap(since, int64(now)) {
		return // somebody else is minting for this span
	}
	if add > 0 {
		l.Earn(add, limit)
	}
}

// Take spends a token if there is one; with less, it does so with a probability
// equal to the balance, coin being uniform in [0, 1), and goes into debt. A coin
// that does not fall changes nothing.
func (l *Ledger) Take(coin float64) bool {
	for {
		have := l.balance.Load()
		if have < int64(One) && (have <= 0 || coin*float64(One) >= float64(have)) {
			return false
		}
		if l.balance.CompareAndSwap(have, have-int64(One)) {
			l.spent.Add(1)
			return true
		}
	}
}

// GiveBack returns a token whose retry was never sent. If the bucket was
// emptied in the meantime the token is lost with the rest.
func (l *Ledger) GiveBack(burns uint64, limit Tokens) {
	if l.burns.Load() != burns {
		return
	}
	l.spent.Add(^uint64(0))
	l.Earn(One, limit)
}

// Burn empties the bucket when burns, a counter of the occasions to do so, has
// moved on since the last call, and reports whether it had. Debt stays.
func (l *Ledger) Burn(burns uint64) bool {
	was := l.burns.Load()
	if burns <= was || !l.burns.CompareAndSwap(was, burns) {
		return false
	}
	for {
		have := l.balance.Load()
		if have <= 0 || l.balance.CompareAndSwap(have, 0) {
			return true
		}
	}
}

// Burns is the counter that Burn last acted on.
func (l *Ledger) Burns() uint64 { return l.burns.Load() }

// Balance is what the bucket holds, within [-1, limit].
func (l *Ledger) Balance() Tokens { return Tokens(l.balance.Load()) }

// Spent counts the tokens spent and not given back.
func (l *Ledger) Spent() uint64 { return l.spent.Load() }
