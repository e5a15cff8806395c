package sim_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/race"
	"github.com/murmuration-go/murmuration/internal/sim"
)

// erlangC is the chance that a request waits before c servers with a Erlang of
// traffic.
func erlangC(c int, a float64) float64 {
	term, total := 1., 0.
	for k := range c {
		total += term
		term *= a / float64(k+1)
	}
	last := term / (1 - a/float64(c))
	return last / (total + last)
}

// pollaczekKhinchine is the mean wait before one server, in mean service times;
// square is the mean square of a service time of mean 1.
func pollaczekKhinchine(rho, square float64) float64 { return rho * square / (2 * (1 - rho)) }

// bimodalSquare is the mean square of sim.Bimodal: 19 requests of 1/1.45 to one
// of 10/1.45.
const bimodalSquare = (.95 + .05*100) / (1.45 * 1.45)

// queues are the queues of which the books know the mean wait.
var queues = []struct {
	name    string
	server  sim.ServerConfig
	rho     float64
	wait    float64 // in mean service times of a worker
	within  float64
	seconds int
}{
	{"M/D/1", sim.ServerConfig{}, .5, pollaczekKhinchine(.5, 1), .02, 500},
	{"M/D/1", sim.ServerConfig{}, .8, pollaczekKhinchine(.8, 1), .03, 500},
	{"M/M/1", sim.ServerConfig{Work: sim.Exponential}, .5, pollaczekKhinchine(.5, 2), .03, 500},
	{"M/M/1", sim.ServerConfig{Work: sim.Exponential}, .8, pollaczekKhinchine(.8, 2), .04, 1000},
	{"M/M/1 newest first", sim.ServerConfig{Work: sim.Exponential, Order: sim.NewestFirst}, .8, pollaczekKhinchine(.8, 2), .04, 1000},
	{"M/G/1 bimodal", sim.ServerConfig{Work: sim.Bimodal}, .5, pollaczekKhinchine(.5, bimodalSquare), .05, 1000},
	{"M/G/1 bimodal", sim.ServerConfig{Work: sim.Bimodal}, .8, pollaczekKhinchine(.8, bimodalSquare), .05, 1000},
	{"M/M/4", sim.ServerConfig{Work: sim.Exponential, Workers: 4}, .5, erlangC(4, 2) / (4 * .5), .05, 1000},
	{"M/M/4", sim.ServerConfig{Work: sim.Exponential, Workers: 4}, .8, erlangC(4, 3.2) / (4 * .2), .05, 1000},
}

// gauge integrates over time how many requests wait and are served.
type gauge struct {
	blind
	last            time.Duration
	waiting, busy   float64
	waits, servings int
}

func (g *gauge) After(w *sim.World) {
	d := (w.Now() - g.last).Seconds()
	g.last = w.Now()
	g.waiting += d * float64(g.waits)
	g.busy += d * float64(g.servings)
	s := w.Service(0).Servers[0]
	g.waits, g.servings = s.Waiting(), s.Busy()
}

// TestQueues: requests wait as long as the formulas of Pollaczek and Khinchine
// and of Erlang have it, the server is as busy as it has work, and there wait as
// many as Little's law has it.
func TestQueues(t *testing.T) {
	if race.Enabled {
		t.Skip("millions of events")
	}
	t.Parallel()
	for i, q := range queues {
		t.Run(q.name, func(t *testing.T) {
			t.Parallel()
			const capacity, rtt = 1000, 2 * time.Millisecond
			n, total := 0, time.Duration(0)
			g := &gauge{last: sim.Start}
			q.server.Capacity, q.server.Queue = capacity, math.MaxInt
			w := sim.New(sim.Config{
				Seed: uint64(i), Members: 1, RTT: rtt, Timeout: time.Minute, Watch: g,
				Services: []sim.ServiceConfig{{Load: q.rho * capacity, Servers: []sim.ServerConfig{q.server}}},
				Strategy: retrying(0, func(o outcome) {
					n++
					total += o.took - rtt
				}),
			})
			w.Run(time.Duration(q.seconds) * time.Second)
			service := float64(max(q.server.Workers, 1)) / capacity
			wait := total.Seconds()/float64(n) - service
			want := q.wait * service
			utilisation := g.busy / float64(q.seconds) / float64(max(q.server.Workers, 1))
			rate := float64(n) / float64(q.seconds)
			t.Logf("rho %.1f: %d requests, mean wait %.3f ms, by the books %.3f ms (%+.1f %%); busy %.3f of the time, %.2f wait",
				q.rho, n, 1e3*wait, 1e3*want, 100*(wait/want-1), utilisation, g.waiting/float64(q.seconds))
			near(t, "the mean wait", wait, want, q.within)
			near(t, "the utilisation", utilisation, q.rho, .01)
			near(t, "requests waiting, by Little's law", g.waiting/float64(q.seconds), rate*wait, q.within)
		})
	}
}

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if math.Abs(got/want-1) > within {
		t.Errorf("%s: %.5g, want %.5g within %.0f %%", what, got, want, 100*within)
	}
}

// TestWork: the distributions of work have mean 1, and the mean square that the
// formulas take them to have.
func TestWork(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		draw   func(*rand.Rand) float64
		square float64
	}{{"exponential", sim.Exponential, 2}, {"bimodal", sim.Bimodal, bimodalSquare}} {
		rng := rand.New(rand.NewPCG(1, 1))
		const n = 500_000
		mean, square := 0., 0.
		for range n {
			x := c.draw(rng)
			mean += x / n
			square += x * x / n
		}
		near(t, c.name+" work", mean, 1, .01)
		near(t, c.name+" work squared", square, c.square, .02)
	}
}
