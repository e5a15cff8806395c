package coord

import (
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestPushbackTimeline: of what an endpoint asks for, the wish that ends last is
// told for five seconds, or until it is over.
func TestPushbackTimeline(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	for _, zero := range []time.Duration{0, -1e6 * time.Hour} { // in a synctest bubble time may be negative
		e := NewService("svc").Endpoint("a")
		for _, step := range []struct {
			at   time.Duration
			asks time.Duration // 0: nothing
			want Pushback
		}{
			{at: 10 * s},
			{10 * s, 2 * s, Pushback{2 * s, 0}},
			{11 * s, 0, Pushback{s, s}},
			{11500 * ms, 400 * ms, Pushback{500 * ms, 1500 * ms}}, // ends sooner
			{12 * s, 0, Pushback{}},
			{12 * s, 20 * s, Pushback{20 * s, 0}},
			{13 * s, 20 * s, Pushback{20 * s, 0}},
			{14 * s, 19 * s, Pushback{19 * s, 0}}, // the same end, seen again
			{19 * s, 0, Pushback{14 * s, 5 * s}},
			{19*s + ms, 0, Pushback{}},             // too old to be told
			{19*s + ms, 2 * s, Pushback{2 * s, 0}}, // so that any other counts
			{19*s + ms, -s, Pushback{2 * s, 0}},
			{20 * s, time.Hour, Pushback{MaxPushback, 0}},
			{30 * s, 1, Pushback{ms, 0}},
		} {
			if step.asks != 0 {
				e.PushedBack(zero+step.at, step.asks)
			}
			if got := e.SampleAt(zero + step.at).Pushback; got != step.want {
				t.Errorf("at %v, asked for %v: %+v, want %+v", step.at, step.asks, got, step.want)
			}
		}
	}
	(*Endpoint)(nil).PushedBack(time.Second, time.Second)
}

// TestPushbackIsTheLastToEnd: whatever is asked for at once, by however many.
func TestPushbackIsTheLastToEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := NewService("svc").Endpoint("a")
		now := time.Duration(rapid.IntRange(0, 1<<50).Draw(t, "now"))
		var most time.Duration
		var asking sync.WaitGroup
		for _, ms := range rapid.SliceOfN(rapid.IntRange(1, 100_000), 1, 8).Draw(t, "milliseconds") {
			d := time.Duration(ms) * time.Millisecond
			most = max(most, min(d, MaxPushback))
			asking.Go(func() { e.PushedBack(now, d) })
		}
		asking.Wait()
		got := e.SampleAt(now).Pushback
		if off := most - got.Left; off < 0 || off >= time.Millisecond || got.Ago < 0 || got.Ago >= time.Millisecond {
			t.Fatalf("%+v, want %v", got, most)
		}
	})
}

// TestPushbackOfAService: of the endpoints that take retries, the one that takes
// them soonest.
func TestPushbackOfAService(t *testing.T) {
	s := NewService("svc")
	check := func(want time.Duration, failing int) {
		t.Helper()
		if left, n := s.Pushback(10 * time.Second); left != want || n != failing {
			t.Errorf("%v, %d failing; want %v, %d", left, n, want, failing)
		}
	}
	check(0, 0)
	s.Endpoint("a").Publish(Advice{Phi: PhiFull, Until: 15 * time.Second, Failing: 8})
	check(5*time.Second, 8)
	s.Endpoint("b").Publish(Advice{Phi: PhiFull, Until: 12 * time.Second, Failing: 16})
	check(2*time.Second, 16)
	s.Endpoint("c").Publish(Advice{Phi: PhiFull / 2, Mode: RetryNone})
	s.Endpoint("d").Publish(Advice{Phi: PhiFull, Mode: RetryNone})
	check(2*time.Second, 16)
	s.Endpoint("b").Publish(Advice{Phi: PhiFull, Until: 9 * time.Second, Failing: 2})
	check(0, 2)
	s = nil
	check(0, 0)
}

// TestPushbackOverrulesNothing: the local breaker stays in charge.
func TestPushbackOverrulesNothing(t *testing.T) {
	if left := (&Advice{}).Pushback(-time.Hour); left != 0 {
		t.Errorf("%v left of none", left)
	}
	if a := (&Advice{Phi: PhiFull, Until: time.Hour, Failing: 100}); a.InForce() {
		t.Error("a pushback is in force")
	}
}
