package main

import (
	"testing"
	"time"
)

// TestBackend: what a backend does with requests, in virtual time.
func TestBackend(t *testing.T) {
	const takes = time.Second / capacity
	b, start := &backend{}, time.Now()
	due := func(now time.Duration) time.Duration {
		at, ok := b.queue(start.Add(now), .5)
		if !ok {
			return -1
		}
		return at.Sub(start)
	}
	for i, want := range []time.Duration{takes, 2 * takes} {
		if got := due(0); got != want {
			t.Errorf("request %d is done after %v, not %v", i, got, want)
		}
	}
	b.stall(start.Add(time.Second), 2*time.Second)
	if got, want := due(time.Second), 3*time.Second+takes; got != want {
		t.Errorf("in a stall until 3 s one is done at %v, not %v", got, want)
	}
	b.behave(0, 4)
	if got, want := due(10*time.Second), 10*time.Second+4*takes; got.Round(time.Microsecond) != want.Round(time.Microsecond) {
		t.Errorf("one that takes four times as long is done at %v, not %v", got, want)
	}
	if b.behave(.6, 0); due(20*time.Second) != -1 {
		t.Error("a chance of .5 is not refused with .6")
	}
	if b.behave(.4, 0); due(20*time.Second) == -1 {
		t.Error("a chance of .5 is refused with .4")
	}
}
