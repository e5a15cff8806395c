package failover

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// policy tells what all processes that call the service should have in common: the
// endpoints, in no order, and how calls are retried. Nothing of it is this process's
// own, as its zone is, or the URL by which it reaches an endpoint.
func (c Config) policy(list []Endpoint) string {
	var b strings.Builder
	fmt.Fprintf(&b, "group %v drain %v", c.Retry, c.drainOver())
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Endpoint) int { return cmp.Compare(a.name(), b.name()) })
	for _, e := range list {
		fmt.Fprintf(&b, "; %q zone %q priority %d weight %v capacity %v internal %t",
			e.name(), e.Zone, e.Priority, e.weight(), e.Capacity, e.Internal)
	}
	return b.String()
}

func (c Config) drainOver() time.Duration {
	if c.DrainOver == 0 {
		return drainOver
	}
	return max(c.DrainOver, 0)
}

func (e Endpoint) weight() float64 {
	if e.Weight == 0 {
		return 1
	}
	return e.Weight
}
