package standin

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/internal/coord"
)

// What New does not take is what breaker.New does not take in a cluster.
func TestConfigsRefused(t *testing.T) {
	made := func(c Config) (ok bool) {
		defer func() { ok = recover() == nil }()
		New(c, nil, nil)
		return
	}
	for _, c := range []Config{
		{},
		{Window: -1}, {Window: 1}, {Window: 10*time.Millisecond - 1}, {Window: 10 * time.Millisecond}, {Window: math.MaxInt64},
		{OpenTimeout: -1}, {OpenTimeout: 1}, {OpenTimeout: time.Hour},
		{FailureRatio: -.1}, {FailureRatio: 1}, {FailureRatio: 1.1}, {FailureRatio: math.NaN()},
		{MinRequests: -1}, {ConsecutiveFailures: -1}, {MinRequests: -1, ConsecutiveFailures: -5},
	} {
		original := breaker.Config{
			Service: "svc", Cluster: &cluster{coord.NewService("svc")}, Window: c.Window, OpenTimeout: c.OpenTimeout,
			MinRequests: c.MinRequests, FailureRatio: c.FailureRatio, ConsecutiveFailures: c.ConsecutiveFailures,
		}
		if err := original.Validate(); made(c) != (err == nil) {
			t.Errorf("%+v was made: %v; a breaker: %v", c, made(c), err)
		}
	}
}

func TestStatesAreTheBreakers(t *testing.T) {
	for ours, theirs := range map[State]breaker.State{Closed: breaker.Closed, HalfOpen: breaker.HalfOpen, Open: breaker.Open} {
		if uint8(ours) != uint8(theirs) || ours.String() != theirs.String() {
			t.Errorf("%d %v is the breaker's %d %v", ours, ours, theirs, theirs)
		}
	}
	if got := State(9).String(); got != "unknown" {
		t.Errorf("no state is called %q", got)
	}
}

// trip opens a closed breaker, and reports after how many failures.
func trip(b *Breaker, now time.Duration) (n int) {
	for b.State(now) == Closed {
		t, _ := b.Allow(now, nil)
		b.Done(now, t, coord.Failure, nil)
		n++
	}
	return n
}

// openTime is how long b stays open from now on, to the millisecond.
func openTime(b *Breaker, now time.Duration) time.Duration {
	for d := time.Duration(0); ; d += time.Millisecond {
		if b.State(now+d) != Open {
			return d
		}
	}
}

// The open time is drawn once a life, evenly, from OpenTimeout and the tenth
// above it; the same source gives the same times; no source gives no jitter.
func TestJitter(t *testing.T) {
	const timeout = time.Second
	times := func(r *rand.Rand) (drawn []time.Duration) {
		for range 500 {
			b := New(Config{OpenTimeout: timeout}, r, nil)
			trip(b, 0)
			first := openTime(b, 0)
			ticket, ok := b.Allow(first, nil)
			if !ok {
				t.Fatal("no probe went")
			}
			b.Done(first, ticket, coord.Failure, nil)
			if again := openTime(b, first); again != first {
				t.Fatalf("open for %v, then for %v", first, again)
			}
			drawn = append(drawn, first)
		}
		return drawn
	}
	a, b := times(rand.New(rand.NewPCG(3, 4))), times(rand.New(rand.NewPCG(3, 4)))
	var sum time.Duration
	for i, d := range a {
		if d != b[i] {
			t.Fatalf("draw %d: %v, and from the same seed %v", i, d, b[i])
		}
		if d < timeout || d > timeout+timeout/10+time.Millisecond {
			t.Errorf("open for %v", d)
		}
		sum += d - timeout
	}
	if mean := sum / 500; mean < 45*time.Millisecond || mean > 55*time.Millisecond {
		t.Errorf("on average %v more; want about 50ms", mean)
	}
	for _, d := range times(nil) {
		if d != timeout+time.Millisecond { // it ends just after
			t.Fatalf("without jitter open for %v", d)
		}
	}
}

// With no advice the zero Config is the breaker's default, and the zero Ticket
// counts nothing, whatever the state.
func TestAlone(t *testing.T) {
	b := New(Config{}, nil, nil)
	if n := trip(b, 0); n != 10 {
		t.Errorf("it opened after %d failures", n)
	}
	for _, now := range []time.Duration{0, 11 * time.Second, 11 * time.Second} {
		was := b.State(now)
		for _, o := range []coord.Outcome{coord.Success, coord.Failure, coord.Slow, coord.Neutral} {
			b.Done(now, Ticket{}, o, nil)
		}
		if got := b.State(now); got != was {
			t.Errorf("nothing made of %v %v", was, got)
		}
		if ticket, ok := b.Allow(now, nil); ok {
			b.Done(now, ticket, coord.Success, nil)
		}
	}
	if got := b.State(11 * time.Second); got != Closed {
		t.Errorf("after a good probe it is %v", got)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	b := New(Config{OpenTimeout: 50 * time.Millisecond}, rand.New(rand.NewPCG(1, 2)), nil)
	advice := []*coord.Advice{nil, {Phi: coord.PhiFull, Lately: true}, {Phi: coord.PhiFull, Mode: coord.RetryRatio}, {Phi: coord.PhiFull, Era: 1}}
	now, i, seen := time.Duration(0), 0, [3]int{}
	allocations := testing.AllocsPerRun(20_000, func() {
		i++
		now += 7 * time.Millisecond
		a := advice[i/5000%len(advice)]
		if ticket, ok := b.Allow(now, a); ok {
			b.Done(now, ticket, coord.Outcome(i/64%4), a)
		}
		seen[b.State(now)]++
	})
	if allocations != 0 || seen[Closed] == 0 || seen[HalfOpen] == 0 || seen[Open] == 0 {
		t.Errorf("%v allocations; states seen %v", allocations, seen)
	}
}
