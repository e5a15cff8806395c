package retry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// ErrBudgetExhausted is among the causes of an Error when a retry was wanted
// but the budget had no token for it.
var ErrBudgetExhausted = errors.New("retry: budget exhausted: first tries have not earned another retry")

// ErrRetriesOff is among the causes of an Error when the cluster has turned
// retries off, because the endpoint is in trouble and they would not help.
var ErrRetriesOff = errors.New("retry: retries are off by the cluster's verdict")

// ErrSuperseded is the cause with which an attempt's context ends when the call
// has been decided by the attempt beside it (see Hedge). It is a cancellation,
// and never an error that a call returns.
var ErrSuperseded = fmt.Errorf("retry: superseded by another attempt of the call: %w", context.Canceled)

var (
	errNoTime  = fmt.Errorf("retry: another attempt would not fit the deadline: %w", context.DeadlineExceeded)
	errPushed  = fmt.Errorf("retry: the endpoint has asked the cluster to be left alone for longer than the deadline allows: %w", context.DeadlineExceeded)
	errAttempt = fmt.Errorf("retry: attempt timed out: %w", context.DeadlineExceeded)
)

// Error is what Do returns once at least one attempt has been made and none has
// succeeded. errors.Is and errors.As see through it to Err and Stop.
type Error struct {
	// Attempts is how many attempts were made.
	Attempts int
	// Err is the last attempt's error.
	Err error
	// Stop is why there was no further attempt: ErrBudgetExhausted,
	// ErrRetriesOff, a refusal by a breaker, a diversion (see package failover), the
	// deadline, or the caller's cancellation. It is nil when all attempts were used, when Err is not
	// worth a retry, and when Err says it already.
	Stop error
}

func (e *Error) Error() string {
	times := fmt.Sprintf("%d attempts", e.Attempts)
	if e.Attempts == 1 {
		times = "1 attempt"
	}
	if e.Stop == nil {
		return fmt.Sprintf("failed after %s: %v", times, e.Err)
	}
	return fmt.Sprintf("failed after %s: %v (%v)", times, e.Err, e.Stop)
}

// Unwrap returns Err and Stop.
func (e *Error) Unwrap() []error {
	if e.Stop == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.Stop}
}

// NotSent reports that nothing reached an endpoint: false, even if the last
// attempt was refused. Without it, whoever looks for a refusal in the error
// would find the one in Stop, and take the whole call for one never sent.
func (e *Error) NotSent() bool { return false }

// Pushback reports that the call asks nobody to be left alone: 0, whatever its
// attempts were asked for (see After). Without it a breaker around a call that
// makes this one would find an endpoint's wish in here, and take it for that of
// its own endpoint. So a breaker belongs inside the loop, around each attempt.
func (e *Error) Pushback() time.Duration { return 0 }

// Timeout reports whether the last attempt timed out, or the deadline ended the
// call. With it *url.Error, which asks its Err itself, tells a timeout as one.
func (e *Error) Timeout() bool { return timeout(e.Err) || timeout(e.Stop) }

func timeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// Permanent marks an error as not worth a retry. It unwraps to err;
// Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &markedError{err: err, after: -1}
}

// After marks an error as carrying the server's wish to be left alone for d
// (Retry-After, gRPC's retry pushback). The wait before the next attempt is
// then at least d, but never more than 30 s for its sake. A negative d means
// that the server wants no retry at all, which is passed on to the tier above
// (see Discouraged). It unwraps to err; After(nil, d) is nil.
//
// In a cluster it is seen by the breaker through which the attempt went, but by
// none around the whole call (see Error.Pushback). Once two members have met one
// within 5 s, the retries of all wait (see Route.Pushback).
func After(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &markedError{err: err, after: d, pushback: d < 0}
}

const maxAfter = coord.MaxPushback

type markedError struct {
	err      error
	after    time.Duration // negative: no retry
	pushback bool          // that is what the server wants
}

func (e *markedError) Error() string { return e.err.Error() }
func (e *markedError) Unwrap() error { return e.err }

// Pushback is how long the server wants to be left alone, 0 or less for not at
// all. That the error is not worth a retry does not change what the server wants.
func (e *markedError) Pushback() time.Duration {
	var inner interface{ Pushback() time.Duration }
	if e.after < 0 && errors.As(e.err, &inner) {
		return inner.Pushback()
	}
	return e.after
}

// ConfigError is one fault of a Policy or BudgetConfig.
type ConfigError struct {
	Field   string // name of the field
	Problem string // what is wrong with it, and what would be right
}

func (e *ConfigError) Error() string { return "retry: " + e.Field + " " + e.Problem }
