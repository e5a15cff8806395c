package scenario

import (
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// Steady is a service that is healthy but for a steady share of errors.
type Steady struct {
	N        int
	Seed     uint64
	Load     float64 // first tries a second; the capacity is a quarter more, and at least 1000
	Share    float64 // of requests that fail
	How      sim.Fate
	Requests int           // first tries, about
	Progress func(float64) // told the share done, now and then; may be nil
}

// SteadyResult is what became of it.
type SteadyResult struct {
	Requests   int
	Virtual    time.Duration
	Trips      int     // times that advice began to dim a member
	NotLoad    int     // times that advice began to limit a member's retries
	Restricted float64 // share of the members' time in which advice restricted anything
	Goodput    float64
}

// Run runs it.
func (s *Steady) Run() SteadyResult {
	w := sim.New(sim.Config{
		Seed: s.Seed, Members: s.N, Strategy: sim.Ours(sim.Options{}),
		Services: []sim.ServiceConfig{{Load: s.Load, Servers: []sim.ServerConfig{{Capacity: max(1.25*s.Load, 1000)}}}},
	})
	rng := w.FaultRand()
	w.Service(0).Servers[0].Fate = func(*sim.Member) sim.Fate {
		if rng.Float64() < s.Share {
			return s.How
		}
		return sim.Queued
	}
	count := &w.Service(0).Count
	restricted, samples := 0, 0
	var look func()
	look = func() {
		restricted += count.Restricted
		samples += s.N
		w.After(100*time.Millisecond, look)
	}
	w.After(0, look)
	whole := time.Duration(float64(s.Requests) / s.Load * float64(time.Second))
	const parts = 200
	for i := range parts {
		w.Run(whole / parts)
		if s.Progress != nil {
			s.Progress(float64(i+1) / parts)
		}
	}
	r := SteadyResult{
		Requests: count.Firsts, Virtual: whole, Trips: count.Trips, NotLoad: count.NoLoad,
		Restricted: float64(restricted) / float64(samples),
	}
	r.Goodput = count.Goodput(0, w.Second()-3)
	return r
}
