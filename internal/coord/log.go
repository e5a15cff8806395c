package coord

import (
	"slices"
	"sync"
	"time"
)

// MaxDecisions is how many decisions a Log keeps.
const MaxDecisions = 256

// Decision is a change of what is done about an endpoint.
type Decision struct {
	At       time.Time     `json:"at"`
	Endpoint string        `json:"endpoint"`
	Source   Source        `json:"source"`             // who decided; local also when the cluster or an operator ceases to
	State    string        `json:"state"`              // closed, half-open, open or dimmed
	Phi      float64       `json:"phi"`                // fraction of first tries that may go
	Retries  Mode          `json:"retries"`            // which retries may go
	Evidence Evidence      `json:"evidence,omitzero"`  // what it rests on
	Age      time.Duration `json:"age,omitzero"`       // of the evidence, when it was decided
	Override *Override     `json:"override,omitempty"` // of an operator that counts
	Routing  *Override     `json:"routing,omitempty"`  // by which an operator has calls move
}

// Log keeps the last decisions about a service. It is safe for concurrent use, and a
// nil Log keeps nothing.
type Log struct {
	mu    sync.Mutex
	kept  []Decision // a ring once it is full
	count int        // of all that were made
}

// Add keeps a decision, and forgets the oldest if there are too many.
func (l *Log) Add(d Decision) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.kept) < MaxDecisions {
		l.kept = append(l.kept, d)
	} else {
		l.kept[l.count%MaxDecisions] = d
	}
	l.count++
}

// Decisions returns what is kept, the oldest first.
func (l *Log) Decisions() []Decision {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.kept) < MaxDecisions {
		return slices.Clone(l.kept)
	}
	oldest := l.count % MaxDecisions
	return slices.Concat(l.kept[oldest:], l.kept[:oldest])
}

// decision is what a change of advice decides, if it does.
func decision(endpoint string, was, is *Advice) (Decision, bool) {
	if is.Phi == was.Phi && is.Mode == was.Mode && is.Source == was.Source && is.Override == was.Override && is.RetriesOff == was.RetriesOff && is.Routing == was.Routing {
		return Decision{}, false
	}
	d := Decision{
		At: time.Now(), Endpoint: endpoint, Source: is.Source, State: "closed", Phi: is.Phi.Float(), Retries: is.RetryMode(),
		Override: is.Override, Routing: is.Routing,
	}
	switch {
	case is.Phi == 0:
		d.State = "open"
	case is.Phi < PhiFull:
		d.State = "dimmed"
	}
	if d.Override == nil {
		d.Override = is.RetriesOff
	}
	if is.InForce() {
		d.Evidence, d.Age = is.Evidence, max(Now()-is.AsOf, 0)
	}
	return d, true
}
