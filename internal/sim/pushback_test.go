package sim_test

import (
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// pushed is a fleet whose server refuses a share of the requests for 20 s, and
// tells them to stay away, while another share is cut off and told nothing.
type pushed struct {
	*cluster
	firsts  int         // first tries sent
	retries map[int]int // by tenths of a second
}

func (p *pushed) Sent(w *sim.World, _ *sim.Member, _ int, a *sim.Attempt) {
	if a.N == 1 {
		p.firsts++
		return
	}
	p.retries[int((w.Now()-sim.Start)/(100*time.Millisecond))]++
}

func runPushed(seed uint64, o sim.Options, after time.Duration, refused, cut float64) *pushed {
	p := &pushed{cluster: &cluster{}, retries: map[int]int{}}
	p.World = sim.New(sim.Config{
		Seed: seed, Members: 100, Strategy: sim.Ours(o), Watch: p,
		Services: []sim.ServiceConfig{{Load: 800, Servers: []sim.ServerConfig{{Capacity: 1000, RetryAfter: after}}}},
	})
	p.Run(20 * time.Second)
	p.server().Fate = func(*sim.Member) sim.Fate {
		switch x := p.FaultRand().Float64(); {
		case x < refused:
			return sim.Rejected
		case x < refused+cut:
			return sim.Cut
		}
		return sim.Queued
	}
	p.Run(20 * time.Second)
	p.server().Fate = nil
	p.Run(40 * time.Second)
	return p
}

// burst is the most retries of a tenth of a second after the fault.
func (p *pushed) burst() (most int) {
	for at, n := range p.retries {
		if at >= 400 {
			most = max(most, n)
		}
	}
	return most
}

// TestSharedPushback: where some are told to stay away and others are cut off,
// fewer retries come meanwhile if it is shared; they come back without a stampede,
// and first tries come as they did.
func TestSharedPushback(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		after        time.Duration
		refused, cut float64
		most         float64 // retries meanwhile, as a share of those without sharing
	}{
		{"all are refused", 10 * time.Second, 1, 0, 1.1},
		{"5 % refused, 12 % cut off, 10 s", 10 * time.Second, .05, .12, .6},
		{"10 % refused, 8 % cut off, 10 s", 10 * time.Second, .10, .08, .7},
		{"15 % refused, 10 s", 10 * time.Second, .15, 0, .9},
		{"5 % refused, 12 % cut off, 2 s", 2 * time.Second, .05, .12, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var during [2]int
			for i, unshared := range []bool{true, false} {
				var good float64
				var burst, peak int
				for seed := range uint64(3) {
					p := runPushed(seed, sim.Options{Unshared: unshared}, c.after, c.refused, c.cut)
					during[i] += p.server().Retried(20, 40)
					burst = max(burst, p.burst())
					good += p.count().Goodput(20, 78) / 3
					for s := 40; s < 70; s++ {
						peak = max(peak, p.server().Arrived(s, s+1))
					}
					if p.firsts != p.count().Firsts-p.count().Refused || !unshared && p.count().Refused > 0 {
						t.Errorf("%d first tries of %d went, %d were refused", p.firsts, p.count().Firsts, p.count().Refused)
					}
				}
				t.Logf("shared %v: %d retries meanwhile, then at most %d in .1 s; peak %.2f, goodput %.4f", !unshared, during[i]/3, burst, float64(peak)/1000, good)
				if burst > 30 || peak > 1050 {
					t.Errorf("shared %v: %d retries in .1 s, a peak of %d", !unshared, burst, peak)
				}
			}
			if float64(during[1]) > c.most*float64(during[0]) {
				t.Errorf("%d retries meanwhile, %d without sharing", during[1]/3, during[0]/3)
			}
		})
	}
}

// diary is what members were advised and when, and which retries came earlier than
// that allowed when the attempt before them failed.
type diary struct {
	blind
	sentAt      map[*sim.Attempt]time.Duration
	advised     map[*sim.Member][]advisedAt
	sent, early int
}

type advisedAt struct{ at, until time.Duration }

func (d *diary) Published(w *sim.World, m *sim.Member, _, _ int, a sim.Advice) {
	d.advised[m] = append(d.advised[m], advisedAt{w.Now(), a.Until})
}

func (d *diary) Sent(w *sim.World, m *sim.Member, _ int, a *sim.Attempt) {
	if a.N > 1 {
		failed := d.sentAt[a] + 2*time.Millisecond // a round trip
		until := time.Duration(0)
		for _, x := range d.advised[m] {
			if x.at < failed {
				until = x.until
			}
		}
		if d.sent++; w.Now() < until {
			d.early++
		}
	}
	d.sentAt[a] = w.Now()
}

// TestPushbackWaits: no member sends a retry before the time until which retries
// were to wait when the attempt before it failed.
func TestPushbackWaits(t *testing.T) {
	t.Parallel()
	for _, unshared := range []bool{false, true} {
		d := &diary{sentAt: map[*sim.Attempt]time.Duration{}, advised: map[*sim.Member][]advisedAt{}}
		w := sim.New(sim.Config{
			Seed: 1, Members: 30, Strategy: sim.Ours(sim.Options{Unshared: unshared}), Watch: d,
			Services: []sim.ServiceConfig{{Load: 300, Servers: []sim.ServerConfig{{Capacity: 1000, RetryAfter: 5 * time.Second}}}},
		})
		w.Run(10 * time.Second)
		w.Service(0).Servers[0].Fate = func(*sim.Member) sim.Fate {
			switch w.FaultRand().IntN(10) {
			case 0:
				return sim.Rejected
			case 1:
				return sim.Cut
			}
			return sim.Queued
		}
		w.Run(30 * time.Second)
		if d.sent < 50 || d.early > 0 != unshared {
			t.Errorf("shared %v: %d of %d retries came early", !unshared, d.early, d.sent)
		}
	}
}

// TestLyingPushback: nobody waits for what one member makes up, and where another
// one is told for real nobody waits for longer than that.
func TestLyingPushback(t *testing.T) {
	t.Parallel()
	for _, lie := range sim.Lies() {
		if lie.Name != "pushback inflated" {
			continue
		}
		c := newCluster(1, 12, 1000, 400, sim.Network{})
		c.Members()[0].LieInReports(lie.Report)
		longest := func() (d time.Duration) {
			for _, m := range c.Members() {
				d = max(d, m.Advice(0, 0).Pushback(m.Local(c.Now())))
			}
			return d
		}
		c.server().Fate = func(*sim.Member) sim.Fate {
			if c.FaultRand().Float64() < .1 {
				return sim.Cut
			}
			return sim.Queued
		}
		for range 40 {
			if c.Run(time.Second); longest() > 0 {
				t.Fatalf("retries wait for %v by one member's word", longest())
			}
		}
		c.server().RetryAfter = 2 * time.Second
		c.server().Fate = func(m *sim.Member) sim.Fate {
			if m == c.Members()[1] && c.FaultRand().Float64() < .5 {
				return sim.Rejected
			}
			return sim.Queued
		}
		most := time.Duration(0)
		for range 20 {
			c.Run(time.Second)
			most = max(most, longest())
		}
		if most == 0 || most > 2*time.Second+100*time.Millisecond {
			t.Errorf("retries wait for %v; one member is told 2s, another one claims an hour", most)
		}
	}
}
