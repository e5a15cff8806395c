package coord

import "context"

type attemptKey struct{}

// WithAttempt marks a context as that of a call's n-th attempt, counting from
// 1, so that a breaker under a retry loop can tell retries from first tries.
func WithAttempt(ctx context.Context, n int) context.Context {
	return context.WithValue(ctx, attemptKey{}, n)
}

// AttemptNumber returns what WithAttempt told, or 1.
func AttemptNumber(ctx context.Context) int {
	if n, ok := ctx.Value(attemptKey{}).(int); ok {
		return n
	}
	return 1
}

// MaxPrevious is the largest number of earlier attempts that is told to other
// processes, or believed of them.
const MaxPrevious = 10

// ReadPrevious reads a number of earlier attempts as another process has told
// it: decimal digits, however many, as at most MaxPrevious. Of several values the
// largest counts; anything else is passed over, and none is 0.
func ReadPrevious(values ...string) (most int) {
	for _, v := range values {
		n := 0
		for i := 0; i < len(v); i++ {
			if v[i] < '0' || v[i] > '9' {
				n = 0
				break
			}
			n = min(10*n+int(v[i]-'0'), MaxPrevious)
		}
		most = max(most, n)
	}
	return most
}

type endKey struct{}

// Until is a context of a call that waits for its next attempt no longer than until
// End is over. It is cheaper than one that ends with both.
type Until struct {
	context.Context                 //nolint:containedctx // it is one
	End             context.Context //nolint:containedctx // that of what makes the call
}

// Value implements context.Context.
func (u *Until) Value(key any) any {
	if key == (endKey{}) {
		return u.End
	}
	return u.Context.Value(key)
}

// HasEnded reports whether the call must not go on; see Until.
func HasEnded(ctx context.Context) bool {
	end, ok := ctx.Value(endKey{}).(context.Context)
	return ok && end.Err() != nil
}

// End is a channel that is closed when that is so, nil if it will never be.
func End(ctx context.Context) <-chan struct{} {
	if end, ok := ctx.Value(endKey{}).(context.Context); ok {
		return end.Done()
	}
	return nil
}

type hedgeKey struct{}

type hedge struct{ _ byte } // not empty, so that no two have one address

// WithHedge marks a context as that of a hedge: of an attempt that is sent while
// another one of its call is under way. Each hedge has a mark of its own; calls
// made within one inherit it.
func WithHedge(ctx context.Context) context.Context {
	return context.WithValue(ctx, hedgeKey{}, new(hedge))
}

// IsHedge reports whether an attempt, whose context is ctx, is a hedge of the call
// that was made with the context call. Whether that call is itself part of a hedge
// further up does not matter.
func IsHedge(ctx, call context.Context) bool {
	return ctx.Value(hedgeKey{}) != call.Value(hedgeKey{})
}
