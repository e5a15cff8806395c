package gossip

import (
	"cmp"
	"slices"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// Evidence says what a decision of the cluster rests on.
type Evidence = coord.Evidence

// Endpoint is an endpoint that this process uses, as the cluster has it: what is in
// force beside the rules of its own breaker.
type Endpoint struct {
	Service string `json:"service"`
	Name    string `json:"name"`

	Opinion
	// Spill is the chance that a call of this process which failed or was dimmed
	// elsewhere may come here, 0 to 1.
	Spill float64 `json:"spill"`

	// DecidedBy is local where nothing but the rules of the process's own breaker is in
	// force, and otherwise cluster or operator; Evidence and its Age tell why.
	DecidedBy string        `json:"decided_by"`
	Evidence  Evidence      `json:"evidence,omitzero"`
	Age       time.Duration `json:"age,omitzero"`

	// Override is the order that decided, if an operator did; Routing the one by which
	// calls move away or here.
	Override *Override `json:"override,omitempty"`
	Routing  *Override `json:"routing,omitempty"`

	Fresh int `json:"fresh"` // stewards whose verdict counts, of three at most

	// OwnPathBroken says that this process fails to reach it while the cluster, which
	// has heard of it, finds nothing amiss.
	OwnPathBroken bool `json:"own_path_broken"`
}

// Endpoints returns the endpoints that this process uses, by service and name. It
// takes no part in a closed cluster, or a nil one, and there are none then.
func (c *Cluster) Endpoints() []Endpoint {
	var all []Endpoint
	now := coord.Now()
	for _, s := range c.using() {
		for _, ep := range s.Endpoints() {
			a := ep.Advice()
			e := Endpoint{
				Service: s.Name(), Name: ep.Name(), Opinion: opinion(a.Phi, a.RetryMode()), DecidedBy: a.Source.String(),
				Override: a.Override, Routing: a.Routing, Fresh: a.Fresh, OwnPathBroken: ep.OwnPathBroken(),
			}
			if e.Override == nil {
				e.Override = a.RetriesOff
			}
			if e.Override != nil {
				e.DecidedBy = coord.SourceOperator.String()
			}
			if a.Takes(0) {
				e.Spill = a.Sigma.Float()
			}
			if a.InForce() {
				e.Evidence, e.Age = a.Evidence, max(now-a.AsOf, 0)
			}
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b Endpoint) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Name, b.Name))
	})
	return all
}
