package node

import (
	"time"

	"github.com/murmuration-go/murmuration/internal/law"
)

// Load is what this member wants of a service, and how many members there are:
// what the retry budget is measured by.
type Load struct {
	Service string
	Rate    uint64 // first tries in the last second
	Members int    // live ones, this one included
}

// measure tells each second what was wanted of the services in use since it told
// last.
func (n *Node) measure(now time.Duration, samples []Samples) {
	elapsed := now - n.measured
	if elapsed < time.Second-law.Tick/2 {
		return
	}
	n.measured = now
	for _, u := range samples {
		s := n.use(u.Service)
		if s == nil {
			continue
		}
		var demand uint64
		for i := range u.Endpoints {
			demand += u.Endpoints[i].Totals.Demand
		}
		rate := float64(demand-s.demand)/elapsed.Seconds() + .5
		s.demand = demand
		n.out.Loads = append(n.out.Loads, Load{s.name, uint64(rate), max(n.Members(), 1)})
	}
}
