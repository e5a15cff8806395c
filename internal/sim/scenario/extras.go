package scenario

import (
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// Extras are the faults that can be combined with any scenario.
var Extras = []Extra{
	{ID: "loss", Title: "a tenth of the messages are lost", configure: network(sim.Network{Loss: .1})},
	{ID: "disorder", Title: "a fifth of the messages come late, out of order or twice", configure: network(sim.Network{Reorder: .2, Duplicate: .2})},
	{ID: "garble", Title: "a hundredth of the messages have bits flipped", configure: network(sim.Network{Garble: .01})},
	{ID: "crash-steward", Title: "a steward crashes 2 s after the onset", fault: func(r *run) {
		r.at(2*time.Second, func() { r.Crash(r.Stewards(0)[0]) })
	}},
	{ID: "crash-member", Title: "a member that is no steward crashes 2 s after the onset", fault: func(r *run) {
		r.at(2*time.Second, func() {
			if m := r.other(); m != nil {
				r.Crash(m)
			}
		})
	}},
	{ID: "churn", Title: "each 3 s a member leaves and another joins", begin: churn},
	{ID: "split", Title: "the gossip splits 60/40 at the onset, for 40 s", fault: sixtyForty},
	{ID: "silence", Title: "no message arrives from the onset on, for 40 s", fault: func(r *run) {
		was := r.Network()
		r.SetNetwork(sim.Network{Loss: 1})
		r.at(40*time.Second, func() { r.SetNetwork(was) })
	}},
	{ID: "one-way", Title: "a tenth of the members cannot make themselves heard, for 40 s", fault: func(r *run) {
		r.Split(func(m *sim.Member) bool { return m.Index%10 == 9 }, true)
		r.at(40*time.Second, r.Heal)
	}},
	{ID: "pause", Title: "a steward stands still for 5 s, 2 s after the onset", fault: func(r *run) {
		r.at(2*time.Second, func() { r.Pause(r.Stewards(0)[0], 5*time.Second) })
	}},
	{ID: "skew", Title: "clocks run up to 1 % fast or slow, and some jump by an hour", begin: func(r *run) {
		for _, m := range r.Members() {
			r.Skew(m, .99+.02*r.FaultRand().Float64())
		}
		r.at(warmUp+3*time.Second, func() {
			for _, m := range r.Live() {
				if m.Index%5 == 0 {
					r.Jump(m, time.Hour)
				}
			}
		})
	}},
	{ID: "exponential", Title: "service times are exponential", configure: server(func(c *sim.ServerConfig) { c.Work = sim.Exponential })},
	{ID: "bimodal", Title: "one request in 20 takes ten times as long", configure: server(func(c *sim.ServerConfig) { c.Work = sim.Bimodal })},
	{ID: "slow-replica", Title: "10 workers, one of them 20 times as slow", configure: server(func(c *sim.ServerConfig) {
		c.Workers, c.SlowWorkers, c.Slowdown = 10, 1, 20
	})},
	{ID: "newest-first", Title: "the server takes the newest request first", configure: server(func(c *sim.ServerConfig) { c.Order = sim.NewestFirst })},
	{ID: "drops", Title: "a short queue that drops silently", configure: server(func(c *sim.ServerConfig) { c.Queue, c.Drops = shortQueue, true })},
	{ID: "cancels", Title: "the server passes over requests that nobody waits for", configure: server(func(c *sim.ServerConfig) { c.Cancels = true })},
	{ID: "dear-refusals", Title: "a short queue, and a refusal costs a fifth of a request", configure: server(func(c *sim.ServerConfig) {
		c.Queue, c.RefusalCost = shortQueue, .2
	})},
}

func network(n sim.Network) func(*sim.Config, *Params) {
	return func(c *sim.Config, _ *Params) {
		c.Network.Loss = max(c.Network.Loss, n.Loss)
		c.Network.Duplicate = max(c.Network.Duplicate, n.Duplicate)
		c.Network.Reorder = max(c.Network.Reorder, n.Reorder)
		c.Network.Garble = max(c.Network.Garble, n.Garble)
	}
}

func server(f func(*sim.ServerConfig)) func(*sim.Config, *Params) {
	return func(c *sim.Config, _ *Params) { f(&c.Services[0].Servers[0]) }
}

// other is a live member that is no steward, or nil.
func (r *run) other() *sim.Member {
	stewards := r.Stewards(0)
next:
	for _, m := range r.Live() {
		for _, s := range stewards {
			if s == m {
				continue next
			}
		}
		return m
	}
	return nil
}

func churn(r *run) {
	r.at(3*time.Second, func() {
		if live := r.Live(); len(live) > 1 {
			r.Leave(live[r.FaultRand().IntN(len(live))])
		}
		r.Join()
		churn(r)
	})
}
