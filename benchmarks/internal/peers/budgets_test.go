package peers

import (
	"math"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// step is a stretch of a budget's timeline.
type step struct {
	after   time.Duration
	ok      int // first tries that succeed, and then
	fail    sim.Outcome
	granted int // of first tries that fail without end, those that may be retried
}

func timeline(t *testing.T, newClient func(time.Duration, sim.Env) sim.Client, steps []step) {
	t.Helper()
	now := sim.Start
	c := newClient(now, env(1))
	for i, s := range steps {
		now += s.after
		times(s.ok, func() { try(c, now, sim.OK) })
		if got := granted(t, c, now, s.fail); got != s.granted {
			t.Errorf("step %d: %d retries granted, want %d", i, got, s.granted)
		}
	}
}

func TestGRPCBurst(t *testing.T) {
	timeline(t, newGRPC, []step{
		{0, 0, sim.Failed, 4},          // 10 -> 6, the fifth finds 5
		{time.Hour, 0, sim.Failed, 0},  // time gives nothing; 4
		{0, 20, sim.TimedOut, 0},       // 6, the failure takes one
		{0, 11, sim.TimedOut, 1},       // 6.1, leaves 5.1
		{0, 1000, sim.Failed, 4},       // full again, and not more
		{0, 50, sim.Failed, 4},         // 10
		{0, 49, sim.Failed, 4},         // 9.9: the last leaves 5.9, and the next 4.9
		{0, 31, sim.Failed, 2},         // 4.9 + 3.1 = 8: 7, 6
		{time.Hour, 10, sim.Failed, 0}, // 5 + 1
	})
}

// TestGRPCRatio: ten successes pay for one retry. With as many the budget holds
// for ever, with fewer it ends and does not come back.
func TestGRPCRatio(t *testing.T) {
	for _, c := range []struct{ ok, least, most int }{{10, 1000, 1000}, {9, 30, 60}} {
		client := newGRPC(0, env(1))
		n := 0
		for range 1000 {
			times(c.ok, func() { try(client, 0, sim.OK) })
			if try(client, 0, sim.Failed) {
				n++
			}
		}
		if n < c.least || n > c.most {
			t.Errorf("%d successes a failure: %d of 1000 retried, want %d to %d", c.ok, n, c.least, c.most)
		}
	}
}

// TestGRPCRecovers: however long an outage was, 61 successes end it.
func TestGRPCRecovers(t *testing.T) {
	c := newGRPC(0, env(1))
	times(1000, func() { try(c, 0, sim.Failed) })
	times(61, func() { try(c, 0, sim.OK) })
	if !try(c, 0, sim.Failed) {
		t.Error("there are no retries yet")
	}
}

func TestGRPCLongestWait(t *testing.T) {
	c := newGRPC(0, env(1))
	for range 1000 {
		wait, again := c.Retry(0, &sim.Attempt{N: 3}, sim.Failed)
		if !again || wait < 320*time.Millisecond || wait > 480*time.Millisecond {
			t.Fatalf("the third wait is %v", wait)
		}
	}
	if _, again := c.Retry(0, &sim.Attempt{N: 4}, sim.Failed); again {
		t.Error("there is a fifth attempt")
	}
}

func TestAWSBurst(t *testing.T) {
	timeline(t, newAWS, []step{
		{0, 1000, sim.Failed, 100}, // full is full
		{time.Hour, 0, sim.Failed, 0},
		{0, 4, sim.Failed, 0},
		{0, 1, sim.Failed, 1}, // five successes pay for a retry,
		{0, 9, sim.TimedOut, 0},
		{0, 1, sim.TimedOut, 1}, // ten for one after a timeout
		{0, 1000, sim.TimedOut, 50},
	})
}

// TestAWSGivesBack: a retry that succeeds gives back what it took, and 1.
func TestAWSGivesBack(t *testing.T) {
	for _, c := range []struct {
		ends []sim.Outcome
		left int
	}{
		{[]sim.Outcome{sim.OK}, 101},
		{[]sim.Outcome{sim.Failed, sim.OK}, 101},
		{[]sim.Outcome{sim.TimedOut, sim.OK}, 101},
		{[]sim.Outcome{sim.Failed, sim.TimedOut, sim.OK}, 96},
		{[]sim.Outcome{sim.TimedOut, sim.Failed, sim.OK}, 91},
		{[]sim.Outcome{sim.Failed, sim.Failed, sim.Failed, sim.Failed}, 85},
		{[]sim.Outcome{sim.TimedOut, sim.TimedOut, sim.TimedOut, sim.TimedOut}, 70},
	} {
		a := &aws{rand: env(1).Rand, tokens: 100}
		call(a, 0, 0, c.ends...)
		if a.tokens != c.left {
			t.Errorf("%v: of 100 tokens %d are left, want %d", c.ends, a.tokens, c.left)
		}
	}
}

// TestAttemptUsedAgain: what a call left in its Attempt is nothing to the next.
func TestAttemptUsedAgain(t *testing.T) {
	a := &sim.Attempt{N: 1}
	next := func(c sim.Client) time.Duration {
		*a = sim.Attempt{N: 1, State: a.State}
		c.Admit(0, a)
		c.End(0, a, sim.Failed, 0)
		wait, _ := c.Retry(0, a, sim.Failed)
		return wait
	}
	bucket := newAWS(0, env(1)).(*aws)
	next(bucket)
	*a = sim.Attempt{N: 1, State: a.State}
	bucket.Admit(0, a)
	bucket.End(0, a, sim.OK, 0)
	if bucket.tokens != 496 {
		t.Errorf("%d tokens after a retry and another call's success, want 496", bucket.tokens)
	}
	jitter := newFinagle(0, env(1))
	for range 5 {
		if wait := next(jitter); wait != 5*time.Millisecond {
			t.Errorf("a call's first wait is %v, want 5ms", wait)
		}
	}
}

func TestAWSLongestWait(t *testing.T) {
	a := &aws{rand: env(1).Rand}
	if got := a.wait(5); got != 20*time.Second {
		t.Errorf("the fifth wait is %v", got)
	}
	for range 1000 {
		if got := a.wait(4); got >= 16*time.Second {
			t.Fatalf("the fourth wait is %v", got)
		}
	}
}

func TestFinagleBudget(t *testing.T) {
	timeline(t, newFinagle, []step{
		{0, 0, sim.Failed, 125}, // the reserve of 100, and a fifth of the 125 calls
		{9900 * time.Millisecond, 0, sim.Failed, 0},
		{9 * time.Second, 0, sim.TimedOut, 125},  // forgotten
		{10 * time.Second, 500, sim.Failed, 250}, // 100, a fifth of 500, and of 250
	})
}

// TestFinagleReserve takes retries of one call that was paid for long ago, so
// that there is the floor and nothing else.
func TestFinagleReserve(t *testing.T) {
	c := newFinagle(sim.Start, env(1))
	take := func(now time.Duration) (n int) {
		for ; ; n++ {
			if _, again := c.Retry(now, &sim.Attempt{N: 1}, sim.Failed); !again {
				return n
			}
		}
	}
	all := 0
	for i := range 600 {
		n := take(sim.Start + time.Duration(i)*100*time.Millisecond)
		if i == 0 && n != 100 {
			t.Errorf("%d retries at once, want 100", n)
		}
		all += n
	}
	if all != 600 {
		t.Errorf("%d retries in a minute, want 10 a second", all)
	}
}

// TestFinagleShare: of many calls, a fifth and ten a second.
func TestFinagleShare(t *testing.T) {
	c := newFinagle(sim.Start, env(1))
	const rps, seconds = 500, 100
	n := 0
	for i := range rps * seconds {
		if try(c, sim.Start+time.Duration(i)*time.Second/rps, sim.Failed) && i >= rps*seconds/2 {
			n++
		}
	}
	if want := .2*rps + 10; math.Abs(float64(n)/(seconds/2)-want) > .02*want {
		t.Errorf("%v retries a second, want %v", float64(n)/(seconds/2), want)
	}
}

// TestLeakySlices: what is added is there for 9 to 10 s, whatever is asked
// meanwhile.
func TestLeakySlices(t *testing.T) {
	for _, every := range []time.Duration{7 * time.Millisecond, 333 * time.Millisecond, 999 * time.Millisecond, 4 * time.Second, time.Minute} {
		l := leaky{old: sim.Start}
		added := sim.Start + 990*time.Millisecond
		l.add(added, 1)
		gone := time.Duration(0)
		for at := added; gone == 0; at += every {
			if l.sum(at) == 0 {
				gone = at - added
			}
		}
		// Slices that are looked at late last longer: up to a second each.
		if gone < 9*time.Second || gone > 10*time.Second+10*every {
			t.Errorf("asked every %v, it was forgotten after %v", every, gone)
		}
	}
}

func TestSREProbability(t *testing.T) {
	for _, c := range []struct {
		requests, accepts uint32
		want              float64
	}{
		{0, 0, 0}, {1, 0, .5}, {9, 0, .9}, {99, 0, .99}, // nothing accepted: n / (n + 1)
		{100, 100, 0}, {100, 50, 0}, {99, 24, .51}, {1000, 100, 800. / 1001},
	} {
		s := newSRE(sim.Start, env(1)).(*sre)
		s.count(sim.Start, sreCounts{requests: c.requests, accepts: c.accepts})
		if got := max(s.rejects(sim.Start), 0); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%d requests, %d accepts: rejects with %v, want %v", c.requests, c.accepts, got, c.want)
		}
		// It is two minutes until that is forgotten, and not less.
		s.advance(sim.Start + 119*time.Second)
		if s.sum.requests != c.requests {
			t.Error("forgotten within two minutes")
		}
		s.advance(sim.Start + 120*time.Second)
		if s.sum != (sreCounts{}) {
			t.Errorf("after two minutes there is %+v", s.sum)
		}
	}
}

