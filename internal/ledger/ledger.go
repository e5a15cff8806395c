// Package ledger decides whether a retry may be sent, and when. It is pure: time
// and randomness are handed in, so that a simulator drives what is shipped.
//
// A Ledger is a bucket of tokens, each the right to send one retry; an Account is
// a Ledger kept by rules and by a cluster's advice; Pause is the wait, and Backoff
// its shape.
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
//
// # Conservation
//
// Tokens are minted by first tries and by the stipend and by nothing else. They
// are spent, lent to another member, burned by a verdict, or cut where they do
// not fit; they are never copied. A lender's bucket is debited before the loan is
// sent, a borrower's is credited when it comes, once: what is lost on the way is
// lost. So over all members, lies apart, the same bound holds with one cap and
// one debt a member, whoever retries. Books says where every token went.
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

	start                                               Tokens
	earned, stipend, spent, lent, borrowed, burned, cut atomic.Int64 // Tokens
}

// New returns a ledger with a balance.
func New(now time.Duration, balance Tokens) *Ledger {
	l := &Ledger{start: balance}
	l.balance.Store(int64(balance))
	l.minted.Store(int64(now))
	return l
}

// Books say what became of all tokens of a ledger since it was opened:
//
//	balance = Start + Earned + Minted + Borrowed - Spent - Lent - Burned - Cut
//
// Read while others are at work, the sums are each right but need not fit
// together.
type Books struct {
	Start    Tokens
	Earned   Tokens // by first tries
	Minted   Tokens // of the stipend
	Borrowed Tokens // from other members
	Spent    Tokens // and not given back
	Lent     Tokens // to other members
	Burned   Tokens // by verdicts
	Cut      Tokens // borrowed or given back and did not fit, or lost when the limit fell
}

// Books returns the sums so far.
func (l *Ledger) Books() Books {
	return Books{
		Start: l.start, Earned: Tokens(l.earned.Load()), Minted: Tokens(l.stipend.Load()), Borrowed: Tokens(l.borrowed.Load()),
		Spent: Tokens(l.spent.Load()), Lent: Tokens(l.lent.Load()), Burned: Tokens(l.burned.Load()), Cut: Tokens(l.cut.Load()),
	}
}

// Balance is what the books say is left.
func (b *Books) Balance() Tokens {
	return b.Start + b.Earned + b.Minted + b.Borrowed - b.Spent - b.Lent - b.Burned - b.Cut
}

// add puts tokens into the bucket, up to a balance of limit, and returns how many
// went in. A balance above the limit is cut.
func (l *Ledger) add(tokens, limit Tokens) (in Tokens) {
	for {
		have := l.balance.Load()
		want := min(have+int64(tokens), int64(limit))
		if have == want || l.balance.CompareAndSwap(have, want) {
			if in = Tokens(want - have); in < 0 {
				l.cut.Add(int64(-in))
				in = 0
			}
			return in
		}
	}
}

// holds reports whether the balance is that, which for a full bucket spares a call.
func (l *Ledger) holds(tokens Tokens) bool { return l.balance.Load() == int64(tokens) }

// Earn adds what a first try has earned.
func (l *Ledger) Earn(tokens, limit Tokens) {
	if in := l.add(tokens, limit); in > 0 {
		l.earned.Add(int64(in))
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
		l.stipend.Add(int64(l.add(add, limit)))
	}
}

// Take spends price, one token or more, if the bucket holds it. With less, it does
// so with a probability of balance / price, coin being uniform in [0, 1), and goes
// into debt, but never by more than one token. A coin that does not fall changes
// nothing.
func (l *Ledger) Take(price Tokens, coin float64) bool {
	for {
		have := l.balance.Load()
		left := have - int64(price)
		if left < 0 && (have <= 0 || left < -int64(One) || coin*float64(price) >= float64(have)) {
			return false
		}
		if l.balance.CompareAndSwap(have, left) {
			l.spent.Add(int64(price))
			return true
		}
	}
}

// GiveBack returns what was taken for a retry that was never sent. If the bucket
// was emptied in the meantime it is lost with the rest.
func (l *Ledger) GiveBack(price Tokens, burns uint64, limit Tokens) {
	if l.burns.Load() != burns {
		return
	}
	l.spent.Add(-int64(price))
	l.cut.Add(int64(price - l.add(price, limit)))
}

// Lend takes half of what there is, at most one token, for another member, and
// returns how much that is.
func (l *Ledger) Lend() Tokens {
	for {
		have := l.balance.Load()
		loan := min(have/2, int64(One))
		if loan <= 0 {
			return 0
		}
		if l.balance.CompareAndSwap(have, have-loan) {
			l.lent.Add(loan)
			return Tokens(loan)
		}
	}
}

// Borrow adds what another member has lent.
func (l *Ledger) Borrow(tokens, limit Tokens) {
	tokens = min(max(tokens, 0), One)
	l.borrowed.Add(int64(tokens))
	l.cut.Add(int64(tokens - l.add(tokens, limit)))
}

// Burn empties the bucket when burns, a counter of the occasions to do so, has
// moved on since the last call, and reports whether it had. Debt stays.
func (l *Ledger) Burn(burns uint64) (burned Tokens, ok bool) {
	was := l.burns.Load()
	if burns <= was || !l.burns.CompareAndSwap(was, burns) {
		return 0, false
	}
	for {
		have := l.balance.Load()
		if have <= 0 {
			return 0, true
		}
		if l.balance.CompareAndSwap(have, 0) {
			l.burned.Add(have)
			return Tokens(have), true
		}
	}
}

// Burns is the counter that Burn last acted on.
func (l *Ledger) Burns() uint64 { return l.burns.Load() }

// Balance is what the bucket holds, within [-1, limit].
func (l *Ledger) Balance() Tokens { return Tokens(l.balance.Load()) }
