package retry

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/frugal"
	"github.com/murmuration-go/murmuration/internal/ledger"
)

// Cluster is the coordination that a budget may take part in; *gossip.Cluster
// implements it. Nil, or a nil pointer, means local only.
type Cluster = coord.Cluster

// BudgetConfig configures a Budget. Where a field has a default, zero means the
// default and a negative number means none.
type BudgetConfig struct {
	// Service is the upstream that the budget is for. All budgets of one
	// process for the same service and cluster are one, with the
	// configuration of the first. Needed only with a Cluster; at most 64
	// bytes.
	Service string

	// Cluster is the cluster whose advice the budget follows: it is emptied
	// when the service is in trouble. Its members lend each other tokens.
	Cluster Cluster

	// Ratio is how many retries each first try earns. Default 0.1.
	Ratio float64

	// Burst is the most tokens the budget holds, and what it starts with.
	// Negative means that it starts empty and holds one at most.
	// The default without a Cluster is 10, starting full, for a lone client
	// must be able to retry its first calls. With a Cluster it is as many as
	// there are first tries in a second, within [1, 2], starting with 1:
	// bursts add up over the members.
	Burst float64

	// Stipend is how many tokens per second the whole cluster mints for
	// services so quiet that the ratio earns nothing. Each member mints its
	// share of it. Default 10 per second.
	//
	// With MaxMembers set the share is Stipend / MaxMembers, and the bound is
	// hard in any partition (strict mode). Without, it is Stipend over the
	// largest membership of the last 10 minutes, at most half of the member's
	// own rate of first tries, and nothing in a member's first 5 seconds: then
	// each side of a partition that lasts longer than 10 minutes mints Stipend
	// (elastic mode). A member that lost all others keeps its last share, and
	// without a Cluster there is a stipend only if MaxMembers is set.
	Stipend float64

	// MaxMembers is the largest number of members the cluster can have, 0
	// if unknown. Setting it keeps the stipend's bound in any partition.
	MaxMembers int

	// Hooks are told what becomes of tokens.
	Hooks BudgetHooks
}

// Validate reports every fault of the configuration at once, as errors joined
// together, each a *ConfigError.
func (c BudgetConfig) Validate() error {
	var faults []error
	bad := func(field, format string, args ...any) {
		faults = append(faults, &ConfigError{Field: "BudgetConfig." + field, Problem: fmt.Sprintf(format, args...)})
	}
	if coord.Present(c.Cluster) || c.Service != "" {
		if err := coord.CheckName(c.Service); err != nil {
			bad("Service", "%v (a budget in a cluster needs the name of its upstream)", err)
		}
	}
	for _, f := range []struct {
		name string
		v    float64
		most float64
	}{{"Ratio", c.Ratio, 10}, {"Burst", c.Burst, 1e6}, {"Stipend", c.Stipend, 1e6}} {
		if math.IsNaN(f.v) || f.v > f.most {
			bad(f.name, "is %v; it must be a number up to %v", f.v, f.most)
		}
	}
	if c.MaxMembers < 0 {
		bad("MaxMembers", "is %d; it cannot be negative (0 means unknown)", c.MaxMembers)
	}
	return errors.Join(faults...)
}

