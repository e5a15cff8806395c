package ledger

import (
	"sync/atomic"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// Rules say what an Account earns and holds. In each float, zero means the
// default and a negative number means none.
type Rules struct {
	// Ratio is how many tokens a first try earns. Default 0.1.
	Ratio float64

	// Burst is the most tokens the account holds, and what it starts with;
	// none means that it starts empty and holds one at most. The default
	// without a cluster is 10. With one it is as many as there are first
	// tries in a second, within [1, 2], and the account starts with 1:
	// bursts add up over the members.
	Burst float64

	// Stipend is how many tokens per second the whole cluster mints; each
	// member mints its share (see Account). Default 10.
	Stipend float64

	// MaxMembers is the largest number of members the cluster can have, 0
	// if unknown.
	MaxMembers int
}

// Defaults of Rules.
const (
	defaultRatio   = .1
	defaultBurst   = 10
	defaultStipend = 10
)

// Account is a Ledger kept by Rules and by the advice of a cluster, if there is
// one. It makes every decision of a retry budget and, like the Ledger, it is
// pure: the clock, the coins and the mode of retries are handed in, and advice is
// read, never waited for. It is safe for concurrent use.
//
// Its share of the stipend is Stipend / MaxMembers if that is set, a hard bound
// in any partition. Else it is Stipend over the largest membership lately seen,
// and at most half of the member's own rate of first tries; then a member that
// lost the others keeps its last share, and one that never had company mints
// nothing.
type Account struct {
	ledger  *Ledger
	shared  *coord.Service // nil: no cluster
	ratio   Tokens
	burst   Tokens // 0: as the traffic; negative: one token, and none to start with
	stipend float64
	max     int

	asked, short atomic.Uint64

	// Burned, if set before the account is used, is called with what a
	// verdict has burned, by whoever finds out first.
	Burned func(Tokens)
}

// NewAccount opens an account. With a nil service there is no cluster: nobody
// empties the account, and there is no stipend unless MaxMembers is set.
func NewAccount(now time.Duration, r Rules, shared *coord.Service) *Account {
	a := &Account{
		shared:  shared,
		ratio:   Of(orDefault(r.Ratio, defaultRatio)),
		stipend: orDefault(r.Stipend, defaultStipend),
		max:     r.MaxMembers,
	}
	start := One
	switch {
	case r.Burst > 0:
		a.burst = max(Of(r.Burst), 1)
		start = a.burst
	case r.Burst < 0:
		a.burst, start = -1, 0
	case shared == nil:
		a.burst = Of(defaultBurst)
		start = a.burst
	}
	a.ledger = New(now, start)
	a.ledger.burns.Store(shared.Burns()) // what was before is not this account's business
	return a
}

// orDefault reads a float of Rules.
func orDefault(v, def float64) float64 {
	if v == 0 {
		return def
	}
	return max(v, 0)
}

// FirstTry earns for a first try that is sent while retries to its endpoint are
// in mode. In RetryNone nothing is earned: tokens saved up meanwhile and released
// together would make the trouble anew.
func (a *Account) FirstTry(now time.Duration, mode coord.Mode) {
	if a.Earn(mode) {
		return
	}
	a.follow(now, mode)
	if mode != coord.RetryNone {
		a.ledger.Earn(a.ratio, a.limit())
	}
}

// Earn is the part of FirstTry that needs no clock, whose reading would be a
// tenth of the price of a healthy call. If advice must be followed first it does
// nothing and reports false, and only FirstTry will do.
func (a *Account) Earn(mode coord.Mode) bool {
	if mode == coord.RetryNone || a.shared.Burns() != a.ledger.Burns() {
		return false
	}
	if limit := a.limit(); !a.ledger.holds(limit) {
		a.ledger.Earn(a.ratio, limit)
	}
	return true
}

// Want is a retry that is to be paid for.
type Want struct {
	Mode coord.Mode // which retries may go where it is to go
	// Double says that the call is itself part of a retry further up, and so
	// costs twice as much: one tier is to retry, not each of them.
	Double bool
	// Now says that nobody is to be asked for a loan: there is no wait in
	// which it could come, or it is a call's second retry or a later one. What
	// is scarce goes to calls that have had none. At the onset of an outage,
	// when nobody knows yet, that is half of the peak that loans make.
	Now bool
}

func (w Want) price() Tokens {
	if w.Double {
		return 2 * One
	}
	return One
}

// Answer is what becomes of a Want.
type Answer uint8

// The answers.
const (
	No    Answer = iota
	Yes          // it is paid for
	Later        // others have been asked for a loan: wait as for a retry, then Settle
)

// Token is the price of a retry, to be given back if that is never sent. The zero
// Token stands for a retry that cost nothing.
type Token struct {
	burns  uint64 // of the ledger when it was taken
	price  Tokens
	source Source
}

// Source is where a token was taken from.
func (t Token) Source() Source { return t.source }

// Source is where what a retry costs was taken from.
type Source uint8

// The sources of a token.
const (
	Free    Source = iota // it cost nothing
	Held                  // the account had it in full
	Awaited               // it came while the retry waited: as a loan, or earned meanwhile
	Debt                  // the account had a part of it, and owes the rest
)

// Take pays for a retry, before the wait that precedes it. What the account holds
// in full is spent at once. With less, and where there are others who may lend,
// they are asked, and it is decided after the wait; without, coin decides, which
// is uniform in [0, 1) (see Ledger.Take).
func (a *Account) Take(now time.Duration, w Want, coin float64) (Token, Answer) {
	if !a.ready(now, w) {
		return Token{}, No
	}
	t := Token{burns: a.ledger.Burns(), price: w.price(), source: Held}
	switch {
	case a.ledger.Take(t.price, 1): // a coin that never falls
		return t, Yes
	case w.Mode == coord.RetryAll && !w.Now && a.shared.AskLoan():
		a.asked.Add(1)
		return Token{}, Later
	}
	return a.settle(t, coin)
}

// Settle pays, after the wait, for a retry that Take had left open.
func (a *Account) Settle(now time.Duration, w Want, coin float64) (Token, Answer) {
	if !a.ready(now, w) {
		return Token{}, No
	}
	t := Token{burns: a.ledger.Burns(), price: w.price(), source: Awaited}
	if a.ledger.Take(t.price, 1) {
		return t, Yes
	}
	a.short.Add(1)
	return a.settle(t, coin)
}

// ready brings the account up to date, and reports whether there are retries at
// all.
func (a *Account) ready(now time.Duration, w Want) bool {
	a.follow(now, w.Mode)
	if w.Mode == coord.RetryNone {
		return false
	}
	a.ledger.Mint(now, a.rate(now, w.Mode), a.limit())
	return true
}

func (a *Account) settle(t Token, coin float64) (Token, Answer) {
	if !a.ledger.Take(t.price, coin) {
		return Token{}, No
	}
	t.source = Debt
	return t, Yes
}

// GiveBack returns a token whose retry was never sent; it must be called at most
// once a token.
func (a *Account) GiveBack(t Token) {
	if t.price > 0 {
		a.ledger.GiveBack(t.price, t.burns, a.limit())
	}
}

// Lend takes what another member may have: half of what there is, at most one
// token. It is debited here before it is sent.
func (a *Account) Lend(now time.Duration) (micro int64) {
	a.follow(now, coord.RetryAll)
	a.ledger.Mint(now, a.rate(now, coord.RetryAll), a.limit())
	return int64(a.ledger.Lend())
}

// Borrow adds a loan that has come. What does not fit is lost.
func (a *Account) Borrow(now time.Duration, micro int64) {
	a.follow(now, coord.RetryAll)
	a.ledger.Borrow(Tokens(micro), a.limit())
}

// Tokens is what the account holds, less the stipend since the last Take: at
// most the burst, and as little as -1, a debt.
func (a *Account) Tokens(now time.Duration) float64 {
	a.follow(now, coord.RetryAll)
	return a.ledger.Balance().Float()
}

// Balance is what the account holds, as it stands.
func (a *Account) Balance() Tokens { return a.ledger.Balance() }

// Asked counts the retries for which others were asked for a loan, and of those
// that are settled the ones that were still short after their wait.
func (a *Account) Asked() (asked, short uint64) { return a.asked.Load(), a.short.Load() }

// Books say where every token came from and went.
func (a *Account) Books() Books { return a.ledger.Books() }

// follow empties the ledger when advice has asked for it. What the stipend would
// mint for the time before goes too, and for all of the time without retries.
func (a *Account) follow(now time.Duration, mode coord.Mode) {
	burned, ok := a.ledger.Burn(a.shared.Burns())
	if ok || mode == coord.RetryNone {
		a.ledger.Mint(now, 0, a.limit())
	}
	if burned > 0 && a.Burned != nil {
		a.Burned(burned)
	}
}

// limit is the most the ledger holds now.
func (a *Account) limit() Tokens {
	switch {
	case a.burst > 0:
		return a.burst
	case a.burst < 0:
		return One
	}
	return One * Tokens(min(max(a.shared.Load(), 1), 2))
}

// rate is this member's share of the stipend, in tokens per second.
func (a *Account) rate(now time.Duration, mode coord.Mode) float64 {
	if mode != coord.RetryAll {
		return 0
	}
	if a.max > 0 {
		return a.stipend / float64(a.max)
	}
	if a.shared == nil {
		return 0
	}
	width := a.shared.Width(now)
	if width == 0 {
		return 0
	}
	return min(a.stipend/float64(width), float64(a.shared.Load())/2)
}
