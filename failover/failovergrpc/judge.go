package failovergrpc

import (
	"context"
	"errors"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover/internal/unsent"
	"github.com/murmuration-go/murmuration/retry"
	"github.com/murmuration-go/murmuration/retry/retrygrpc"
)

// stage is how far a call has come, by what it is that another attempt would
// repeat.
type stage int

const (
	stageUnary   stage = iota // the whole call
	stageOpening              // the opening of a stream, of which the application has sent and seen nothing
	stageOpen                 // more than that, which must not be
)

// isFailure reports whether a code is evidence against the endpoint.
func isFailure(code codes.Code) bool {
	switch code {
	case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded, codes.Internal, codes.Unknown, codes.DataLoss:
		return true
	default:
		return false
	}
}

// judge says what the error of an attempt is to the retry loop and the breaker.
func (c *call) judge(loop context.Context, a *attempt, at stage, err error) error {
	var fault *unsent.Error
	if errors.As(err, &fault) {
		return c.unfit(a, fault)
	}
	e := &StatusError{Method: c.method, Endpoint: a.endpoint, status: status.Convert(err), err: err}
	switch code := e.status.Code(); {
	case hasEnded(c.ctx): // the loop sees that for itself
		e.becauseOf(c.ctx.Err())
		return e
	case code == codes.DeadlineExceeded || code == codes.Canceled && loop.Err() != nil:
		e.late(loop)
	}
	code := e.status.Code()
	var out error = e
	if !isFailure(code) || a.unfit(code) {
		out = breaker.Neutral(e)
	}
	wait, told := pushback(a, e.status)
	switch {
	case told && wait < 0 && a.internal:
		return retry.After(out, -1)
	case told && wait < 0, !c.worth(a, at, code, told):
		return retry.Permanent(out)
	case told:
		return retry.After(out, wait)
	}
	return out
}

// worth reports whether a code is worth another attempt. told says that the server
// has said when to come back.
func (c *call) worth(a *attempt, at stage, code codes.Code, told bool) bool {
	switch {
	case at == stageOpen:
		return false
	case code == codes.ResourceExhausted:
		return told
	case code != codes.Unavailable && code != codes.DeadlineExceeded:
		return false
	case at == stageOpening, code == codes.Unavailable && a.saw(seenStatus), a.unsent():
		return true
	}
	return c.mayRepeat()
}

// unfit reports whether a code is gRPC's own word and no endpoint's: for a request
// that could not be sent, or an answer that is larger than it may be.
func (a *attempt) unfit(code codes.Code) bool {
	switch {
	case code == codes.Unavailable || code == codes.DeadlineExceeded:
		return false
	case a.saw(seenHeaders):
		return code == codes.ResourceExhausted // who is short of resources says so before anything else
	}
	return a.unsent() && !a.saw(seenStatus)
}

// pushback returns how long the server wishes to be left alone, in gRPC's words or
// in Google's; negative means for ever.
func pushback(a *attempt, s *status.Status) (wait time.Duration, told bool) {
	if wait, told = retrygrpc.ReadPushback(a.trailer); told {
		return wait, true
	}
	for _, d := range s.Details() {
		if r, ok := d.(*errdetails.RetryInfo); ok && r.GetRetryDelay() != nil {
			return max(r.GetRetryDelay().AsDuration(), 0), true
		}
	}
	return 0, false
}

// hasEnded reports whether a context has ended, or is just about to: gRPC may know
// of a deadline first.
func hasEnded(ctx context.Context) bool {
	if d, ok := ctx.Deadline(); ok && time.Until(d) <= 0 && ctx.Done() != nil {
		<-ctx.Done()
	}
	return ctx.Err() != nil
}

func (c *call) unfit(a *attempt, err *unsent.Error) error {
	code := codes.Internal
	if errors.Is(err, errClosed) {
		code = codes.Canceled
	}
	return &StatusError{Method: c.method, Endpoint: a.endpoint, status: status.New(code, err.Error()), err: err}
}