// Budget bounds the retries of one service: first tries earn them, retries
// spend them. It has no floor, since floors add up over the members of a fleet.
// It is safe for concurrent use, and a nil *Budget never refuses.
//
// It is a bucket of tokens, each the right to send one retry, with a twist. A
// bucket with less than one token lets a retry through with a probability equal
// to what it holds, and then goes into debt, by one token at most, which is
// repaid first. So a quiet client can retry now and then, and still, over any
// span of time, retries <= Ratio * first tries + stipend + Burst + 1. A retry of a
// call that is itself part of a retry further up (see WithPrevious) costs two.
//
// In a cluster a member whose bucket is short of a call's first retry asks two
// others for a loan while the wait before the retry runs, and decides when that is
// over: with what has come, or else by chance as above. Each of those asked may lend half of what it
// has, at most one token. Tokens are moved and never copied: a lender is debited
// before the loan is sent, the borrower credited once, and what is lost on the
// way is lost. So over all members, whoever retries and however the network
// fails,
//
//	retries <= Ratio * first tries + Stipend * time + members * (Burst + 1)
//
// in any window of time, of members that follow the protocol. One that promises
// what it has not adds a token a loan, two a retry that asked. Nobody asks or
// lends while a verdict on the service is in force, nor where fewer than two
// stewards are heard.
type Budget struct {
	service string
	shared  *coord.Service
	account *ledger.Account
	latency frugal.Median
	hooks   BudgetHooks
	tail    Tail // only of calls that may be hedged
}

type budgetKey struct{}

// NewBudget returns a budget, which in a cluster is the one that the service
// already has, if it has one. It panics on a BudgetConfig that Validate refuses.
func NewBudget(c BudgetConfig) *Budget {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	made := false
	shared := coord.Resolve(c.Cluster, c.Service)
	create := func() any {
		made = true
		return newBudget(c, shared)
	}
	var b *Budget
	if shared == nil {
		b = create().(*Budget)
	} else {
		b = shared.Attach(budgetKey{}, create).(*Budget)
	}
	if f := c.Hooks.Made; f != nil && made {
		f(c.Service, b)
	}
	return b
}

func newBudget(c BudgetConfig, shared *coord.Service) *Budget {
	rules := ledger.Rules{Ratio: c.Ratio, Burst: c.Burst, Stipend: c.Stipend, MaxMembers: c.MaxMembers}
	b := &Budget{service: c.Service, shared: shared, account: ledger.NewAccount(coord.Now(), rules, shared), hooks: c.Hooks}
	if burned := c.Hooks.Burned; burned != nil {
		b.account.Burned = func(t ledger.Tokens) { burned(c.Service, t.Float()) }
	}
	shared.SetPurse(purse{b})
	shared.TellBudget(b.Stats)
	return b
}

func (b *Budget) firstTry(mode Mode) {
	if b != nil && !b.account.Earn(mode) {
		b.account.FirstTry(coord.Now(), mode)
	}
}

// take pays for a retry before its wait, settle after it.
func (b *Budget) take(w ledger.Want) (ledger.Token, ledger.Answer) {
	if b == nil {
		return ledger.Token{}, ledger.Yes
	}
	return b.account.Take(coord.Now(), w, rand.Float64())
}

func (b *Budget) settle(w ledger.Want) (ledger.Token, ledger.Answer) {
	return b.account.Settle(coord.Now(), w, rand.Float64())
}

func (b *Budget) giveBack(t ledger.Token) {
	if b != nil {
		b.account.GiveBack(t)
	}
}

// mode is what the cluster says of retries to the service as a whole.
func (b *Budget) mode() Mode {
	if b == nil {
		return ModeAll
	}
	return b.shared.Mode()
}

// Tokens is what the budget holds: at most its burst, and as little as -1, a
// debt.
func (b *Budget) Tokens() float64 {
	if b == nil {
		return math.Inf(1)
	}
	return b.account.Tokens(coord.Now())
}

// Service is the name that the budget was made with.
func (b *Budget) Service() string {
	if b == nil {
		return ""
	}
	return b.service
}

// Latency is the observed median latency of the successful attempts of Do and
// Value with this budget, 0 while unknown.
func (b *Budget) Latency() time.Duration {
	if b == nil {
		return 0
	}
	return b.latency.Value()
}

func (b *Budget) observe(latency time.Duration) {
	if b != nil {
		b.latency.Add(latency)
	}
}

// slow is the tail of the first attempts of Do and Value that may be hedged.
func (b *Budget) slow() *Tail {
	if b == nil {
		return nil
	}
	return &b.tail
}
