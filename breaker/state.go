package breaker

import (
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// State is what a breaker does with calls.
type State uint8

// The states.
const (
	Closed   State = iota // every call goes
	HalfOpen              // one probe at a time goes
	Open                  // no call goes
	Dimmed                // the cluster lets a fraction of first tries go
)

func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case HalfOpen:
		return "half-open"
	case Open:
		return "open"
	case Dimmed:
		return "dimmed"
	}
	return "unknown"
}

// MarshalText writes the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Mode says which retries may go.
type Mode = coord.Mode

// The retry modes, in order of restriction.
const (
	RetryAll   = coord.RetryAll   // whatever the budget allows
	RetryRatio = coord.RetryRatio // only what first tries earned
	RetryNone  = coord.RetryNone  // none
)

// Status is a breaker's state with its reasons.
type Status struct {
	State      State
	Source     Source        // who decided
	Phi        float64       // fraction of first tries that may go; 0 when open, 1 when closed
	Retries    Mode          // which retries may go
	Age        time.Duration // how old the evidence is
	Evidence   Evidence      // what it rests on; of a local decision this process's own attempts
	Override   *Override     // of the operator who decided or has it stay as it is, if one did
	RetriesOff *Override     // of the operator who has turned retries off, if one has
	Routing    *Override     // by which an operator has calls move away or here, if one has
	Pushback   time.Duration // how long the cluster lets the endpoint alone; see Breaker.Pushback
	Failing    int           // members that see it fail; see Breaker.Failing
	Spill      float64       // chance that a call which failed or was dimmed elsewhere may come; see Breaker.Takes
}

// State returns what the breaker does with calls now.
func (b *Breaker) State() State { return b.Status().State }

// Status returns the state and who decided it, on what evidence, and how old
// that is.
func (b *Breaker) Status() Status {
	a := b.shared.Advice()
	st := b.status(a)
	if a.RetriesOff != nil {
		st.Retries = RetryNone
	}
	st.RetriesOff = a.RetriesOff
	st.Pushback, st.Failing, st.Routing = a.Pushback(coord.Now()), a.Failing, a.Routing
	if a.Takes(0) {
		st.Spill = a.Sigma.Float()
	}
	return st
}

func (b *Breaker) status(a *coord.Advice) Status {
	if a.InForce() {
		st := Status{Source: a.Source, Phi: a.Phi.Float(), Retries: a.Mode, Evidence: a.Evidence, Override: a.Override}
		st.Age = max(coord.Now()-a.AsOf, 0)
		switch {
		case a.Phi == 0:
			st.State = Open
		case a.Phi < coord.PhiFull:
			st.State = Dimmed
		}
		return st
	}
	l := b.machine(a, coord.Now())
	st := Status{State: State(l.state.Load()), Source: SourceLocal, Phi: 1, Override: a.Override}
	if !a.Frozen {
		st.State = l.current()
		l.tell()
	}
	if st.State != Closed {
		st.Evidence, st.Age = l.evidence(), max(coord.Now()-time.Duration(l.openedAt.Load()), 0)
	}
	if st.State == Open {
		st.Phi = 0
	}
	return st
}

// Endpoint returns the name the breaker was made with.
func (b *Breaker) Endpoint() string { return b.endpoint }
