package retry

import (
	"context"
	"io"
	"time"

	"github.com/murmuration-go/murmuration/internal/frugal"
)

// Hedge says when a call that waits for its first attempt sends another one
// beside it. Whichever succeeds first counts; the other is cancelled, by a
// context whose cause is ErrSuperseded, and the call returns once both have. If
// one fails the other is waited for, unless the error is not worth another
// attempt: that ends the call.
//
// A call is hedged once, in its first attempt. The hedge counts among MaxAttempts,
// as attempt 2, and is paid for like a retry, by a token of the same Budget. It
// is not sent where that has none, where the rest of the deadline is too short
// for it, and while the cluster restricts retries at all. The call then goes on
// as it would without.
//
// A losing success is discarded; if it is an io.Closer it is closed. The contexts
// of both attempts end with the call at the latest, so that what fn returns must
// not need its own.
type Hedge struct {
	// Delay is how long the first attempt has to itself. Zero means as long
	// as 95 % of first attempts take, but at least 1 ms: of those of the
	// same endpoint in a failover.Group, and of the same Budget under Do and
	// Value, which without a Budget send no hedge then. Nor is there one
	// before 65 of them have succeeded.
	Delay time.Duration
}

const shortestDelay = time.Millisecond // below it timers are too coarse

// Tail is the slow end of the latencies of first attempts. The zero Tail knows
// nothing yet. It is for those who drive a Call.
type Tail = frugal.P95

// after is how long the first attempt has to itself; 0 means that there is to be
// no hedge.
func (h *Hedge) after(tail *Tail) time.Duration {
	switch {
	case h.Delay != 0:
		return max(h.Delay, 0)
	case tail == nil || !tail.Warm():
		return 0
	}
	return max(tail.Value(), shortestDelay)
}

type unhedgedKey struct{}

// WithoutHedge marks the calls of a context as not to be hedged, whatever their
// Policy says: those that must not be under way twice at once.
func WithoutHedge(ctx context.Context) context.Context {
	return context.WithValue(ctx, unhedgedKey{}, true)
}

// MayHedge reports whether the attempt under way may have a hedge beside it, and
// is thus to be run by Hedged.
func (c *Call) MayHedge(ctx context.Context) bool { return c.policy.Hedge != nil && c.mayHedge(ctx) }

func (c *Call) mayHedge(ctx context.Context) bool {
	return c.number == 1 && c.policy.maxAttempts() > 1 && ctx.Value(unhedgedKey{}) == nil
}

// Hedged runs the first attempt of a call by run, and a hedge if it takes long,
// also by run: with a Call of its own, whose Number is 2, and on a goroutine of
// its own, which has ended when Hedged returns. Just before, it asks for the
// hedge's route, on that goroutine; to is to answer with a Mode other than
// ModeAll if there is to be none. The tail is that of where the first attempt
// goes; nil means unknown.
//
// What it returns is what one of the two returned, and whether that was the
// hedge. It stands for both of them to c, for which it is the attempt under way.
// A panic of the hedge goes on in the caller's goroutine.
func Hedged[T any](ctx context.Context, c *Call, tail *Tail, to func() Route, run func(context.Context, *Call) (T, error)) (v T, hedge bool, err error) {
	var got [2]struct {
		v    T
		well bool
	}
	hedge, err = c.hedged(ctx, tail, to, func(ctx context.Context, a *Call) (err error) {
		mine := &got[a.number-1]
		mine.v, err = run(ctx, a)
		mine.well = err == nil
		return err
	})
	counts, other := &got[0], &got[1]
	if hedge {
		counts, other = other, counts
	}
	if other.well {
		discard(other.v)
	}
	return counts.v, hedge, err
}

// discard closes a value that nobody will see.
func discard(v any) {
	if c, ok := v.(io.Closer); ok {
		_ = c.Close()
	}
}
