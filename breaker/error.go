package breaker

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// ErrOpen is what every refusal by a breaker is, by errors.Is.
var ErrOpen = errors.New("breaker: open")

// Source says who took a decision.
type Source = coord.Source

// The sources of a decision, in rising order of authority.
const (
	SourceLocal    = coord.SourceLocal    // this process, on its own evidence
	SourceCluster  = coord.SourceCluster  // the cluster, on pooled evidence
	SourceOperator = coord.SourceOperator // a person, by an override
)

// Evidence says what a cluster's decision rests on.
type Evidence = coord.Evidence

// Override is an operator's order. It must not be changed.
type Override = coord.Override

// OpenError refuses a call: nothing was sent. It matches ErrOpen.
//
// One OpenError may be returned by many calls; do not change it.
type OpenError struct {
	Service, Endpoint string

	// Source is who decided, and Age how old that decision's evidence was
	// when this error was made: how long ago the breaker opened, or when
	// the cluster's verdict was reached. The error is remade at every tick
	// (250 ms).
	Source Source
	Age    time.Duration

	// Phi is the fraction of first tries that may go: 0 when the local
	// breaker is open.
	Phi float64

	// Retry says that the call was a retry, and that retries are off.
	Retry bool

	// RetryIn is how long the local breaker stays open; 0 when the cluster
	// decides, which lets calls through one by one.
	RetryIn time.Duration

	// Evidence is what the decision rests on; of a local one that is how many of
	// this process's attempts had failed of how many, or the probe that did. An
	// operator's rests on the Override, and Age is how long it has been in force here.
	Evidence Evidence
	Override *Override // nil unless an operator decided
}

func (e *OpenError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "breaker: %s refused", target(e.Service, e.Endpoint))
	switch {
	case e.Source == SourceLocal:
		b.WriteString(" by this process: too many of its calls failed")
		if v := &e.Evidence; v.Outcomes > 0 {
			fmt.Fprintf(&b, " (%d of %d in %v, %v ago)", v.Failures, v.Outcomes, v.Window, e.Age.Round(time.Millisecond))
		}
		if e.RetryIn > 0 {
			fmt.Fprintf(&b, "; the next probe goes in about %v", e.RetryIn.Round(time.Millisecond))
		}
		return b.String()
	case e.Retry:
		fmt.Fprintf(&b, " a retry by %s", e.Source)
	case e.Phi == 0:
		fmt.Fprintf(&b, " by %s", e.Source)
	default:
		fmt.Fprintf(&b, " by %s: dimmed to %.3g of first tries", e.Source, e.Phi)
	}
	if o := e.Override; o != nil {
		fmt.Fprintf(&b, " (%v; in force here for %v)", o, e.Age.Round(time.Millisecond))
	}
	v := &e.Evidence
	if v.Steward != "" {
		fmt.Fprintf(&b, " (%d of %d attempts failed in %v as heard from %d members; steward %s, %v ago)",
			v.Failures, v.Outcomes, v.Window, v.Reporters, v.Steward, e.Age.Round(time.Millisecond))
	}
	return b.String()
}

func target(service, endpoint string) string {
	switch {
	case service == "":
		return endpoint
	case endpoint == "" || endpoint == service:
		return service
	}
	return service + "/" + endpoint
}

// Is reports whether target is ErrOpen.
func (e *OpenError) Is(target error) bool { return target == ErrOpen }

// NotSent reports that the call never reached the endpoint: true.
func (e *OpenError) NotSent() bool { return true }

// ByVerdict reports that the cluster or an operator decided: other members will
// refuse as well, so whoever called this process need not try another one.
func (e *OpenError) ByVerdict() bool { return e.Source != SourceLocal }

// Timeout reports false; with Temporary it makes an OpenError fit net.Error.
func (e *OpenError) Timeout() bool { return false }

// Temporary reports that a later call may be let through: true.
func (e *OpenError) Temporary() bool { return true }

// dimmed prepares the error for first tries that a snapshot of advice dims.
func dimmed(service, endpoint string, a *coord.Advice) error {
	return &OpenError{
		Service: service, Endpoint: endpoint, Source: a.Source,
		Age: max(coord.Now()-a.AsOf, 0), Phi: a.Phi.Float(), Evidence: a.Evidence, Override: a.Override,
	}
}
