package gossip

import (
	"fmt"
	"testing"

	"github.com/murmuration-go/murmuration/internal/coord"
)

func TestDecisionsAndBudgetsOfAllServices(t *testing.T) {
	m := join(t, Config{Cluster: "shop"})
	if m.Name() != "shop" || m.Decisions(10) != nil || m.Budgets() != nil {
		t.Errorf("at first: %q, %v, %v", m.Name(), m.Decisions(10), m.Budgets())
	}
	a, b := m.CoordService("a"), m.CoordService("b")
	for i := range 4 {
		s := a
		if i%2 == 1 {
			s = b
		}
		s.Log().Add(coord.Decision{Endpoint: fmt.Sprint(i)})
	}
	var got string
	for _, d := range m.Decisions(3) {
		got += d.Service + d.Endpoint + " "
	}
	if got != "b3 b1 a2 " { // all at one instant: those of one service stay in order
		t.Errorf("decisions %q", got)
	}
	if n := len(m.Decisions(100)); n != 4 {
		t.Errorf("%d decisions, want 4", n)
	}
	if n := len(m.Decisions(-1)); n != 0 {
		t.Errorf("%d decisions where none are wanted", n)
	}

	b.TellBudget(func() coord.BudgetStats { return coord.BudgetStats{Tokens: 1.5} })
	b.TellBudget(func() coord.BudgetStats { return coord.BudgetStats{Tokens: 2} })
	ep := b.Endpoint("x")
	ep.Publish(coord.Advice{Phi: coord.PhiFull, Mode: coord.RetryNone, Source: coord.SourceCluster})
	if got := m.Budgets(); len(got) != 1 || got[0] != (Budget{"b", coord.BudgetStats{Tokens: 1.5}, 1}) {
		t.Errorf("budgets %+v", got)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if m.Name() != "shop" || m.Decisions(10) != nil || m.Budgets() != nil {
		t.Error("a closed cluster decides something")
	}
	var none *Cluster
	if none.Name() != "" || none.Decisions(10) != nil || none.Budgets() != nil {
		t.Error("no cluster decides something")
	}
}
