package coord

import (
	"context"
	"sync/atomic"
	"time"
)

// Stopwatch is a context for attempts that wait for their caller as well as for
// the endpoint, such as those that open a stream. The time that such an attempt
// took, as evidence about the endpoint, runs from the last Restart. It is safe for
// concurrent use.
type Stopwatch struct {
	context.Context              //nolint:containedctx // it is a context itself, to be one allocation
	since           atomic.Int64 // 0: there was no Restart
}

type stopwatchKey struct{}

// Value implements context.Context.
func (w *Stopwatch) Value(key any) any {
	if key == (stopwatchKey{}) {
		return w
	}
	return w.Context.Value(key)
}

// Restart has the time run from now.
func (w *Stopwatch) Restart() { w.since.Store(int64(Now())) }

// Took is how long an attempt with this context has taken that began at start.
func Took(ctx context.Context, start time.Duration) time.Duration {
	if w, ok := ctx.Value(stopwatchKey{}).(*Stopwatch); ok {
		if since := w.since.Load(); since != 0 {
			start = max(start, time.Duration(since))
		}
	}
	return Now() - start
}
