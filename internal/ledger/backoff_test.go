package ledger

import (
	"math"
	"testing"
	"time"
)

func TestLongestWait(t *testing.T) {
	const ms, forever = time.Millisecond, time.Duration(math.MaxInt64)
	for _, tc := range []struct {
		backoff Backoff
		n       int
		typical time.Duration
		want    time.Duration
	}{
		{Backoff{}, 1, 0, 10 * ms},
		{Backoff{}, 2, 0, 20 * ms},
		{Backoff{}, 8, 0, 1280 * ms},
		{Backoff{}, 9, 0, 2 * time.Second},
		{Backoff{}, math.MaxInt, 0, 2 * time.Second},
		{Backoff{}, 0, 0, 10 * ms}, // there is no retry 0
		{Backoff{}, 1, 9 * ms, 10 * ms},
		{Backoff{}, 1, 70 * ms, 70 * ms}, // the observed latency
		{Backoff{}, 3, 70 * ms, 280 * ms},
		{Backoff{}, 1, time.Minute, 2 * time.Second},
		{Backoff{Base: 3 * ms, Max: 10 * ms}, 2, 0, 6 * ms},
		{Backoff{Base: 3 * ms, Max: 10 * ms}, 3, 0, 10 * ms},
		{Backoff{Base: 30 * ms, Max: 10 * ms}, 1, 0, 10 * ms},
		{Backoff{Base: -1}, 5, time.Second, 0},
		{Backoff{Max: -1}, 20, 0, 2 * time.Second},
		{Backoff{Base: forever, Max: forever}, 1, 0, forever},
		{Backoff{Base: 1, Max: forever}, 62, 0, 1 << 61},
		{Backoff{Base: 1, Max: forever}, 65, 0, forever},
	} {
		if got := tc.backoff.Longest(tc.n, tc.typical); got != tc.want {
			t.Errorf("%+v, retry %d, typically %v: %v at most, want %v", tc.backoff, tc.n, tc.typical, got, tc.want)
		}
	}
}

// Waits are uniform within [0, Longest], the ends included.
func TestWait(t *testing.T) {
	wait := func(b Backoff, u float64) time.Duration {
		d, _ := Pause{Backoff: b, Retry: 1, Room: NoDeadline}.Draw(u, 0)
		return d
	}
	const forever, last = time.Duration(math.MaxInt64), 1 - 1.0/(1<<53)
	for _, tc := range []struct {
		backoff Backoff
		u       float64
		want    time.Duration
	}{
		{Backoff{}, 0, 0},
		{Backoff{}, .25, 2500 * time.Microsecond},
		{Backoff{}, last, 10 * time.Millisecond},
		{Backoff{Base: 1}, .49, 0},
		{Backoff{Base: 1}, .5, 1},
		{Backoff{Base: -1}, last, 0},
		{Backoff{Base: forever, Max: forever}, .5, 1 << 62},
		{Backoff{Base: forever, Max: forever}, last, forever - 1023}, // what a float64 tells apart
	} {
		if got := wait(tc.backoff, tc.u); got != tc.want {
			t.Errorf("%+v at %v: waits %v, want %v", tc.backoff, tc.u, got, tc.want)
		}
	}
	var sum [10]int
	for i := range 1000 {
		sum[wait(Backoff{Base: 9, Max: 9}, float64(i)/1000)]++
	}
	for d, n := range sum {
		if n != 100 {
			t.Errorf("%d of 1000 evenly spread draws wait %d of 9 ns, want 100", n, d)
		}
	}
}
