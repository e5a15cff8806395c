package ledger

import (
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
	a.ledger.Earn(a.ratio, a.limit())
	return true
}

// Token is a token taken, to be given back if its retry is never sent. The zero
// Token stands for a retry that cost nothing.
type Token struct {
	burns uint64 // of the ledger when it was taken
	taken bool
}

// Take spends a token on a retry in mode, or reports false. coin is uniform in
// [0, 1) and decides where there is less than one token (see Ledger.Take).
func (a *Account) Take(now time.Duration, mode coord.Mode, coin float64) (Token, bool) {
	a.follow(now, mode)
	if mode == coord.RetryNone {
		return Token{}, false
	}
	a.ledger.Mint(now, a.rate(now, mode), a.limit())
	t := Token{burns: a.ledger.Burns(), taken: true}
	if !a.ledger.Take(coin) {
		return Token{}, false
	}
	return t, true
}

// GiveBack returns a token whose retry was never sent; it must be called at most
// once a token.
func (a *Account) GiveBack(t Token) {
	if t.taken {
		a.ledger.GiveBack(t.burns, a.limit())
	}
}

// Tokens is what the account holds, less the stipend since the last Take: at
// most the burst, and as little as -1, a debt.
func (a *Account) Tokens(now time.Duration) float64 {
	a.follow(now, coord.RetryAll)
	return a.ledger.Balance().Float()
}

// Spent counts the tokens spent and not given back.
func (a *Account) Spent() uint64 { return a.ledger.Spent() }

// follow empties the ledger when advice has asked for it. What the stipend would
// mint for the time before goes too, and for all of the time without retries.
func (a *Account) follow(now time.Duration, mode coord.Mode) {
	if a.ledger.Burn(a.shared.Burns()) || mode == coord.RetryNone {
		a.ledger.Mint(now, 0, a.limit())
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
