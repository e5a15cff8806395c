package peers

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

func env(endpoints int) sim.Env {
	return sim.Env{Endpoints: endpoints, Timeout: time.Second, Rand: rand.New(rand.NewPCG(1, 2))}
}

// try makes a first try that ends at once, and reports whether it may be
// retried. It is not.
func try(c sim.Client, now time.Duration, o sim.Outcome) bool {
	a := &sim.Attempt{N: 1}
	if !c.Admit(now, a) {
		return false
	}
	c.End(now, a, o, 0)
	if o == sim.OK {
		return false
	}
	_, again := c.Retry(now, a, o)
	return again
}

func times(n int, f func()) {
	for range n {
		f()
	}
}

// granted is how many first tries fail before one may not be retried.
func granted(t *testing.T, c sim.Client, now time.Duration, o sim.Outcome) int {
	t.Helper()
	for n := range 1000 {
		if !try(c, now, o) {
			return n
		}
	}
	t.Fatal("retries without end")
	return 0
}

// call makes a call whose attempts end as told, each took after it was sent, the
// last outcome again and again. It returns what became of it and its waits.
func call(c sim.Client, now, took time.Duration, ends ...sim.Outcome) (last sim.Outcome, waits []time.Duration, sent int) {
	a := &sim.Attempt{N: 1}
	for {
		if !c.Admit(now, a) {
			return last, waits, sent
		}
		last = ends[min(sent, len(ends)-1)]
		sent++
		now += took
		c.End(now, a, last, took)
		if last == sim.OK {
			return last, waits, sent
		}
		wait, again := c.Retry(now, a, last)
		if !again {
			return last, waits, sent
		}
		waits = append(waits, wait)
		now += wait
		a.N++
		a.Endpoint = 0 // home, as the world has it
	}
}

func TestNames(t *testing.T) {
	want := []string{"no retries", "backoff", "grpc a6", "aws bucket", "finagle", "sre throttle", "gobreaker", "breaker 10s", "envoy outlier"}
	for i, s := range All() {
		if s.Name != want[i] || s.New == nil {
			t.Errorf("strategy %d is %q, want %q", i, s.Name, want[i])
		}
		if got, ok := ByName(s.Name); !ok || got.Name != s.Name {
			t.Errorf("ByName does not know %q", s.Name)
		}
	}
	if _, ok := ByName("hope"); ok || len(All()) != len(want) {
		t.Error("there are strategies that nobody asked for")
	}
}

// warm returns a client of which a few calls have succeeded.
func warm(s sim.Strategy, e sim.Env) sim.Client {
	c := s.New(sim.Start, e)
	times(30, func() { try(c, sim.Start, sim.OK) })
	return c
}

// TestRetriesOfOneCall has one call fail to the end.
func TestRetriesOfOneCall(t *testing.T) {
	retries := map[string]int{"no retries": 0, "sre throttle": 2} // three attempts, says the book
	for _, s := range All() {
		want, ok := retries[s.Name]
		if !ok {
			want = MaxRetries
		}
		for _, o := range []sim.Outcome{sim.Failed, sim.TimedOut} {
			_, waits, sent := call(warm(s, env(1)), sim.Start, time.Second, o)
			if len(waits) != want || sent != want+1 {
				t.Errorf("%s: %d retries and %d attempts of a call that %v, want %d retries", s.Name, len(waits), sent, o, want)
			}
		}
		if last, _, sent := call(warm(s, env(1)), sim.Start, 0, sim.Failed, sim.OK); s.Name != "no retries" && (last != sim.OK || sent != 2) {
			t.Errorf("%s: a failure and a success make %d attempts, the last %v", s.Name, sent, last)
		}
	}
}

