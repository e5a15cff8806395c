package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
)

// opened returns a breaker whose open time has just passed, so that the next
// call is the probe.
func opened(t *testing.T, c breaker.Config, twoStep bool) *breaker.Breaker {
	t.Helper()
	b := breaker.New("a", c)
	if twoStep {
		done, _ := b.Allow()
		done(nil)
	}
	if got := times(20, b, errDown); got != 10 || b.State() != breaker.Open {
		t.Fatalf("%d ran, then %v; want 10, then open", got, b.State())
	}
	time.Sleep(11*time.Second + 1)
	return b
}

// A probe that never comes back blocks nobody for ever: it is given up after
// the longer of 10 s and the open time, and then one failure is enough.
func TestStuckProbeIsGivenUp(t *testing.T) {
	release := make(map[string]func())
	for name, probe := range map[string]func(b *breaker.Breaker){
		"done never called": func(b *breaker.Breaker) {
			if _, err := b.Allow(); err != nil {
				t.Error(err)
			}
		},
		"hangs": func(b *breaker.Breaker) {
			hang, gone := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(gone)
				_ = b.Do(context.Background(), func(context.Context) error { <-hang; return nil })
			}()
			release["hangs"] = func() { close(hang); <-gone }
		},
		"ends its goroutine": func(b *breaker.Breaker) {
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				_ = b.Do(context.Background(), func(context.Context) error { runtime.Goexit(); return nil })
			}()
			<-gone
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := opened(t, breaker.Config{}, name == "done never called")
				probe(b)
				synctest.Wait()
				for range 9 { // every second of the wait
					time.Sleep(time.Second)
					if got := times(5, b, nil); got != 0 {
						t.Fatalf("%d calls ran beside the probe", got)
					}
				}
				time.Sleep(2*time.Second + 1)
				if got := times(5, b, errDown); got != 1 || b.State() != breaker.Open {
					t.Errorf("%d calls ran after the probe was given up, then %v; want 1, then open", got, b.State())
				}
				if end := release[name]; end != nil { // late news of a life gone by
					end()
					if b.State() != breaker.Open {
						t.Error("a late result closed it")
					}
				}
				time.Sleep(11*time.Second + 1)
				if got := times(5, b, nil); got != 5 || b.State() != breaker.Closed {
					t.Errorf("%d calls ran after recovery, then %v", got, b.State())
				}
				// The suspicion is over: the usual rule holds again, also when
				// the success that ended it is long out of the window.
				time.Sleep(time.Hour)
				if got := times(9, b, errDown); got != 9 || b.State() != breaker.Closed {
					t.Errorf("%d of 9 failures ran, then %v", got, b.State())
				}
			})
		})
	}
}

// One success ends the suspicion that a stuck probe leaves.
func TestSuspicionEndsWithASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := opened(t, breaker.Config{}, true)
		_, _ = b.Allow()
		time.Sleep(11*time.Second + 1)
		times(1, b, nil)
		time.Sleep(time.Minute)
		if got := times(9, b, errDown); got != 9 || b.State() != breaker.Closed {
			t.Errorf("%d of 9 failures ran, then %v", got, b.State())
		}
	})
}

// Half-open without a probe is no stuck probe, however long it lasts.
func TestIdleHalfOpenIsNotStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var changes []string
		c := breaker.Config{Hooks: breaker.Hooks{StateChange: func(_, _ string, from, to breaker.State) {
			changes = append(changes, fmt.Sprint(from, "-", to))
		}}}
		b := opened(t, c, false)
		for range 10 {
			if b.State() != breaker.HalfOpen {
				t.Fatalf("the state is %v", b.State())
			}
			time.Sleep(time.Minute)
		}
		times(1, b, breaker.Neutral(errDown)) // a probe that says nothing
		time.Sleep(time.Minute)
		if b.State() != breaker.HalfOpen {
			t.Errorf("after a neutral probe the state is %v", b.State())
		}
		times(1, b, nil)
		if want := []string{"closed-open", "open-half-open", "half-open-closed"}; !slices.Equal(changes, want) {
			t.Errorf("changes %q, want %q", changes, want)
		}
	})
}

// The first Allow changes the machine, not what is known of the endpoint.
func TestFirstAllowOfAnOpenBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New("a", breaker.Config{})
		times(10, b, errDown)
		time.Sleep(9 * time.Second)
		if _, err := b.Allow(); !errors.Is(err, breaker.ErrOpen) {
			t.Fatalf("allowed: %v", err)
		}
		time.Sleep(2*time.Second + 1) // the open time was not begun anew
		if got := times(1, b, nil); got != 1 || b.State() != breaker.Closed {
			t.Errorf("%d ran, %v", got, b.State())
		}
	})
}
