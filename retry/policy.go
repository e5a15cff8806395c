package retry

import (
	"errors"
	"fmt"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/ledger"
)

// Policy says when and how often to retry. The zero Policy makes up to three
// attempts with full-jitter backoff and no budget. Where a field has a default,
// zero means the default and a negative number means off.
type Policy struct {
	// MaxAttempts is the most attempts of a call, the first included.
	// Default 3; negative, like 1, means no retries.
	MaxAttempts int

	// BaseDelay and MaxDelay shape the wait before the n-th retry: uniform
	// within [0, min(MaxDelay, BaseDelay * 2^(n-1))] (full jitter; Brooker,
	// "Exponential backoff and jitter", 2015). The base is at least the
	// observed median latency when the Policy has a Budget, and in a cluster
	// 1 + log2(m) times as long while m members see failures, as far as the
	// caller's deadline allows. Defaults 10 ms and 2 s; a negative BaseDelay
	// means no wait.
	BaseDelay, MaxDelay time.Duration

	// AttemptTimeout bounds each attempt, within the caller's own deadline.
	// Default none.
	AttemptTimeout time.Duration

	// Budget bounds the retries of all calls together. Nil means no bound
	// but MaxAttempts.
	Budget *Budget

	// Retryable says whether an error is worth another attempt. Nil means
	// every error is. Errors marked by Permanent, the caller's cancellation
	// and refusals that never reached the endpoint are decided before it is
	// asked. It must be safe for concurrent use.
	Retryable func(error) bool

	// Hedge sends a second attempt beside a first one that takes long, for
	// the tail of the latencies (Dean and Barroso, "The tail at scale",
	// 2013). The function that is retried then runs twice at once: only for
	// calls that are idempotent, but see WithoutHedge. Nil means no hedges.
	Hedge *Hedge

	// Hooks are told what happens.
	Hooks Hooks
}

// Validate reports every fault of the policy at once, as errors joined together,
// each a *ConfigError. Do does not call it: a faulty policy is obeyed as far as
// it goes.
func (p Policy) Validate() error {
	var faults []error
	bad := func(field, format string, args ...any) {
		faults = append(faults, &ConfigError{Field: "Policy." + field, Problem: fmt.Sprintf(format, args...)})
	}
	if p.AttemptTimeout < 0 {
		bad("AttemptTimeout", "is %v; it cannot be negative (0 means none)", p.AttemptTimeout)
	}
	if p.MaxDelay < 0 {
		bad("MaxDelay", "is %v; it cannot be negative (0 means 2s; for no wait set BaseDelay to -1)", p.MaxDelay)
	}
	if p.MaxDelay > 0 && p.BaseDelay > p.MaxDelay {
		bad("BaseDelay", "is %v, above MaxDelay %v", p.BaseDelay, p.MaxDelay)
	}
	if h := p.Hedge; h != nil {
		if h.Delay < 0 {
			bad("Hedge.Delay", "is %v; it cannot be negative (0 means what 95 %% of attempts take)", h.Delay)
		}
		if p.AttemptTimeout > 0 && h.Delay >= p.AttemptTimeout {
			bad("Hedge.Delay", "is %v, which leaves nothing of AttemptTimeout %v", h.Delay, p.AttemptTimeout)
		}
		if p.maxAttempts() < 2 {
			bad("Hedge", "is one of MaxAttempts, which allows only the first")
		}
	}
	return errors.Join(faults...)
}

// String tells the numbers that the policy comes to, defaults filled in. It tells
// nothing of its Budget and its functions.
func (p Policy) String() string {
	hedge := "never"
	switch h := p.Hedge; {
	case h == nil:
	case h.Delay == 0:
		hedge = "after p95"
	default:
		hedge = "after " + h.Delay.String()
	}
	return fmt.Sprintf("attempts %d backoff %v timeout %v hedge %s", p.maxAttempts(), p.backoff(), p.AttemptTimeout, hedge)
}

func (p *Policy) maxAttempts() int {
	switch {
	case p.MaxAttempts == 0:
		return 3
	case p.MaxAttempts < 0:
		return 1
	}
	return p.MaxAttempts
}

func (p *Policy) backoff() ledger.Backoff {
	return ledger.Backoff{Base: p.BaseDelay, Max: p.MaxDelay}
}

// Mode says which retries the cluster lets through.
type Mode = coord.Mode

// The retry modes, in order of restriction.
const (
	ModeAll   = coord.RetryAll   // whatever the budget allows
	ModeRatio = coord.RetryRatio // only what first tries earned
	ModeNone  = coord.RetryNone  // none
)
