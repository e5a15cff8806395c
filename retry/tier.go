package retry

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// tier is the context of a request that is being served, or of an attempt after
// the first. It is a context itself, rather than the value of one, to be one
// allocation.
type tier struct {
	context.Context //nolint:containedctx // it is a context itself
	previous        int
	told            *atomic.Bool // of the request that is being served; nil: there is none
	own             atomic.Bool  // what told points to, unless the request had one already
}

type tierKey struct{}

func (t *tier) Value(key any) any {
	if key == (tierKey{}) {
		return t
	}
	return t.Context.Value(key)
}

// tierOf returns the innermost tier of a context, or nil.
func tierOf(ctx context.Context) *tier {
	t, _ := ctx.Value(tierKey{}).(*tier)
	return t
}

// WithPrevious returns the context for serving a request before which there were
// n attempts to do the same, as its client told. It is for servers; retryhttp and
// retrygrpc call it. A number below 0 counts as 0, and one above 10 as 10. If ctx
// has a number already the larger one counts.
//
// A retry below a request with a number above 0 costs two tokens of its Budget
// instead of one.
func WithPrevious(ctx context.Context, n int) context.Context {
	t := &tier{Context: ctx, previous: min(max(n, 0), coord.MaxPrevious)}
	t.told = &t.own
	if above := tierOf(ctx); above != nil {
		t.previous = max(t.previous, above.previous)
		if above.told != nil {
			t.told = above.told
		}
	}
	return t
}

// Previous returns how many attempts came before: in the context of a request
// being served those that its client told of, in the context of an attempt also
// those of its own call. That is the number for an attempt to send to the next
// tier, from 0 to 10. It may be sent to one's own services only; nobody else is
// to know.
func Previous(ctx context.Context) int {
	if t := tierOf(ctx); t != nil {
		return t.previous
	}
	return 0
}

// withEarlier returns the context of an attempt before which its call made some
// others.
func withEarlier(ctx context.Context, attempts int) context.Context {
	t := &tier{Context: ctx, previous: attempts}
	if above := tierOf(ctx); above != nil {
		t.previous += above.previous
		t.told = above.told
	}
	t.previous = min(t.previous, coord.MaxPrevious)
	return t
}

// Discourage has the client of the request being served told not to retry,
// should the request fail. It is for a server that knows that a retry would be no
// use to whichever of its replicas it went. Without a WithPrevious further up it
// does nothing. It is safe for concurrent use.
func Discourage(ctx context.Context) {
	if t := tierOf(ctx); t != nil && t.told != nil {
		t.told.Store(true)
	}
}

// Discouraged reports whether the client of the request being served is to be
// told not to retry, should the request fail: by Discourage, or because a call
// below the request gave up for want of budget, by the verdict of the cluster or
// of an operator, or because it was itself told so (a negative After). A local
// breaker is no reason, since another replica may well get through, and neither
// are attempts used up. It is safe for concurrent use.
//
// So retries are made by the tier next to the trouble. The price is that budgets
// further up stay unused when more fails there than its own can retry.
func Discouraged(ctx context.Context) bool {
	t := tierOf(ctx)
	return t != nil && t.told != nil && t.told.Load()
}

// passOn discourages the tier above if the call has ended for a reason that holds
// there too.
func (c *Call) passOn(ctx context.Context) {
	if t := tierOf(ctx); t != nil && t.told != nil && c.inVain() {
		t.told.Store(true)
	}
}

// inVain reports whether the call has ended because retries are too many or no
// use, and not only its own.
func (c *Call) inVain() bool {
	switch c.stop {
	case nil:
		var m *markedError
		return errors.As(c.last, &m) && m.pushback
	case ErrBudgetExhausted, ErrRetriesOff:
		return true
	}
	var e interface{ ByVerdict() bool }
	return errors.As(c.stop, &e) && e.ByVerdict()
}
