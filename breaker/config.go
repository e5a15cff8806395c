package breaker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// Cluster is the coordination that a breaker may take part in; *gossip.Cluster
// implements it. Nil, or a nil pointer, means local only.
type Cluster = coord.Cluster

// Config configures a Breaker. The zero Config is a good local breaker. Where a
// field has a default, zero means the default.
type Config struct {
	// Service is the upstream that the endpoint belongs to. It is needed
	// only with a Cluster; at most 64 bytes.
	Service string

	// Cluster pools this member's evidence with that of others. While the
	// cluster's advice on the endpoint is in force, it decides and the local
	// state machine rests.
	Cluster Cluster

	// Window is the rolling window of the local rule, in buckets of a tenth.
	// Default 10 s.
	Window time.Duration

	// MinRequests is how many requests the window must hold before their
	// failure ratio counts. Default 20; negative turns the ratio rule off.
	MinRequests int

	// FailureRatio is the share of failures, in (0, 1], from which the
	// breaker opens. Default 0.5. While two stewards are heard, or were 5 s ago,
	// it takes 0.9 at least, for 2 s: what fails in part is then for the
	// cluster to judge.
	FailureRatio float64

	// ConsecutiveFailures opens the breaker after that many failures in a
	// row within the Window: failures that are further apart, such as those
	// of one worker that waits for a timeout of seconds each time, do not
	// add up. Default 10; negative turns the rule off.
	ConsecutiveFailures int

	// OpenTimeout is how long the breaker stays open before it lets one
	// probe through. Up to a tenth is added at random, so that the breakers
	// of a fleet do not probe all at once. Default 10 s.
	OpenTimeout time.Duration

	// AttemptTimeout is the time that the guarded function may take, if it
	// is known. The breaker does not enforce it; it tells slow failures
	// (over half of it) from fast ones. When zero, the time left to the
	// deadline of Do's context is taken, within 0.1 s and 10 s, or else 1 s.
	AttemptTimeout time.Duration

	// Classify says what an error is as evidence about the endpoint. When
	// nil, or when it returns OutcomeDefault, the rules of DefaultClassify
	// hold. It is called for a nil error too. The caller's cancellation is
	// neutral before Classify is asked. It must be safe for concurrent use.
	Classify func(error) Outcome

	// Hooks are told what the breaker does.
	Hooks Hooks
}

// Outcome is what an error says about the endpoint.
type Outcome uint8

// The outcomes.
const (
	OutcomeDefault Outcome = iota // whatever DefaultClassify says
	OutcomeSuccess
	OutcomeFailure
	OutcomeNeutral // counts as neither: the caller's own cancellation or mistake
)

// DefaultClassify calls nil a success, an error marked by Neutral neutral, an
// error that says NotSent() bool neutral when that is true (it never reached
// the endpoint), and everything else a failure.
func DefaultClassify(err error) Outcome {
	if err == nil {
		return OutcomeSuccess
	}
	var n *neutralError
	if errors.As(err, &n) || coord.NotSent(err) {
		return OutcomeNeutral
	}
	return OutcomeFailure
}

// Neutral marks an error as saying nothing about the endpoint, such as an
// answer that the request was malformed. It unwraps to err; Neutral(nil) is nil.
func Neutral(err error) error {
	if err == nil {
		return nil
	}
	return &neutralError{err}
}

type neutralError struct{ err error }

func (e *neutralError) Error() string { return e.err.Error() }
func (e *neutralError) Unwrap() error { return e.err }

// Hooks are optional functions that a Breaker calls. They run on the goroutine
// of the call that caused them, after all locks are released, and should
// return soon, since that call waits for them. They may call the breaker.
type Hooks struct {
	// StateChange is told each change of the local state machine.
	StateChange func(service, endpoint string, from, to State)
	// Refused is told each refused call and why.
	Refused func(ctx context.Context, err *OpenError)
}

// Validate reports every fault of the configuration at once, as errors joined
// together, each a *ConfigError.
func (c Config) Validate() error {
	var faults []error
	bad := func(field, format string, args ...any) {
		faults = append(faults, &ConfigError{Field: field, Problem: fmt.Sprintf(format, args...)})
	}
	if coord.Present(c.Cluster) || c.Service != "" {
		if err := coord.CheckName(c.Service); err != nil {
			bad("Service", "%v (a breaker in a cluster needs the name of its upstream)", err)
		}
	}
	for _, d := range []struct {
		name string
		v    time.Duration
	}{{"Window", c.Window}, {"OpenTimeout", c.OpenTimeout}, {"AttemptTimeout", c.AttemptTimeout}} {
		if d.v < 0 {
			bad(d.name, "is %v; it cannot be negative (0 means the default)", d.v)
		}
	}
	if c.Window > 0 && c.Window < 10*time.Millisecond {
		bad("Window", "is %v; the shortest is 10ms", c.Window)
	}
	if !(c.FailureRatio >= 0 && c.FailureRatio <= 1) {
		bad("FailureRatio", "is %v; it must be within (0, 1], or 0 for the default", c.FailureRatio)
	}
	if c.MinRequests < 0 && c.ConsecutiveFailures < 0 && !coord.Present(c.Cluster) {
		bad("MinRequests", "and ConsecutiveFailures are both off, so the breaker could never open")
	}
	return errors.Join(faults...)
}

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&c.Window, 10*time.Second)
	def(&c.OpenTimeout, 10*time.Second)
	if c.MinRequests == 0 {
		c.MinRequests = 20
	}
	if c.FailureRatio == 0 {
		c.FailureRatio = .5
	}
	if c.ConsecutiveFailures == 0 {
		c.ConsecutiveFailures = 10
	}
	return c
}

// policy tells the numbers of a Config that has its defaults, and whose rules are
// alike where they are off.
func (c *Config) policy() string {
	return fmt.Sprintf("breaker window %v requests %d ratio %v consecutive %d open %v timeout %v",
		c.Window, max(c.MinRequests, -1), c.FailureRatio, max(c.ConsecutiveFailures, -1), c.OpenTimeout, c.AttemptTimeout)
}

// ConfigError is one fault of a Config.
type ConfigError struct {
	Field   string // name of the field
	Problem string // what is wrong with it, and what would be right
}

func (e *ConfigError) Error() string { return "breaker: Config." + e.Field + " " + e.Problem }
