package retry

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/ledger"
)

// race is a first attempt, on the caller's goroutine, and a hedge beside it, on
// that of a timer: a call that is fast enough starts no goroutine.
//
// Invariants:
//  1. The hedge is sent only while the first attempt runs, and once it is paid
//     for.
//  2. The timer's goroutine ends before the caller's goes on, even to panic.
//  3. An attempt that decides the call cancels the other: by a success, or by an
//     error not worth another attempt.
type race struct {
	call  Call          // the hedge's
	took  time.Duration // by the first attempt
	ended sync.WaitGroup

	mu      sync.Mutex
	over    bool                    // the first attempt has ended
	cancel  context.CancelCauseFunc // of the hedge, once it is sent
	decided int                     // number of the attempt that did; 0 for none

	// The rest is for the hedge to write, and can be read once it has ended.
	sent     bool
	err      error
	cut      bool // it has cancelled the first attempt
	later    bool // it ended after the first attempt
	panicked error
	exited   bool // it has ended its goroutine
}

// runner runs an attempt.
type runner = func(context.Context, *Call) error

// hedged is Hedged without the values.
func (c *Call) hedged(ctx context.Context, tail *Tail, to func() Route, run runner) (hedge bool, err error) {
	r := &race{call: Call{policy: c.policy, number: c.number + 1, hedgedAfter: c.policy.Hedge.after(tail)}}
	err = r.run(ctx, c, to, run)
	if r.panicked != nil {
		panic(r.panicked)
	}
	if r.exited {
		runtime.Goexit()
	}
	if tail != nil && (err == nil || r.cut && r.err == nil) { // what was cut off would have taken longer
		tail.Add(r.took)
	}
	if r.sent {
		c.number = r.call.number
		if !coord.NotSent(err) {
			c.sent++ // two were sent, and whoever goes on with c adds one
		}
	}
	if r.hedgeCounts(err) {
		return true, r.err
	}
	return false, err
}

// run runs the first attempt, and the hedge if it comes to that.
func (r *race) run(ctx context.Context, c *Call, to func() Route, run runner) (err error) {
	start := coord.Now()
	if r.call.hedgedAfter == 0 {
		err = run(ctx, c)
		r.took = coord.Now() - start
		return err
	}
	first, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.ended.Add(1)
	timer := time.AfterFunc(r.call.hedgedAfter, func() {
		defer r.ended.Done()
		r.hedge(ctx, cancel, to, run)
	})
	decides := true // if run panics, or ends its goroutine
	defer func() {
		if !timer.Stop() {
			r.firstEnded(c.number, decides)
			r.ended.Wait()
		}
	}()
	err = run(first, c)
	r.took = coord.Now() - start
	decides = c.policy.decides(err)
	return err
}

// hedge sends the hedge, if it may. It is what the timer runs.
func (r *race) hedge(ctx context.Context, cancelFirst context.CancelCauseFunc, to func() Route, run runner) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != nil {
			r.panicked = &panicError{v, debug.Stack()}
		} else {
			r.exited = true
		}
		cancelFirst(ErrSuperseded)
	}()
	if token, ok := r.pay(ctx, to()); ok {
		own, cancel := context.WithCancelCause(coord.WithHedge(ctx))
		defer cancel(nil)
		r.call.source = TokenSource(token.Source())
		if r.begin(cancel) {
			r.hedgeEnded(run(own, &r.call), cancelFirst)
		}
		if !r.sent {
			r.call.policy.Budget.giveBack(token)
		}
	}
	returned = true
}

// pay takes a token for the hedge, if it may be sent at all. There is no time to
// borrow one.
func (r *race) pay(ctx context.Context, to Route) (ledger.Token, bool) {
	if to.Mode != ModeAll || to.Pushback > 0 || ctx.Err() != nil || room(ctx, to.Latency) <= 0 {
		return ledger.Token{}, false
	}
	token, answer := r.call.policy.Budget.take(ledger.Want{Mode: to.Mode, Double: Previous(ctx) > 0, Now: true})
	return token, answer == ledger.Yes
}

// begin reports whether it is not too late for the hedge, which cancel ends.
func (r *race) begin(cancel context.CancelCauseFunc) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cancel = cancel
	return !r.over
}

func (r *race) hedgeEnded(err error, cancelFirst context.CancelCauseFunc) {
	r.sent, r.err = !coord.NotSent(err), err
	decides := r.sent && r.call.policy.decides(err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.later = r.over
	if decides && r.decided == 0 {
		r.decided = r.call.number
		r.cut = !r.over
		cancelFirst(ErrSuperseded)
	}
}

func (r *race) firstEnded(number int, decides bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	if decides && r.decided == 0 {
		r.decided = number
		if r.cancel != nil {
			r.cancel(ErrSuperseded)
		}
	}
}

// decides reports whether how an attempt ended is how the call ends.
func (p *Policy) decides(err error) bool {
	if err == nil {
		return true
	}
	_, again := p.worth(err)
	return !again
}

// hedgeCounts reports whether the outcome of the two is the hedge's, rather than
// the first attempt's, which is err: that of the one that succeeded, else of the
// one that decided the call, else of the later one.
func (r *race) hedgeCounts(err error) bool {
	switch {
	case !r.sent:
		return false
	case coord.NotSent(err):
		return true
	case (err == nil) != (r.err == nil):
		return r.err == nil
	case r.decided != 0:
		return r.decided == r.call.number
	}
	return r.later
}

// panicError carries a panic of the hedge, and where it was, over to the
// caller's goroutine.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("%v\n\n%s", e.value, e.stack) }

// Unwrap returns what the panic was called with, if it was an error.
func (e *panicError) Unwrap() error {
	err, _ := e.value.(error)
	return err
}
