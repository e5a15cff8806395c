package peers

import (
	"math/rand/v2"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// The defaults of Finagle's RetryBudget and RetryPolicy.tries.
const (
	finagleTTL      = 10 * time.Second
	finagleFloor    = 10 // retries a second
	finagleDeposit  = 1000
	finagleWithdraw = 5000 // a deposit is worth 0.2 retries
	finagleReserve  = finagleFloor * int64(finagleTTL/time.Second) * finagleWithdraw
	finagleStart    = 5 * time.Millisecond
	finagleMax      = 200 * time.Millisecond
)

// finagle is Finagle's retry filter with its RetryBudget (develop branch:
// finagle-core service/RetryBudget.scala, RetryFilter.scala, RetryPolicy.scala,
// Backoff.scala, client/MethodBuilderRetry.scala; util-core TokenBucket.scala
// and WindowedAdder.scala).
//
// By default 20 % of the calls may be retried, and 10 a second on top of that.
// A call deposits 1,000 tokens, a retry withdraws 5,000, and both are forgotten
// after 10 s; what the bucket holds beyond them is a reserve of 100 retries. So
// a quiet client can spend 100 retries at once, and again 10 s later when the
// withdrawals have been forgotten, whatever became of the calls.
//
// Out of the box Finagle retries only what was never written or was refused with
// a nack, at once. Here it is used the way that its guide shows for failures of
// an idempotent service: MethodBuilder's retries with a classifier that calls
// failures and timeouts retryable. Its waits are decorrelated jitter from 5 to
// 200 ms, of which the first is always 5 ms. MethodBuilder makes 2 retries by
// default; here MaxRetries.
//
// Left out: failure accrual (5 failures in a row or a success rate under 0.8
// mark an endpoint dead for 5 to 300 s). Finagle's balancers send to a dead
// endpoint if there is no other, so that with one endpoint it changes nothing,
// and this row is about the budget.
type finagle struct {
	rand   *rand.Rand
	budget leaky
}

func newFinagle(now time.Duration, e sim.Env) sim.Client {
	return &finagle{rand: e.Rand, budget: leaky{old: now}}
}

func (c *finagle) Admit(now time.Duration, a *sim.Attempt) bool {
	if a.N == 1 {
		a.State = nil
		c.budget.add(now, finagleDeposit)
	}
	return true
}

func (c *finagle) End(time.Duration, *sim.Attempt, sim.Outcome, time.Duration) {}

func (c *finagle) Retry(now time.Duration, a *sim.Attempt, _ sim.Outcome) (time.Duration, bool) {
	if a.N > MaxRetries || c.budget.sum(now)+finagleReserve < finagleWithdraw {
		return 0, false
	}
	c.budget.add(now, -finagleWithdraw)
	last, ok := a.State.(*time.Duration)
	if !ok {
		last = new(time.Duration) // the one allocation, for a call that fails
		a.State = last
	}
	*last = c.decorrelated(*last)
	return *last, true
}

// decorrelated is the wait that follows last, 0 being none.
func (c *finagle) decorrelated(last time.Duration) time.Duration {
	if last == 0 {
		return finagleStart
	}
	room := min(3*last, finagleMax) - last
	if room <= 0 {
		return last
	}
	return last + time.Duration(c.rand.Int64N(int64(room)))
}

// finagleSlices make the window: nine kept and the one written to.
const finagleSlices = 10

// leaky is WindowedAdder: the sum of what was added within about the TTL. Its
// slices do not begin at multiples of a second but when it was used first after
// the last one's end.
type leaky struct {
	writer int64
	kept   [finagleSlices - 1]int64
	i      int
	old    time.Duration // when the present slice began
}

func (l *leaky) add(now time.Duration, n int64) {
	l.expire(now)
	l.writer += n
}

func (l *leaky) sum(now time.Duration) int64 {
	l.expire(now)
	sum := l.writer
	for _, n := range l.kept {
		sum += n
	}
	return sum
}

func (l *leaky) expire(now time.Duration) {
	const slice = finagleTTL / finagleSlices
	if now-l.old < slice {
		return
	}
	l.kept[l.i], l.writer = l.writer, 0
	l.i = (l.i + 1) % len(l.kept)
	for range min((now-l.old)/slice-1, time.Duration(len(l.kept))) {
		l.kept[l.i] = 0
		l.i = (l.i + 1) % len(l.kept)
	}
	l.old = now
}
