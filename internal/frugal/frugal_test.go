package frugal

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

func TestMedianSettlesNearTheTruth(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, truth := range []time.Duration{50 * time.Microsecond, 20 * time.Millisecond, 3 * time.Second} {
		var m Median
		if m.Value() != 0 || m.Warm() {
			t.Fatal("the zero Median knows something")
		}
		for range 3000 {
			m.Add(time.Duration(r.ExpFloat64() * float64(truth) / .693))
		}
		if got := m.Value(); !m.Warm() || got < truth*3/4 || got > truth*4/3 {
			t.Errorf("the median of %v is estimated as %v", truth, got)
		}
	}
}

func TestMedianFollowsAChange(t *testing.T) {
	var m Median
	for range 100 {
		m.Add(time.Millisecond)
	}
	for range 400 {
		m.Add(100 * time.Millisecond)
	}
	if got := m.Value(); got != 100*time.Millisecond {
		t.Errorf("estimate is %v, want 100ms", got)
	}
	m.Add(-time.Second) // clocks are not trusted
	if m.Value() <= 0 {
		t.Error("a negative duration spoilt the estimate")
	}
}

func TestMedianIsSafeForConcurrentUse(t *testing.T) {
	var m Median
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				m.Add(time.Millisecond)
			}
		})
	}
	wg.Wait()
	if m.Value() != time.Millisecond {
		t.Errorf("estimate is %v, want 1ms", m.Value())
	}
}
