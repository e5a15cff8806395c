package outlive_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/internal/outlive"
)

type key struct{}

var errLate = errors.New("late")

// begin begins a life with a loop's context that ends after a second.
func begin(caller context.Context, t *testing.T) (outlive.Life, context.Context) {
	loop, cancel := context.WithTimeoutCause(context.WithValue(caller, key{}, "v"), time.Second, errLate)
	t.Cleanup(cancel)
	return outlive.Begin(caller, loop), loop
}

func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		caller, leave := context.WithCancel(t.Context())
		// Up to the answer the attempt's time counts.
		l, loop := begin(caller, t)
		ctx := l.Context()
		if _, ok := ctx.Deadline(); ok || ctx.Value(key{}) != "v" {
			t.Errorf("the context tells of the attempt's deadline (%v), or lacks its values", ok)
		}
		<-loop.Done()
		synctest.Wait()
		if context.Cause(ctx) != errLate || l.Answered() {
			t.Errorf("late, and the context ended by %v", context.Cause(ctx))
		}
		// From then on only what was kept.
		l, loop = begin(caller, t)
		ctx = l.Context()
		if !l.Answered() {
			t.Error("not answered in time")
		}
		end := l.Keep()
		l.EndUnlessKept()
		<-loop.Done()
		synctest.Wait()
		if ctx.Err() != nil {
			t.Errorf("the context of what was kept ended by %v", ctx.Err())
		}
		end(nil)
		if ctx.Err() == nil {
			t.Error("it did not end with what was kept")
		}
		// Or as long as the caller.
		l, _ = begin(caller, t)
		leave()
		<-l.Context().Done()
		if l.Context().Err() != context.Canceled {
			t.Errorf("the caller left, and the context ended by %v", l.Context().Err())
		}
		l.EndUnlessKept()
	})
}

func TestLifeThatLeavesNothing(t *testing.T) {
	l, _ := begin(t.Context(), t)
	l.EndUnlessKept()
	if l.Context().Err() == nil {
		t.Error("the context goes on")
	}
	// Without an end of the loop's own its context serves.
	loop := context.WithValue(t.Context(), key{}, "v")
	same := outlive.Begin(t.Context(), loop)
	same.EndUnlessKept()
	if same.Context() != loop || !same.Answered() || same.Keep() != nil {
		t.Error("there is more to it than the loop's context")
	}
}
