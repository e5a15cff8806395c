package failovergrpc

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

// StatusError is how an attempt or a call ended. Attempts have it in hooks, in
// retry.Policy.Retryable and in breaker.Config.Classify; calls return it, and it
// wraps a *retry.Error then, or the refusal.
//
// The functions of package status see its status, whose message is the server's
// own. Of a code DeadlineExceeded it is also a context.DeadlineExceeded, and where
// the caller has cancelled a context.Canceled.
type StatusError struct {
	Method   string // "/package.Service/Method"
	Endpoint string // of the attempt, or the last one; empty if there was none

	status *status.Status
	err    error
	ctx    error // what it is of package context's errors, if anything
}

func newStatusError(method, endpoint string, code codes.Code, message string) *StatusError {
	s := status.New(code, message)
	return &StatusError{Method: method, Endpoint: endpoint, status: s, err: s.Err()}
}

// Error tells of the attempts too if there were several, or if something else
// stopped the call.
func (e *StatusError) Error() string {
	if r, ok := e.err.(*retry.Error); ok && r.Attempts == 1 && r.Stop == nil {
		return r.Err.Error()
	}
	return e.err.Error()
}

// GRPCStatus is what package status asks for.
func (e *StatusError) GRPCStatus() *status.Status { return e.status }

// GRPCCode is the number of the code, for those who do not know gRPC.
func (e *StatusError) GRPCCode() uint32 { return uint32(e.status.Code()) }

// Unwrap returns what is behind the status.
func (e *StatusError) Unwrap() error { return e.err }

// Is reports whether target is the error of package context that this one is.
func (e *StatusError) Is(target error) bool { return e.ctx != nil && target == e.ctx }

// Timeout reports whether the deadline was exceeded.
func (e *StatusError) Timeout() bool { return e.status.Code() == codes.DeadlineExceeded }

// becauseOf notes the error of the caller's context, if the status says the same.
func (e *StatusError) becauseOf(err error) {
	if e.status.Code() == status.FromContextError(err).Code() {
		e.ctx = err
	}
}

// late makes the error of an attempt that ran out of time one by its cause.
func (e *StatusError) late(loop context.Context) {
	cause := context.Cause(loop)
	if errors.Is(cause, context.DeadlineExceeded) {
		e.status = status.New(codes.DeadlineExceeded, cause.Error())
		e.err = e.status.Err()
	}
	if e.status.Code() == codes.DeadlineExceeded {
		e.ctx = context.DeadlineExceeded
	}
}

// result makes the error of a call of what the group has returned.
func (c *call) result(err error) error {
	e := &StatusError{Method: c.method, err: err}
	var last *StatusError
	if errors.As(err, &last) {
		e.Endpoint, e.status, e.ctx = last.Endpoint, last.status, last.ctx
	}
	var open *breaker.OpenError
	r, tried := err.(*retry.Error)
	switch {
	case tried && r.Stop != nil && c.ctx.Err() != nil && errors.Is(r.Stop, c.ctx.Err()): // gave up between attempts
		e.status, e.ctx = status.New(status.FromContextError(c.ctx.Err()).Code(), r.Error()), c.ctx.Err()
	case tried && errors.Is(r.Stop, context.Canceled) && coord.HasEnded(c.ctx):
		e.status = status.New(codes.Canceled, errClosed.Error())
	case last != nil:
	case errors.As(err, &open):
		e.Endpoint, e.status = open.Endpoint, status.New(codes.Unavailable, err.Error())
	case errors.Is(err, failover.ErrClosed):
		e.status = status.New(codes.Canceled, err.Error())
	default:
		e.status = status.Convert(err)
	}
	return e
}
