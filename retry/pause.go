package retry

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/ledger"
)

// pause draws the wait before the n-th retry; after is what the server has told
// this call. The error says why there is no time for it.
func pause(ctx context.Context, b ledger.Backoff, n int, after time.Duration, to Route) (time.Duration, error) {
	p := ledger.Pause{
		Backoff: b, Retry: n, Typical: to.Latency,
		Floor: min(after, maxAfter), Shared: to.Pushback, Room: room(ctx, to.Latency),
	}
	wait, ok := p.Draw(rand.Float64(), rand.Float64())
	switch {
	case ok:
		return wait, nil
	case p.Shared >= p.Room:
		return 0, errPushed
	}
	return 0, errNoTime
}

// room is what a wait must be shorter than, so that the caller's deadline leaves
// time for an answer.
func room(ctx context.Context, latency time.Duration) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ledger.NoDeadline
	}
	return time.Until(deadline) - latency
}

// route is where retries go when nobody says which endpoint they turn to.
func (b *Budget) route() Route {
	if b == nil {
		return Route{}
	}
	to := Route{Mode: b.mode(), Latency: b.Latency()}
	to.Pushback, to.Failing = b.shared.Pushback(coord.Now())
	return to
}
