package node

import (
	"iter"
	"time"

	"github.com/murmuration-go/murmuration/internal/law"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// Verdict is a steward's verdict as this node holds it.
type Verdict struct {
	Origin wire.Origin
	Row    *wire.VerdictRow // until the node's next call
	Age    time.Duration    // since it was decided
	Fresh  bool             // it counts
}

// Verdicts are those on an endpoint that the node holds, fresh or not, at most one
// a steward, in the order in which the stewards were first heard.
func (n *Node) Verdicts(now time.Duration, service, endpoint string) iter.Seq[Verdict] {
	return func(yield func(Verdict) bool) {
		s := n.services[service]
		if s == nil || s.views[endpoint] == nil {
			return
		}
		held := s.views[endpoint].held
		for i := range held {
			if h := &held[i]; !yield(Verdict{h.origin, &h.row, now - h.asOf, h.fresh(now)}) {
				return
			}
		}
	}
}

// Heard is what a node knows of another member's health.
type Heard struct {
	At    time.Duration // of its last message
	Trust float64       // how far it then trusted its own view, 0 to 1; -1 if it has never told
}

// Heard returns what is known of a member; false if it has never been heard, as it need
// not be: members speak to the stewards of the services that they use.
func (n *Node) Heard(member string) (Heard, bool) {
	h, ok := n.heard[member]
	return h, ok
}

// Decided returns what the node, as a steward of the service, says of an
// endpoint; false if it is none or nobody has reported about it.
func (n *Node) Decided(service, endpoint string) (law.Decision, bool) {
	if s := n.services[service]; s != nil && s.duties[endpoint] != nil {
		return s.duties[endpoint].decided, true
	}
	return law.Decision{}, false
}

// Sizes counts what a node keeps; each has a bound, so that no message can make
// it grow without end.
type Sizes struct {
	Services  int // used or heard of: at most MaxKnown
	Views     int // endpoints of one service, the most of any: at most 3 * coord.MaxEndpoints
	Duties    int // endpoints of one service that it watches over, the most of any: at most coord.MaxEndpoints
	Callers   int // members that report on one service, the most of any: at most the members
	Reporters int // of one endpoint, the most of any: at most law.MaxReporters
}

// Sizes counts what the node keeps.
func (n *Node) Sizes() (z Sizes) {
	z.Services = len(n.services)
	for _, s := range n.order {
		z.Views = max(z.Views, len(s.views))
		z.Duties = max(z.Duties, len(s.duties))
		z.Callers = max(z.Callers, len(s.callers))
		for _, d := range s.dutyOrder {
			z.Reporters = max(z.Reporters, d.law.Reporters())
		}
	}
	return z
}
