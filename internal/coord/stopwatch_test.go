package coord

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestStopwatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &Stopwatch{Context: t.Context()}
		below := context.WithValue(w, attemptKey{}, 2)
		wants := func(ctx context.Context, start, want time.Duration) {
			t.Helper()
			if got := Took(ctx, start); got != want {
				t.Errorf("took %v, want %v", got, want)
			}
		}
		start := Now()
		time.Sleep(time.Second)
		wants(below, start, time.Second)
		w.Restart()
		time.Sleep(time.Millisecond)
		wants(below, start, time.Millisecond)
		wants(t.Context(), start, time.Second+time.Millisecond)
		// A restart before the attempt, in an earlier one, does not count.
		start = Now()
		time.Sleep(time.Microsecond)
		wants(below, start, time.Microsecond)
		if AttemptNumber(below) != 2 {
			t.Error("the values below are lost")
		}
	})
}
