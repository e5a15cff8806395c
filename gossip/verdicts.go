package gossip

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/node"
)

// Disagreement is a fresh verdict on an endpoint that wants something else than what
// is in force there, which is what two stewards agree on.
type Disagreement struct {
	Service  string  `json:"service"`
	Endpoint string  `json:"endpoint"`
	Steward  string  `json:"steward"` // the name of the member that says so
	Says     Opinion `json:"says"`
	InForce  Opinion `json:"in_force"` // of the cluster, also while an operator overrules it
}

// Opinion is what is to be done about an endpoint.
type Opinion struct {
	Phi     float64 `json:"phi"`     // the share of first tries that may go, 0 to 1
	Retries string  `json:"retries"` // which may: all, ratio (what first tries have earned) or none
}

// Verdict is what a steward says of an endpoint, as this member holds it.
type Verdict struct {
	Service  string `json:"service"`
	Endpoint string `json:"endpoint"`
	Steward  string `json:"steward"` // the name of the member that says so
	State    string `json:"state"`   // closed, not-load or dim
	Opinion
	Age   time.Duration `json:"age"`   // since it was decided
	Fresh bool          `json:"fresh"` // it counts; what is in force is what two that do agree on
}

// Verdicts returns what the stewards say of the endpoints of which History is kept, as of
// at most a second ago, in the order in which the endpoints were first seen. They are
// kept from the first call of History on.
func (c *Cluster) Verdicts() (all []Verdict) {
	if c == nil {
		return nil
	}
	h := &c.history
	h.mu.Lock()
	pasts := h.pasts
	h.mu.Unlock()
	for _, p := range pasts {
		p.mu.Lock()
		verdicts, since := p.verdicts, time.Since(p.asOf)
		p.mu.Unlock()
		for _, v := range verdicts {
			v.Age += since
			all = append(all, v)
		}
	}
	return all
}

func opinion(phi coord.Phi, m coord.Mode) Opinion { return Opinion{phi.Float(), m.String()} }

func (o Opinion) differs(p Opinion) bool {
	return o.Retries != p.Retries || (o.Phi < 1) != (p.Phi < 1) || o.Phi > p.Phi*apart || p.Phi > o.Phi*apart
}

const (
	apart     = 2.0 // times, from which on two phi are no matter of who spoke first: they rise by as much at once
	mostShown = 64  // disagreements, and as many drifts
)

// standing gathers what Health tells of verdicts.
type standing struct {
	ages  []time.Duration
	apart []Disagreement
}

// add takes in a verdict on an endpoint with the advice that is in force.
func (t *standing) add(service, endpoint string, a *coord.Advice, v *node.Verdict) {
	t.ages = append(t.ages, v.Age)
	if !v.Fresh || !a.Coordinated() {
		return // there is nothing that it could disagree with
	}
	says, is := opinion(v.Row.Phi, v.Row.Mode), opinion(a.Phi, a.Mode)
	if says.differs(is) {
		t.apart = append(t.apart, Disagreement{service, endpoint, v.Origin.Member, says, is})
	}
}

// percentile is the nearest-rank percentile of the ages; they are sorted.
func (t *standing) percentile(p float64) time.Duration {
	if len(t.ages) == 0 {
		return 0
	}
	return t.ages[max(int(math.Ceil(p*float64(len(t.ages)))), 1)-1]
}

func (t *standing) tell(h *Health) {
	slices.Sort(t.ages)
	h.VerdictAgeP50, h.VerdictAgeP99 = t.percentile(.5), t.percentile(.99)
	slices.SortFunc(t.apart, func(a, b Disagreement) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Steward, b.Steward))
	})
	h.Disagree = len(t.apart)
	h.Disagreements = t.apart[:min(len(t.apart), mostShown)]
}
