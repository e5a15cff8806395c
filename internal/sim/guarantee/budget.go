package guarantee

import (
	"github.com/murmuration-go/murmuration/internal/ledger"
	"github.com/murmuration-go/murmuration/internal/sim"
)

// The budget of members that are used as they are shipped.
const (
	ratio   = .1
	stipend = 10 // a second
	purse   = 2 + 1
)

// Budget is what G1 has come to.
type Budget struct {
	Used   float64 // the most retries over what is allowed, at any time
	Forged float64 // tokens that liars have added, which are allowed beside
}

// NoStipend tells that the members mint none.
func (c *Checker) NoStipend() { c.stipend = 0 }

// Budget is what G1 has come to.
func (c *Checker) Budget() Budget { return c.spent }

// budget checks G1 for the whole history whenever a retry is sent: the cluster's
// retries stay within a tenth of the first tries, the stipend, and what every
// process may hold and owe. It speaks of members that follow the protocol: what
// those add who promise loans that they do not have, a token a loan at most, is
// counted beside. Where bits are flipped, an answer may become any other.
func (c *Checker) budget(w *sim.World, service int) {
	if w.Garbled() {
		return
	}
	n := &w.Service(service).Count
	sent := n.Attempts - n.Retries - n.Diverted
	bound := ratio*float64(sent) + c.stipend*(w.Now()-sim.Start).Seconds() + purse*float64(w.Processes())
	forged := w.Lending().Forged
	c.spent.Used = max(c.spent.Used, float64(n.Retries)/(bound+forged))
	c.spent.Forged = forged
	c.check(w, "G1", float64(n.Retries) <= bound+forged,
		"%d retries for %d first tries; the budget is %.1f, and liars have added %.1f", n.Retries, sent, bound, forged)
}

// conserved checks that tokens are moved and never copied: over all members, no
// more is credited than was debited, or promised by liars; and each account holds
// what its books say.
func (c *Checker) conserved(w *sim.World, m *sim.Member) {
	const rounding = 1e-6
	if l := w.Lending(); !w.Garbled() {
		c.check(w, "G1", l.Borrowed <= l.Lent+l.Forged+rounding, "%.3f tokens are borrowed; %.3f were lent, and liars promised %.3f", l.Borrowed, l.Lent, l.Forged)
	}
	for i := range w.Services() {
		a, ok := m.Purse(i).(*ledger.Account)
		if !ok {
			continue
		}
		books := a.Books()
		balance := a.Balance()
		c.check(w, "G1", balance == books.Balance() && balance >= -ledger.One && books.Lent >= 0 && books.Borrowed >= 0,
			"%s: the balance is %.3f, and by the books %.3f: %+v", m.Name, balance.Float(), books.Balance().Float(), books)
	}
}
