package failoverhttp

import (
	"context"
	"net/http/httptrace"
	"sync/atomic"
)

// life is how long an attempt may use its context. Up to the headers that is
// until the retry loop's context for the attempt ends; from then on, until the
// body is closed or read to its end, and as long as the caller's context lasts.
//
// Where the loop adds no end of its own, its context serves as it is.
type life struct {
	ctx    context.Context
	cancel context.CancelCauseFunc // nil: ctx is the loop's own
	stop   func() bool             // cuts the tie to the loop's context
	kept   bool
}

func begin(caller, loop context.Context) life {
	if loop.Done() == caller.Done() {
		return life{ctx: loop}
	}
	ctx, cancel := context.WithCancelCause(&joined{caller, loop})
	stop := context.AfterFunc(loop, func() {
		if caller.Err() == nil { // else ctx ends by itself, with the right Err
			cancel(context.Cause(loop))
		}
	})
	return life{ctx: ctx, cancel: cancel, stop: stop}
}

// headersCame cuts the tie to the loop's context. It reports false if that has
// ended before.
func (l *life) headersCame() bool { return l.stop == nil || l.stop() }

// keep hands the end of the life over to whoever calls the function returned,
// which is nil if there is nothing to do.
func (l *life) keep() context.CancelCauseFunc {
	l.kept = true
	return l.cancel
}

// endUnlessKept ends the life of an attempt that has left nothing to read.
func (l *life) endUnlessKept() {
	if l.cancel != nil && !l.kept {
		l.stop()
		l.cancel(context.Canceled)
	}
}

// joined has the values of one context and the lifetime of another.
type joined struct {
	context.Context
	values context.Context
}

func (j *joined) Value(key any) any { return j.values.Value(key) }

// AfterFunc is what package context asks for, so that it needs no goroutine to
// watch a context that it does not know.
func (j *joined) AfterFunc(f func()) (stop func() bool) { return context.AfterFunc(j.Context, f) }

// sightings tells whether an attempt can have sent anything. The line is drawn
// at having a connection: what is written to it is written by a goroutine of
// the transport's, which may get ahead while the attempt is being given up.
type sightings struct{ asked, got atomic.Bool }

func (s *sightings) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { s.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { s.got.Store(true) },
	})
}