// TestSREOutage: with nothing accepted, the n-th request goes with probability
// 1/n, refused ones counting too; with half accepted all go.
func TestSREOutage(t *testing.T) {
	sent := 0
	const clients, requests = 50, 1000
	e := env(1)
	for range clients {
		c := newSRE(sim.Start, e)
		for range requests {
			if a := (&sim.Attempt{N: 1}); c.Admit(sim.Start, a) {
				sent++
				c.End(sim.Start, a, sim.Failed, 0)
			}
		}
		if got := c.(*sre).sum.requests; got != requests {
			t.Fatalf("%d requests counted", got)
		}
	}
	harmonic := 0.0
	for n := 1; n <= requests; n++ {
		harmonic += 1 / float64(n)
	}
	if got := float64(sent) / clients; math.Abs(got-harmonic) > 1 {
		t.Errorf("%v of %d requests went, want about %.2f", got, requests, harmonic)
	}

	c := newSRE(sim.Start, e)
	for i := range 1000 {
		a := &sim.Attempt{N: 1}
		if !c.Admit(sim.Start, a) {
			t.Fatalf("request %d was refused with half of them accepted", i)
		}
		c.End(sim.Start, a, sim.Outcome(i%2), 0) // OK first
	}
}

func TestSRERetryBudget(t *testing.T) {
	c := newSRE(sim.Start, env(1))
	times(1000, func() { try(c, sim.Start, sim.OK) })
	n := granted(t, c, sim.Start, sim.Failed)
	// The n-th failure is retried if n - 1 retries are under 10 % of 1,000 + n
	// requests. (The retries did not go, and so are not among those.)
	if n != 112 {
		t.Errorf("%d retries, want 112", n)
	}
	for _, share := range []struct {
		retries, requests uint32
		want              bool
	}{{0, 1, true}, {1, 10, false}, {1, 11, true}, {10, 100, false}, {10, 101, true}} {
		s := newSRE(sim.Start, env(1)).(*sre)
		s.count(sim.Start, sreCounts{retries: share.retries, requests: share.requests})
		if _, again := s.Retry(sim.Start, &sim.Attempt{N: 1}, sim.Failed); again != share.want {
			t.Errorf("%d retries in %d requests: one more is granted: %v", share.retries, share.requests, again)
		}
	}
	c = newSRE(sim.Start, env(1))
	times(1000, func() { try(c, sim.Start, sim.OK) })
	if _, waits, sent := call(c, sim.Start, 0, sim.Failed); len(waits) != 2 || sent != 3 {
		t.Errorf("%d attempts of a call, want 3", sent)
	}
}
