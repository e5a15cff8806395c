package sim_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// stalled is a server of mu requests a second that stalls for a while, as in
// scenario S1, after a while without trouble.
type stalled struct {
	members  int
	strategy sim.Strategy
	load     float64
	stall    time.Duration
	watch    time.Duration // for so long after the stall
}

const (
	mu     = 1000
	before = 5 * time.Second
)

// run returns how long the service took to recover, or -1.
func (c stalled) run(seed uint64) int {
	w := sim.New(sim.Config{
		Seed: seed, Members: c.members, Strategy: c.strategy,
		Services: []sim.ServiceConfig{{Load: c.load, Servers: []sim.ServerConfig{{Capacity: mu}}}},
	})
	s := w.Service(0)
	w.Run(before)
	s.Servers[0].Stall()
	w.Run(c.stall)
	s.Servers[0].Resume(w)
	end := w.Second()
	w.Run(c.watch + 10*time.Second)
	return s.Count.Recovery(end, end+int(c.watch/time.Second))
}

// allowed is by how much a drain time may be off: two seconds, for recovery is
// counted in whole ones, and three standard deviations of a queue that random
// arrivals have filled, as it drains.
func allowed(lambda, drain, T float64) float64 {
	return 2 + 3*math.Sqrt(lambda*T)/drain
}

// TestDrain: without retries, what a stall of D seconds has piled up is worked
// off in lambda D / (mu - lambda) seconds. Calls succeed as soon as the wait is
// within the second that they allow, mu / (mu - lambda) seconds earlier.
func TestDrain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		lambda, D float64
	}{{800, 10}, {500, 10}, {300, 10}, {900, 10}, {800, 5}, {800, 20}} {
		want := (c.lambda*c.D - mu) / (mu - c.lambda)
		got := stalled{10, sim.NoRetries(), c.lambda, time.Duration(c.D) * time.Second, 200 * time.Second}.run(1)
		t.Logf("load %.1f, stall of %.0f s: recovered in %d s, by the law in %.1f s", c.lambda/mu, c.D, got, want)
		if got < 0 || math.Abs(float64(got)-want) > allowed(c.lambda, mu-c.lambda, c.D+want) {
			t.Errorf("load %.1f, stall of %.0f s: recovered in %d s, by the law in %.1f s", c.lambda/mu, c.D, got, want)
		}
	}
}

// bucket is a client with the plainest of retry budgets: each first try earns
// beta tokens, a retry takes one, and burst is the most that it holds and what it
// begins with.
type bucket struct {
	sim.Client
	beta, burst, tokens float64
}

func budgeted(beta, burst float64) sim.Strategy {
	return sim.Strategy{Name: "budget", New: func(time.Duration, sim.Env) sim.Client {
		return &bucket{sim.NoRetries().New(0, sim.Env{}), beta, burst, burst}
	}}
}

func (b *bucket) Admit(_ time.Duration, a *sim.Attempt) bool {
	if a.N == 1 {
		b.tokens = min(b.tokens+b.beta, b.burst)
	}
	return true
}

func (b *bucket) Retry(time.Duration, *sim.Attempt, sim.Outcome) (time.Duration, bool) {
	if b.tokens < 1 {
		return 0, false
	}
	b.tokens--
	return 0, true
}

// TestDrainWithBudgets: N clients with a budget of the share beta and a burst of
// b take (lambda (1 + beta) D + N b) / (mu - lambda (1 + beta)) seconds. That is
// how budgets that are local stop being budgets as a fleet grows.
func TestDrainWithBudgets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		lambda, beta float64
		n            int
		burst        float64
	}{{800, .1, 10, 10}, {800, .1, 100, 10}, {800, .1, 1000, 10}, {600, .2, 100, 20}, {500, .5, 10, 10}} {
		const D = 10
		sent := c.lambda * (1 + c.beta)
		// The first retries come a second after the stall.
		want := (sent*D - c.lambda*c.beta + float64(c.n)*c.burst - mu) / (mu - sent)
		got := stalled{c.n, budgeted(c.beta, c.burst), c.lambda, D * time.Second, 400 * time.Second}.run(1)
		t.Logf("load %.1f, %d clients with a budget of %.1f and a burst of %.0f: recovered in %d s, by the law in %.1f s", c.lambda/mu, c.n, c.beta, c.burst, got, want)
		if got < 0 || math.Abs(float64(got)-want) > allowed(sent, mu-sent, D+want) {
			t.Errorf("load %.1f, %d clients with a budget of %.1f and a burst of %.0f: recovered in %d s, by the law in %.1f s", c.lambda/mu, c.n, c.beta, c.burst, got, want)
		}
	}
}

// TestVulnerableLoad: a load is vulnerable, a stall leading to a storm that feeds
// itself, from 1 / (1 + n) of the capacity on where calls are retried n times, and
// from 1 / (1 + beta) on with a budget of the share beta; below that it recovers.
func TestVulnerableLoad(t *testing.T) {
	t.Parallel()
	type storm struct {
		name     string
		strategy sim.Strategy
		load     float64 // from which on it is vulnerable
	}
	storms := []storm{{"a budget of .1", budgeted(.1, 10), 1 / 1.1}, {"a budget of .5", budgeted(.5, 10), 1 / 1.5}}
	for n := 1; n <= 4; n++ {
		storms = append(storms, storm{fmt.Sprintf("%d retries", n), retrying(n, nil), 1 / (1 + float64(n))})
	}
	seeds := uint64(2)
	if brief() {
		seeds = 1
	}
	for _, s := range storms {
		for seed := range seeds {
			c := stalled{10, s.strategy, .93 * s.load * mu, 10 * time.Second, 300 * time.Second}
			below := c.run(seed)
			c.load = 1.05 * s.load * mu
			above := c.run(seed)
			t.Logf("%s: vulnerable from %.3f; recovered in %d s at .93 of that, in %d s at 1.05", s.name, s.load, below, above)
			if below < 0 || above >= 0 {
				t.Errorf("%s, seed %d: recovered in %d s at .93 of the vulnerable load, in %d s at 1.05 of it", s.name, seed, below, above)
			}
		}
	}
}
