package node

import (
	"iter"
	"math"
	"slices"
	"time"
)

// What a member goes by in its calls of a service should be the same everywhere; where
// it is not, that is policy drift. Members report a number that stands for it, stewards
// count, and tell which one most have for as long as anybody has another.

// tally is what a steward makes of the policies of those who report on a service.
type tally struct {
	changed bool
	policy  uint32   // that of most, 0 if all have the same
	odd     []string // who have another, sorted
}

// count brings the tally up to date. Of two policies that as many members have, the
// smaller number counts as that of most, so that stewards who have heard the same say
// the same. Who has told none is not counted.
func (s *service) count() {
	if !s.tally.changed {
		return
	}
	s.tally = tally{}
	t := &s.tally
	members, most := map[uint32]int{}, uint32(0)
	for _, c := range s.callers {
		if c.policy != 0 {
			members[c.policy]++
		}
	}
	for policy, n := range members {
		if n > members[most] || n == members[most] && policy < most {
			most = policy
		}
	}
	if len(members) < 2 {
		return
	}
	t.policy = most
	for name, c := range s.callers {
		if c.policy != 0 && c.policy != most {
			t.odd = append(t.odd, name)
		}
	}
	slices.Sort(t.odd)
}

// Drift is what a node knows of the policies for one service.
type Drift struct {
	Service string
	Own     uint32   // this member's, 0 if it does not use the service
	Policy  uint32   // that of most members, 0 if nobody is known to have another
	Members int      // that have another
	Odd     []string // some of their names, as far as this member is a steward of the service
}

// IsOdd reports whether this member is one of those whose policy is not that of most.
func (d *Drift) IsOdd() bool { return d.Policy != 0 && d.Own != 0 && d.Own != d.Policy }

// maxOdd bounds the names that a Drift has.
const maxOdd = 16

// Drifts are what the node knows of the policies for each service, by name: for those
// that it uses what two stewards agree on, and none where fewer than two are heard; for
// others, that it only watches over, what it has counted itself.
func (n *Node) Drifts(now time.Duration) iter.Seq[Drift] {
	return func(yield func(Drift) bool) {
		for _, s := range n.order {
			d, ok := s.drift(now)
			if ok && !yield(d) {
				return
			}
		}
	}
}

func (s *service) drift(now time.Duration) (d Drift, ok bool) {
	d = Drift{Service: s.name, Own: s.policy, Policy: s.tally.policy, Members: len(s.tally.odd)}
	if s.used {
		if d.Policy, d.Members, ok = s.agreed(now); !ok {
			return d, false
		}
	}
	if d.Policy != 0 && d.Policy == s.tally.policy {
		d.Odd = slices.Clone(s.tally.odd[:min(len(s.tally.odd), maxOdd)])
	}
	return d, s.used || s.mine
}

// agreed is what two fresh verdicts bear out: which policy most members have, and how
// many have another. It is false where fewer than two stewards are heard.
func (s *service) agreed(now time.Duration) (policy uint32, members int, ok bool) {
	var fresh []*held // the newest of each steward
	for _, steward := range s.stewards {
		if h := s.newest(now, steward); h != nil {
			fresh = append(fresh, h)
		}
	}
	for _, h := range fresh {
		var drifts []uint64
		for _, other := range fresh {
			if h.row.Policy != 0 && other.row.Policy == h.row.Policy {
				drifts = append(drifts, other.row.Drift)
			}
		}
		if len(drifts) > 1 { // no single one decides how many
			slices.Sort(drifts)
			if second := drifts[len(drifts)-2]; second > 0 {
				return h.row.Policy, int(min(second, math.MaxInt32)), true
			}
		}
	}
	return 0, 0, len(fresh) > 1
}

// newest is the last fresh verdict of a steward on any endpoint; nil if there is none.
func (s *service) newest(now time.Duration, steward string) (last *held) {
	for _, name := range s.names {
		held := s.views[name].held
		for i := range held {
			if h := &held[i]; h.origin.Member == steward && h.fresh(now) && (last == nil || h.origin.Newer(last.origin)) {
				last = h
			}
		}
	}
	return last
}
