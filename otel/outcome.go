package otel

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/attribute"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failoverhttp"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

// outcome is an error.type as a number: one of those below, an HTTP status from 400
// to 599, or a gRPC status code above firstCode.
type outcome uint16

const (
	success outcome = iota // and whatever else is no error: no error.type
	timeout
	canceled
	superseded
	breakerOpen
	budgetExhausted
	retriesOff
	otherError
)

func (o outcome) String() string {
	switch o {
	case success:
		return ""
	case timeout:
		return "timeout"
	case canceled:
		return "canceled"
	case superseded:
		return "superseded"
	case breakerOpen:
		return "breaker_open"
	case budgetExhausted:
		return "budget_exhausted"
	case retriesOff:
		return "retries_off"
	case otherError:
		return other
	}
	if o.isCode() {
		return grpcCodes[o-firstCode].name
	}
	return strconv.Itoa(int(o))
}

func (o outcome) isStatus() bool { return o >= 400 && o < firstCode }

// firstCode is the outcome of code 0, OK, which is not one itself.
const firstCode = 600

const cancelled = firstCode + 1 // gRPC's

// grpcCodes are gRPC's status codes, in their order.
var grpcCodes = [...]struct {
	name   string // the canonical one
	affair bool   // of the caller: see theCallersAffair
}{
	{"OK", false},
	{"CANCELLED", false},
	{"UNKNOWN", false},
	{"INVALID_ARGUMENT", true},
	{"DEADLINE_EXCEEDED", false},
	{"NOT_FOUND", true},
	{"ALREADY_EXISTS", true},
	{"PERMISSION_DENIED", true},
	{"RESOURCE_EXHAUSTED", false},
	{"FAILED_PRECONDITION", true},
	{"ABORTED", true},
	{"OUT_OF_RANGE", true},
	{"UNIMPLEMENTED", true},
	{"INTERNAL", false},
	{"UNAVAILABLE", false},
	{"DATA_LOSS", false},
	{"UNAUTHENTICATED", true},
}

func (o outcome) isCode() bool { return o > firstCode && int(o-firstCode) < len(grpcCodes) }

func (o outcome) errorType() attribute.KeyValue { return errorTypeKey.String(o.String()) }

// ended is how a call or an attempt ended.
type ended struct {
	outcome outcome
	status  int     // of the HTTP response, 0 if unknown
	code    outcome // of the gRPC status, 0 if unknown
	stop    outcome // why there was no further attempt, if that was not by itself
	refusal *breaker.OpenError
}

// attemptEnded says how an attempt ended, whose context ctx is.
func attemptEnded(ctx context.Context, err error) (e ended) {
	if err == nil {
		return e
	}
	e.answered(ctx, err)
	if e.theCallersAffair() && e.status != http.StatusTooManyRequests {
		e.outcome = success
	}
	return e
}

// callEnded says how a call ended, whose context ctx is.
func callEnded(ctx context.Context, err error) (e ended) {
	if err == nil {
		return e
	}
	last, stop := err, error(nil)
	if r, ok := err.(*retry.Error); ok {
		last, stop = r.Err, r.Stop
	}
	if _, ok := stop.(*failover.DivertedError); ok {
		stop = nil // the last attempt decides
	}
	e.answered(ctx, last)
	if stop == nil {
		e.refusal, _ = last.(*breaker.OpenError)
	} else {
		e.refusal, _ = stop.(*breaker.OpenError)
		e.stop, _ = classify(ctx, stop)
		e.outcome = e.stop
	}
	if e.theCallersAffair() && ctx.Err() == nil { // who gave up does not get the response
		e.outcome = success
	}
	return e
}

// answered fills in what an attempt's error says.
func (e *ended) answered(ctx context.Context, err error) {
	if e.outcome, e.status = classify(ctx, err); e.outcome.isCode() {
		e.code = e.outcome
	}
}

// theCallersAffair reports whether a status is an answer like any other as far
// as retries, breakers and failover are concerned.
func (e *ended) theCallersAffair() bool {
	if e.code != 0 {
		return grpcCodes[e.code-firstCode].affair
	}
	return e.status >= 400 && e.status <= 499
}

// classify tells an error's kind, and the HTTP status if it stands for a
// response.
func classify(ctx context.Context, err error) (outcome, int) {
	var status *failoverhttp.StatusError
	var coded interface{ GRPCCode() uint32 } // a *failovergrpc.StatusError, which knows gRPC
	var open *breaker.OpenError
	var late interface{ Timeout() bool }
	switch {
	case errors.As(err, &status):
		if status.StatusCode < 400 || status.StatusCode > 599 {
			return otherError, status.StatusCode
		}
		return outcome(status.StatusCode), status.StatusCode
	case errors.As(err, &coded) && !coord.NotSent(err):
		o := firstCode + outcome(min(coded.GRPCCode(), 99))
		switch {
		case o == cancelled && canceledBy(ctx) == superseded:
			return superseded, 0 // gRPC has no error of its own for it
		case o.isCode():
			return o, 0
		}
		return otherError, 0
	case errors.As(err, &open):
		if open.Retry {
			return retriesOff, 0
		}
		return breakerOpen, 0
	case errors.Is(err, breaker.ErrOpen):
		return breakerOpen, 0
	case errors.Is(err, retry.ErrBudgetExhausted):
		return budgetExhausted, 0
	case errors.Is(err, retry.ErrRetriesOff):
		return retriesOff, 0
	case errors.Is(err, context.Canceled):
		return canceledBy(ctx), 0
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &late) && late.Timeout():
		return timeout, 0
	}
	// Not every error of a call that was cut short says so.
	switch ctx.Err() {
	case context.Canceled:
		return canceledBy(ctx), 0
	case context.DeadlineExceeded:
		return timeout, 0
	}
	return otherError, 0
}

// canceledBy tells the caller's cancellation from ours.
func canceledBy(ctx context.Context) outcome {
	if errors.Is(context.Cause(ctx), retry.ErrSuperseded) {
		return superseded
	}
	return canceled
}
