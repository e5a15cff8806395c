package gossip

import (
	"cmp"
	"slices"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// Name is the Cluster of the Config; Health has the name of this member.
func (c *Cluster) Name() string {
	if c == nil {
		return ""
	}
	return c.cfg.Cluster
}

// Decision is a change of what this process does about an endpoint.
type Decision struct {
	Service string `json:"service"`
	coord.Decision
}

// Decisions returns the last decisions of this process about all services, at most n,
// the newest first. The last 256 about each service are kept. There are none in a
// closed cluster, or a nil one.
func (c *Cluster) Decisions(n int) []Decision {
	var all []Decision
	for _, s := range c.using() {
		for _, d := range s.Log().Decisions() {
			all = append(all, Decision{s.Name(), d})
		}
	}
	slices.Reverse(all) // so that of two at one instant the later one comes first
	slices.SortStableFunc(all, func(a, b Decision) int { return b.At.Compare(a.At) })
	return slices.Clip(all[:max(min(n, len(all)), 0)])
}

// Budget is the retry budget of a service in this process.
type Budget struct {
	Service string `json:"service"`
	coord.BudgetStats
	Burns uint64 `json:"burns"` // times that the cluster has asked for it to be emptied
}

// Budgets returns the retry budgets of this process that take part in the cluster, by
// service. There are none in a closed cluster, or a nil one.
func (c *Cluster) Budgets() []Budget {
	var all []Budget
	for _, s := range c.using() {
		if b, ok := s.Budget(); ok {
			all = append(all, Budget{s.Name(), b, s.Burns()})
		}
	}
	return all
}

// using returns the services of this process by name; none if nil or closed.
func (c *Cluster) using() []*coord.Service {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	all := make([]*coord.Service, 0, len(c.services))
	for _, s := range c.services {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *coord.Service) int { return cmp.Compare(a.Name(), b.Name()) })
	return all
}
