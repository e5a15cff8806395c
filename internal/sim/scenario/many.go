package scenario

import (
	"fmt"
	"slices"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// Many are many services that all go amiss at once: all members use all of them,
// and each stalls. It asks whether the coordination keeps up.
type Many struct {
	N, Services int
	Seed        uint64
	Each        float64       // first tries a second of a member to each service
	Stall       time.Duration // of all services; default 15 s
	Progress    func(float64) // told the share done, now and then; may be nil
}

// ManyResult is how fresh the members' verdicts were while the services were
// amiss, and what that cost.
type ManyResult struct {
	Fresh     float64 // share of members and services with two fresh verdicts, the mean over the seconds
	Least     float64 // the same in the worst second
	Dimmed    float64 // share of members and services that were dimmed at the end of the stall
	Age99     time.Duration
	GossipBps float64 // bytes a second and member, at the busiest second
	DirectBps float64
	Packets   float64 // direct messages a second and member, on the average
	Pruned    uint64  // casts dropped for want of room
	Virtual   time.Duration
	Events    uint64
}

// GossipCap is how many bytes a second memberlist lets a member gossip, as the
// library sets it up: four packets of 1,400 bytes each 100 ms.
const GossipCap = 56000

// Run runs it.
func (s *Many) Run() (r ManyResult) {
	def(&s.Stall, 15*time.Second)
	c := sim.Config{Seed: s.Seed, Members: s.N, Strategy: sim.Ours(sim.Options{})}
	load := s.Each * float64(s.N)
	for i := range s.Services {
		c.Services = append(c.Services, sim.ServiceConfig{
			Name: fmt.Sprintf("svc-%d", i), Load: load, Servers: []sim.ServerConfig{{Capacity: load / .8}},
		})
	}
	w := sim.New(c)
	w.Run(12 * time.Second) // long enough for everybody to hear of everything
	for _, svc := range w.Services() {
		svc.Servers[0].Stall()
	}
	settle, watched := 4*time.Second, s.Stall+5*time.Second
	w.Run(settle)
	before := w.Messages()
	var ages []time.Duration
	r.Least = 1
	seconds := int(watched / time.Second)
	for i := range seconds {
		if settle+time.Duration(i)*time.Second == s.Stall {
			r.Dimmed = dimmed(w)
			for _, svc := range w.Services() {
				svc.Servers[0].Resume(w)
			}
		}
		was := w.Messages()
		w.Run(time.Second)
		now := w.Messages()
		r.GossipBps = max(r.GossipBps, float64(now.GossipSent-was.GossipSent)/float64(s.N))
		r.DirectBps = max(r.DirectBps, float64(now.SendBytes-was.SendBytes)/float64(s.N))
		fresh := freshness(w, &ages)
		r.Fresh += fresh / float64(seconds)
		r.Least = min(r.Least, fresh)
		if s.Progress != nil {
			s.Progress(float64(i+1) / float64(seconds))
		}
	}
	slices.Sort(ages)
	if len(ages) > 0 {
		r.Age99 = ages[len(ages)*99/100]
	}
	after := w.Messages()
	r.Packets = float64(after.Sends-before.Sends) / float64(s.N) / watched.Seconds()
	r.Pruned, r.Virtual, r.Events = after.Pruned, w.Now()-sim.Start, w.Events()
	return r
}

// freshness is the share of members and services with two fresh verdicts; ages
// collects how old the advice in force is.
func freshness(w *sim.World, ages *[]time.Duration) float64 {
	fresh, all := 0, 0
	for _, m := range w.Live() {
		for i := range w.Services() {
			a := m.Advice(i, 0)
			all++
			if a.Fresh >= 2 {
				fresh++
			}
			if a.InForce() {
				*ages = append(*ages, m.Local(w.Now())-a.AsOf)
			}
		}
	}
	return float64(fresh) / float64(max(all, 1))
}

func dimmed(w *sim.World) float64 {
	n, all := 0, 0
	for _, s := range w.Services() {
		n += s.Count.Dimmed
		all += len(w.Live())
	}
	return float64(n) / float64(max(all, 1))
}
