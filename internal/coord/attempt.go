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
