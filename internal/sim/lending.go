package sim

import (
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/node"
)

// Lending counts what members asked of each other and got. Amounts are in tokens.
type Lending struct {
	Asks     uint64  // messages
	Lent     float64 // by honest members
	Forged   float64 // promised by liars, who had none
	Borrowed float64 // credited
}

// wake lets the node ask for the loans that its calls wait for, as the driver
// does: after what is under way, not within it.
func (m *Member) wake(w *World, n *node.Node) {
	if m.waking {
		return
	}
	m.waking = true
	w.After(0, func() {
		if !m.alive || m.node != n {
			return
		}
		m.waking = false
		for _, s := range m.shared {
			for range s.LoansAsked() {
				m.apply(w, n.Ask(m.local(w.now), s.Name(), w.netRand.Uint64()))
			}
		}
	})
}

// lending carries out what loans come to. A lender that lies promises a whole
// token and debits none.
func (m *Member) lending(w *World, out *node.Output) {
	for _, c := range out.Credits {
		if p := m.purse(c.Service); p != nil {
			w.lending.Borrowed += float64(c.Amount) / coord.TokenUnit
			p.Borrow(m.local(w.now), c.Amount)
		}
	}
	for _, l := range out.Lending {
		if s := m.service(l.Service); s != nil {
			s.OpenLoans(l.Open)
		}
	}
	for _, a := range out.Asked { // Lend makes out anew, and leaves this slice alone
		m.apply(w, m.node.Lend(m.local(w.now), a, m.loan(w, a.Service)))
	}
}

// loan is what the member lends.
func (m *Member) loan(w *World, service string) int64 {
	if m.lies.lend {
		w.forged = true
		w.lending.Forged++
		return coord.TokenUnit
	}
	p := m.purse(service)
	if p == nil {
		return 0
	}
	amount := p.Lend(m.local(w.now))
	w.lending.Lent += float64(amount) / coord.TokenUnit
	return amount
}

func (m *Member) service(name string) *coord.Service {
	for _, s := range m.shared {
		if s.Name() == name {
			return s
		}
	}
	return nil
}

// Purse is the member's budget for the i-th service, nil if it has none.
func (m *Member) Purse(i int) coord.Purse {
	if i >= len(m.shared) {
		return nil
	}
	return m.shared[i].Purse()
}

func (m *Member) purse(service string) coord.Purse {
	if s := m.service(service); s != nil {
		return s.Purse()
	}
	return nil
}
