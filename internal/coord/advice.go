package coord

import "time"

// Advice is what a member makes of the fresh verdicts about one endpoint. It is
// immutable once published; readers load it with one atomic read.
type Advice struct {
	Phi  Phi  // fraction of first tries that may go
	Mode Mode // which retries may go

	// Source is who decided: SourceLocal when nothing but local rules is in
	// force.
	Source Source

	// Fresh is the number of stewards whose verdict is fresh. Lately says that
	// there were two of late: stewards change, and until the new ones have spoken
	// nobody is to act on its own. Planned says so of a longer while: what fails
	// at home goes elsewhere by Sigma only. Well is about the local time as of
	// which two have seen most attempts succeed, 0 if never: that stewards find
	// nothing amiss may as well mean that they have seen nothing. WellFrom is since
	// when they have seen that all the time.
	Fresh           int
	Lately, Planned bool
	Well, WellFrom  time.Duration

	// Tag numbers the span of time during which Phi was unchanged; it grows
	// by one whenever Phi changes. Era grows by one whenever advice stops
	// being in force, which is when local breakers start afresh.
	Tag, Era uint64

	// Evidence is what the decisive steward acted on, and AsOf the local
	// time at which it was current.
	Evidence Evidence
	AsOf     time.Duration

	// Thr is the latency above which the cluster calls a success tight; 0
	// when unknown.
	Thr time.Duration

	// Until is the local time until which retries to the endpoint wait, as it
	// has asked for by way of two members; 0 if it has not. First tries do
	// not wait.
	Until time.Duration

	// Failing is about how many members have seen attempts fail of late,
	// which says how far retries are to be spread; 0 when unknown.
	Failing int

	// Sigma is the chance that a call of this member which failed or was dimmed
	// at home may make one final attempt here. Where it is at home itself that is
	// for calls of others of its home that the cluster has found to be in trouble.
	Sigma Share

	// Override is the operator's order that decided, with SourceOperator; Routing the
	// one that says where first tries go, which decides nothing else.
	Override, Routing *Override

	// RetriesOff is the order by which there are no retries, whatever Mode says. It
	// keeps nothing else from working: what fails may be diverted, and the local breaker
	// decides as ever.
	RetriesOff   *Override
	RetriesOffAt time.Duration // since when it has been in force here

	// Frozen says that the local breaker stays as it is, since an operator wants nothing
	// to change, and nothing of the cluster is in force.
	Frozen bool

	// Refusal is the error that a dimmed first try gets, prepared once a
	// snapshot so that refusing allocates nothing. It is filled in by the
	// Endpoint on Publish.
	Refusal error

	tagged *tagged
}

// Evidence says what a verdict rests on.
type Evidence struct {
	Steward   string        `json:"steward"`   // who decided; "" for this member
	State     string        `json:"state"`     // closed, not-load or dim
	Reporters int           `json:"reporters"` // members whose reports were heard
	Failures  uint64        `json:"failures"`  // failed attempts in the window
	Outcomes  uint64        `json:"outcomes"`  // attempts that ended in the window
	Window    time.Duration `json:"window"`    // the span that Failures and Outcomes cover
	Latency   time.Duration `json:"latency"`   // mean latency of the successes in the window
	Baseline  time.Duration `json:"baseline"`  // the healthy mean latency (L0)
	Demand    float64       `json:"demand"`    // first tries wanted per second, cluster-wide
}

// InForce reports whether the advice overrules the local breaker: it restricts
// something, or is an operator's order, which may well be to let everything go.
// What delays or spreads retries overrules nothing.
func (a *Advice) InForce() bool {
	return a.Phi < PhiFull || a.Mode != RetryAll || a.Source == SourceOperator
}

// RetryMode is which retries may go, operators' orders included.
func (a *Advice) RetryMode() Mode {
	if a.RetriesOff != nil {
		return RetryNone
	}
	return a.Mode
}

// Ordered reports whether Phi is an operator's, and not the cluster's.
func (a *Advice) Ordered() bool { return a.Source == SourceOperator || a.Frozen }

// Takes reports whether an attempt that failed or was dimmed at home may come here;
// u is uniform in [0, 1).
func (a *Advice) Takes(u float64) bool {
	return u < a.Sigma.Float() && a.Phi == PhiFull && a.Mode != RetryNone
}

// WellSince reports whether most attempts of others have succeeded all the time from
// before the given local time until after it: who has failed then has done so alone.
func (a *Advice) WellSince(at time.Duration) bool { return a.WellFrom < at && at < a.Well }

// Numbered returns a with the numbers that it has after was.
func (a Advice) Numbered(was *Advice) Advice {
	a.Tag, a.Era = was.Tag, was.Era
	if a.Phi != was.Phi {
		a.Tag++
	}
	if was.InForce() && !a.InForce() {
		a.Era++
	}
	return a
}

// Coordinated reports whether at least two stewards are fresh, so that the
// cluster can be expected to act on what this member sees.
func (a *Advice) Coordinated() bool { return a.Fresh >= 2 }
