package gossip

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/murmuration-go/murmuration/internal/node"
)

// Drift is a service for which not all members have the same policy: the endpoints of
// its failover.Group, the numbers of its retries, budget and breakers, with their
// defaults filled in. Functions, URLs and the zone of a member are not part of it.
//
// During a rollout it is to be expected, and ends with it: also where versions of this
// library differ that have other numbers. What lasts longer is a member that was left
// behind or is configured otherwise: compare its configuration with that of another.
type Drift struct {
	Service string `json:"service"`

	// Own says that this member is an odd one: its policy, OwnPolicy, is not Policy,
	// which most members have. Where as many have another one, which of them counts
	// as that of most says nothing.
	Own     bool `json:"own"`
	Members int  `json:"members"` // that have another policy than most

	// Odd are their names, at most 16. Only the three stewards of the service know
	// them, and other members tell none.
	Odd []string `json:"odd,omitempty"`

	// Policy and OwnPolicy are hashes of policies, in hexadecimal, which tell two
	// apart and nothing else. OwnPolicy is empty where this member has none for the
	// service, which it does not use but watches over.
	Policy    string `json:"policy"`
	OwnPolicy string `json:"own_policy,omitempty"`
}

func policyText(hash uint32) string {
	if hash == 0 {
		return ""
	}
	return fmt.Sprintf("%08x", hash)
}

// drift fills in what Health tells of policies, and says once when this member's
// becomes the odd one.
func (d *driver) drift(now time.Duration, h *Health) {
	for x := range d.node.Drifts(now) {
		if s := d.used[x.Service]; s != nil {
			if x.IsOdd() && !s.odd {
				d.c.cfg.Logger.Warn("gossip: this member's policy for a service differs from that of most",
					"service", x.Service, "own", policyText(x.Own), "most", policyText(x.Policy), "differ", x.Members)
			}
			s.odd = x.IsOdd()
		}
		if x.Policy != 0 {
			h.PolicyDrift = append(h.PolicyDrift, driftOf(&x))
		}
	}
	h.Drifting = len(h.PolicyDrift)
	slices.SortFunc(h.PolicyDrift, func(a, b Drift) int {
		if a.Own != b.Own { // what is left out concerns others
			if a.Own {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Service, b.Service)
	})
	h.PolicyDrift = h.PolicyDrift[:min(h.Drifting, mostShown)]
}

func driftOf(d *node.Drift) Drift {
	return Drift{
		Service: d.Service, Own: d.IsOdd(), Members: d.Members, Odd: d.Odd,
		Policy: policyText(d.Policy), OwnPolicy: policyText(d.Own),
	}
}
