package coord

// BudgetStats says what became of all tokens of a budget since it was made:
//
//	Tokens = Start + Earned + Minted + Borrowed - Spent - Lent - Burned - Cut
//
// All are in tokens. Read while calls are under way they need not fit together.
type BudgetStats struct {
	Tokens   float64 `json:"tokens"`   // held now; negative is a debt
	Start    float64 `json:"start"`    // held when it was made
	Earned   float64 `json:"earned"`   // by first tries
	Minted   float64 `json:"minted"`   // of the stipend
	Borrowed float64 `json:"borrowed"` // from other members
	Spent    float64 `json:"spent"`    // on retries that were sent, or are about to be
	Lent     float64 `json:"lent"`     // to other members
	Burned   float64 `json:"burned"`   // by the cluster's verdicts
	Cut      float64 `json:"cut"`      // borrowed, or given back, beyond what the budget may hold

	Asked uint64 `json:"asked"` // retries for which other members were asked for a loan
	Short uint64 `json:"short"` // of them those that, after their wait, still found less than they cost
}

// TellBudget sets what knows the state of the service's retry budget. The first call
// wins.
func (s *Service) TellBudget(f func() BudgetStats) {
	if s != nil {
		s.budget.CompareAndSwap(nil, &f)
	}
}

// Budget returns the state of the service's retry budget; false if there is none.
func (s *Service) Budget() (BudgetStats, bool) {
	if f := s.budget.Load(); f != nil {
		return (*f)(), true
	}
	return BudgetStats{}, false
}