// TestWaits checks the range of the waits before each retry, over many calls of
// fresh clients: that they keep to it, and that they fill it.
func TestWaits(t *testing.T) {
	const ms = float64(time.Millisecond)
	for _, c := range []struct {
		name string
		want [][2]float64 // ms
	}{
		{"backoff", [][2]float64{{0, 50}, {0, 100}, {0, 200}}},
		{"grpc a6", [][2]float64{{80, 120}, {160, 240}, {320, 480}}},
		{"aws bucket", [][2]float64{{0, 2000}, {0, 4000}, {0, 8000}}},
		{"finagle", [][2]float64{{5, 5}, {5, 15}, {5, 45}}},
		{"sre throttle", [][2]float64{{0, 50}, {0, 100}}},
		{"gobreaker", [][2]float64{{0, 50}, {0, 100}, {0, 200}}},
		{"breaker 10s", [][2]float64{{0, 50}, {0, 100}, {0, 200}}},
		{"envoy outlier", [][2]float64{{0, 25}, {0, 50}, {0, 100}}},
	} {
		s, _ := ByName(c.name)
		e := env(1)
		least, most := make([]float64, len(c.want)), make([]float64, len(c.want))
		for i := range least {
			least[i] = c.want[i][1]
		}
		for range 3000 {
			_, waits, _ := call(warm(s, e), sim.Start, 0, sim.Failed)
			for i, w := range waits {
				least[i], most[i] = min(least[i], float64(w)/ms), max(most[i], float64(w)/ms)
			}
		}
		for i, want := range c.want {
			slack := .1 * (want[1] - want[0])
			if least[i] < want[0] || most[i] > want[1] || least[i] > want[0]+slack || most[i] < want[1]-slack {
				t.Errorf("%s: waits before retry %d from %.2f to %.2f ms, want %v", c.name, i+1, least[i], most[i], want)
			}
		}
	}
}

// TestSameSeedSameHistory runs every client twice on the same random workload of
// calls that overlap.
func TestSameSeedSameHistory(t *testing.T) {
	for _, s := range All() {
		if a, b := history(s), history(s); a != b {
			t.Errorf("%s: two runs differ", s.Name)
		}
	}
}

func history(s sim.Strategy) uint64 {
	h := fnv.New64a()
	r := rand.New(rand.NewPCG(3, 4))
	c := s.New(sim.Start, env(2))
	now := sim.Start
	var flying, waiting []*sim.Attempt
	for range 20_000 {
		now += time.Duration(r.Int64N(int64(20 * time.Millisecond)))
		a := &sim.Attempt{N: 1}
		if n := len(waiting); n > 0 && r.IntN(2) == 0 {
			a, waiting = waiting[n-1], waiting[:n-1]
		}
		if sent := c.Admit(now, a); sent {
			flying = append(flying, a)
			fmt.Fprint(h, a.N, a.Endpoint)
		}
		for len(flying) > 0 && r.IntN(3) > 0 {
			i := r.IntN(len(flying))
			a, flying[i] = flying[i], flying[len(flying)-1]
			flying = flying[:len(flying)-1]
			o := sim.Outcome(r.IntN(3))
			c.End(now, a, o, 0)
			if o == sim.OK {
				continue
			}
			wait, again := c.Retry(now, a, o)
			fmt.Fprint(h, wait, again)
			if again {
				a.N++
				waiting = append(waiting, a)
			}
		}
	}
	return h.Sum64()
}

// TestAllocs checks that calls that succeed cost nothing but their work, and
// that failures cost one allocation at most.
func TestAllocs(t *testing.T) {
	for _, s := range All() {
		c := s.New(sim.Start, env(2))
		now := sim.Start
		a := &sim.Attempt{}
		run := func(ends ...sim.Outcome) func() {
			return func() {
				for i, o := range ends {
					*a = sim.Attempt{N: i + 1, State: a.State}
					now += time.Millisecond
					if !c.Admit(now, a) {
						return
					}
					c.End(now, a, o, 0)
					if o != sim.OK {
						c.Retry(now, a, o)
					}
				}
			}
		}
		if n := testing.AllocsPerRun(1000, run(sim.OK)); n != 0 {
			t.Errorf("%s: %v allocations a success", s.Name, n)
		}
		if n := testing.AllocsPerRun(1000, run(sim.Failed, sim.OK, sim.OK, sim.OK)); n > 1 {
			t.Errorf("%s: %v allocations a retry", s.Name, n)
		}
	}
}
