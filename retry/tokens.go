package retry

import (
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/ledger"
)

// BudgetHooks are optional functions that are told what becomes of a budget's
// tokens; each but Made gets the service and how many they are. They should return
// soon, and must not call the Budget: those who move tokens wait for them.
type BudgetHooks struct {
	// Made is told of each budget that is made, before NewBudget returns it. It must
	// not keep the Budget alive, or groups that come and go would leave theirs.
	Made func(service string, b *Budget)
	// Lent and Borrowed are told of loans between members, on the goroutine
	// that does the coordination.
	Lent, Borrowed func(service string, tokens float64)
	// Burned is told what a verdict of the cluster has emptied the budget of,
	// on the goroutine of the first call or loan after it.
	Burned func(service string, tokens float64)
}

// purse is what other members may borrow from.
type purse struct{ *Budget }

func (p purse) Lend(now time.Duration) int64 {
	lent := p.account.Lend(now)
	if h := p.hooks.Lent; h != nil && lent > 0 {
		h(p.service, ledger.Tokens(lent).Float())
	}
	return lent
}

func (p purse) Borrow(now time.Duration, amount int64) {
	p.account.Borrow(now, amount)
	if h := p.hooks.Borrowed; h != nil {
		h(p.service, ledger.Tokens(amount).Float())
	}
}

var _ coord.Purse = purse{}

// BudgetStats says what became of all tokens of a budget since it was made:
//
//	Tokens = Start + Earned + Minted + Borrowed - Spent - Lent - Burned - Cut
type BudgetStats = coord.BudgetStats

// Stats returns the sums so far, all zero for a nil Budget.
func (b *Budget) Stats() BudgetStats {
	if b == nil {
		return BudgetStats{}
	}
	tokens := b.Tokens() // brings the budget up to date
	k := b.account.Books()
	asked, short := b.account.Asked()
	return BudgetStats{
		Asked: asked, Short: short,
		Tokens: tokens, Start: k.Start.Float(), Earned: k.Earned.Float(), Minted: k.Minted.Float(), Borrowed: k.Borrowed.Float(),
		Spent: k.Spent.Float(), Lent: k.Lent.Float(), Burned: k.Burned.Float(), Cut: k.Cut.Float(),
	}
}
