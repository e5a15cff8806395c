package coord

import (
	"sync/atomic"
	"time"
)

// Purse is the retry budget of a member and service as others see it: who may
// borrow from it, and lend to it. Amounts are whole numbers of 1/TokenUnit of a
// token. It must be safe for concurrent use.
type Purse interface {
	// Lend debits what one other member may have now, 0 if there is nothing.
	Lend(now time.Duration) int64
	// Borrow credits a loan that has come.
	Borrow(now time.Duration, amount int64)
}

// TokenUnit is how many units make one token.
const TokenUnit = 1 << 20

// loans is how the budget of a service and the cluster's driver meet: neither
// waits for the other.
type loans struct {
	open  atomic.Bool
	asked atomic.Uint32
	wake  atomic.Pointer[func()]
	purse atomic.Pointer[Purse]
}

// SetPurse tells where the member's tokens are. The first one stays.
func (s *Service) SetPurse(p Purse) {
	if s != nil {
		s.loans.purse.CompareAndSwap(nil, &p)
	}
}

// Purse returns what SetPurse has set, or nil.
func (s *Service) Purse() Purse {
	if p := s.loans.purse.Load(); p != nil {
		return *p
	}
	return nil
}

// AskLoan wants others asked for a loan, and reports whether they will be. It
// does not wait. Nobody is asked unless OpenLoans has said so.
func (s *Service) AskLoan() bool {
	if s == nil || !s.loans.open.Load() {
		return false
	}
	s.loans.asked.Add(1)
	if f := s.loans.wake.Load(); f != nil {
		(*f)()
	}
	return true
}

// OpenLoans says whether there is anybody to ask now. It is for the driver.
func (s *Service) OpenLoans(open bool) { s.loans.open.Store(open) }

// asksAtOnce bounds the calls of one service that ask for loans at one time; the
// node paces them further.
const asksAtOnce = 16

// LoansAsked returns how many loans to ask for: one for each time that AskLoan was
// called since the last time, but 16 at most. It is for the driver.
func (s *Service) LoansAsked() int { return int(min(s.loans.asked.Swap(0), asksAtOnce)) }

// WakeForLoans sets what AskLoan calls, which must not wait.
func (s *Service) WakeForLoans(f func()) { s.loans.wake.Store(&f) }
