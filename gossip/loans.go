package gossip

import (
	"math/rand/v2"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/node"
)

// wakeForLoans tells the driver, which may know already, that a call waits for a
// loan.
func (c *Cluster) wakeForLoans() {
	select {
	case c.loans <- struct{}{}:
	default:
	}
}

// ask asks others for the loans that calls of this process wait for.
func (d *driver) ask(now time.Duration) {
	for _, s := range d.order {
		for range s.svc.LoansAsked() {
			d.apply(now, d.node.Ask(now, s.name, rand.Uint64()))
		}
	}
}

// lending carries out what loans come to: an account is debited before the loan
// is on its way.
func (d *driver) lending(now time.Duration, out *node.Output) {
	for _, c := range out.Credits {
		if p := d.purse(c.Service); p != nil {
			p.Borrow(now, c.Amount)
		}
	}
	for _, l := range out.Lending {
		if s := d.used[l.Service]; s != nil {
			s.svc.OpenLoans(l.Open)
		}
	}
	for _, a := range out.Asked { // Lend makes out anew, and leaves this slice alone
		var amount int64
		if p := d.purse(a.Service); p != nil {
			amount = p.Lend(now)
		}
		d.apply(now, d.node.Lend(now, a, amount))
	}
}

func (d *driver) purse(service string) coord.Purse {
	if s := d.used[service]; s != nil {
		return s.svc.Purse()
	}
	return nil
}
