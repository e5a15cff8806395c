// Package outlive lets what an attempt has opened, a body or a stream, live on
// when the attempt is over.
package outlive

import "context"

// Life is how long an attempt may use its context. Up to the first answer that is
// until the retry loop's context for the attempt ends; from then on, until what
// the attempt has opened ends, and as long as the caller's context lasts.
//
// Where the loop adds no end of its own, its context serves as it is.
type Life struct {
	ctx    context.Context         //nolint:containedctx // keeping it alive is what a Life is for
	cancel context.CancelCauseFunc // nil: ctx is the loop's own
	stop   func() bool             // cuts the tie to the loop's context
	kept   bool
}

// Begin begins the life of an attempt with the caller's context, and the loop's
// that is derived from it.
func Begin(caller, loop context.Context) Life {
	if loop.Done() == caller.Done() {
		return Life{ctx: loop}
	}
	ctx, cancel := context.WithCancelCause(&joined{caller, loop})
	stop := context.AfterFunc(loop, func() {
		if caller.Err() == nil { // else ctx ends by itself, with the right Err
			cancel(context.Cause(loop))
		}
	})
	return Life{ctx: ctx, cancel: cancel, stop: stop}
}

// Context is the attempt's context: it has the values of the loop's.
func (l *Life) Context() context.Context { return l.ctx }

// Answered cuts the tie to the loop's context. It reports false if that has ended
// before.
func (l *Life) Answered() bool { return l.stop == nil || l.stop() }

// Keep hands the end of the life over to whoever calls the function returned,
// which is nil if there is nothing to do.
func (l *Life) Keep() context.CancelCauseFunc {
	l.kept = true
	return l.cancel
}

// EndUnlessKept ends the life of an attempt that has left nothing behind.
func (l *Life) EndUnlessKept() {
	if !l.kept {
		l.End()
	}
}

// End ends the life. It may be called more than once, and by several goroutines.
func (l *Life) End() {
	if l.cancel != nil {
		l.stop()
		l.cancel(context.Canceled)
	}
}

// joined has the values of one context and the lifetime of another.
type joined struct {
	context.Context                 //nolint:containedctx // it is a context itself
	values          context.Context //nolint:containedctx // the same
}

func (j *joined) Value(key any) any { return j.values.Value(key) }

// AfterFunc is what package context asks for, so that it needs no goroutine to
// watch a context that it does not know.
func (j *joined) AfterFunc(f func()) (stop func() bool) { return context.AfterFunc(j.Context, f) }
