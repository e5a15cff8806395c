package breaker

import (
	"context"
	"errors"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// timeout is the time an attempt may take: its own, else what the caller has
// left, else a second.
func (b *Breaker) timeout(ctx context.Context) time.Duration {
	if b.config.AttemptTimeout > 0 {
		return b.config.AttemptTimeout
	}
	if deadline, ok := ctx.Deadline(); ok {
		return min(max(time.Until(deadline), 100*time.Millisecond), 10*time.Second)
	}
	return coord.DefaultAttemptTimeout
}

// outcome classifies an error. The caller's cancellation says nothing about the
// endpoint. The caller's deadline does, if the attempt had been in flight for so
// long that a healthy endpoint would have answered: most callers set nothing
// but a deadline, and a black hole would leave no evidence at all.
func (b *Breaker) outcome(ctx context.Context, err error, took, timeout time.Duration, a *coord.Advice) coord.Outcome {
	if err != nil && ctx.Err() != nil {
		long := timeout / 2
		if a.Thr > 0 {
			long = min(a.Thr, long)
		}
		if errors.Is(ctx.Err(), context.DeadlineExceeded) && took > long {
			return coord.Slow
		}
		return coord.Neutral
	}
	o := OutcomeDefault
	if b.config.Classify != nil {
		o = b.config.Classify(err)
	}
	if o == OutcomeDefault {
		if err == nil {
			return coord.Success
		}
		o = DefaultClassify(err)
	}
	switch {
	case o == OutcomeSuccess:
		return coord.Success
	case o == OutcomeNeutral:
		return coord.Neutral
	case errors.Is(err, context.DeadlineExceeded):
		return coord.Slow
	}
	return coord.Failure
}

// verdict says an outcome in gobreaker's words.
func verdict(o coord.Outcome) error {
	switch o {
	case coord.Success:
		return nil
	case coord.Neutral:
		return errNeutral
	default:
		return errFailed
	}
}

// Report counts an outcome that became known only after the call had returned,
// such as a response body that broke midway. It is counted as a failure, beside
// the success that the call was counted as, unless err is neutral; nil does
// nothing. Like Allow's done, it cannot tell the caller's own cancellation.
func (b *Breaker) Report(err error) {
	if err == nil {
		return
	}
	a := b.shared.Advice()
	o := b.outcome(context.Background(), err, 0, 0, a)
	if o == coord.Success || o == coord.Neutral {
		return
	}
	b.shared.Send(a, b.config.AttemptTimeout, false, 0).End(o, 0)
	if a.InForce() || a.Frozen {
		return
	}
	l := b.machine(a, coord.Now())
	if State(l.state.Load()) != Closed {
		return // late news must not use up a probe
	}
	if l.twoStep != nil {
		if done, refusal := l.twoStep.Allow(); refusal == nil {
			done(errFailed)
		}
	} else {
		_, _ = l.exec.Execute(func() (struct{}, error) { return struct{}{}, errFailed })
	}
	l.tell()
}
