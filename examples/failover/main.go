// Command failover shows what happens to a zone that is well when the one beside
// it dies.
//
// Two zones stand on loopback, a larger and busier than b, each a real server
// with a finite capacity and a deep queue. Sixteen members, each with its own
// gossip node and client, call the one of their zone as their users come, by
// chance. At 8 s zone a dies for 20 s; then it comes back cold, with 30 % of its
// capacity, and is whole again 15 s later. What of a's traffic fits beside b's own
// goes to b, and what does not is refused at once, by an error that says why.
//
//	go run ./examples/failover
//	go run ./examples/failover -alone   # the same traffic, but each client decides for itself
//	go run ./examples/failover -grpc    # the same over gRPC
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

// settings are what the flags say. The first of two values is zone a's.
type settings struct {
	members  int
	seed     uint64
	how      string // refuse or vanish
	grpc     bool
	alone    bool
	capacity [2]float64 // requests a second
	demand   [2]float64 // calls a second

	warm, down, cold, after time.Duration // the phases
}

func defaults() settings {
	return settings{
		members: 16, seed: 1, how: "refuse",
		capacity: [2]float64{150, 100}, demand: [2]float64{120, 50},
		warm: 8 * time.Second, down: 20 * time.Second, cold: 15 * time.Second, after: 5 * time.Second,
	}
}

func main() {
	s := defaults()
	flag.IntVar(&s.members, "members", s.members, "clients, in both zones together")
	flag.Uint64Var(&s.seed, "seed", s.seed, "fixes the traffic")
	flag.StringVar(&s.how, "how", s.how, "what zone a does while it is dead: refuse at once, or let requests vanish")
	flag.BoolVar(&s.grpc, "grpc", false, "gRPC instead of HTTP")
	flag.BoolVar(&s.alone, "alone", false, "no cluster: each client has its breaker and its retry budget, and decides for itself")
	for i, z := range []string{"a", "b"} {
		flag.Float64Var(&s.capacity[i], "capacity-"+z, s.capacity[i], "requests a second that zone "+z+" can take")
		flag.Float64Var(&s.demand[i], "demand-"+z, s.demand[i], "calls a second of the users of zone "+z)
	}
	flag.DurationVar(&s.down, "down", s.down, "how long zone a is dead")
	flag.DurationVar(&s.cold, "cold", s.cold, "how long it takes after that until it is whole")
	asJSON := flag.Bool("json", false, "print one JSON object instead of a table")
	quiet := flag.Bool("quiet", false, "no live view")
	flag.Parse()

	var v *view
	if !*quiet {
		v = newView(os.Stderr)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	r, err := incident(ctx, s, v)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "failover:", err)
		os.Exit(1)
	}
	if *asJSON {
		_ = json.NewEncoder(os.Stdout).Encode(r)
		return
	}
	r.table(os.Stdout)
}

func (s settings) check() error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if s.members < 2 || s.members > 200 {
		bad("-members is %d; it must be within 2 and 200", s.members)
	}
	if s.how != "refuse" && s.how != "vanish" {
		bad("-how is %q; it must be refuse or vanish", s.how)
	}
	for i, z := range []string{"a", "b"} {
		if !(s.capacity[i] >= 1 && s.capacity[i] <= 5000) {
			bad("-capacity-%s is %v; it must be within 1 and 5000", z, s.capacity[i])
		}
		if !(s.demand[i] > 0 && s.demand[i] <= 5000) {
			bad("-demand-%s is %v; it must be above 0 and at most 5000", z, s.demand[i])
		}
	}
	if s.down < 6*time.Second || s.down > 10*time.Minute {
		bad("-down is %v; it must be within 6s and 10m", s.down)
	}
	if s.cold < time.Second || s.cold > 10*time.Minute {
		bad("-cold is %v; it must be within 1s and 10m", s.cold)
	}
	return errors.Join(faults...)
}

// phase is a part of the incident.
type phase struct {
	name     string
	from, to time.Duration
}

func (s settings) phases() []phase {
	dies := s.warm
	back := dies + s.down
	whole := back + s.cold
	return []phase{
		{"all well", 0, dies},
		{"a is dead", dies, back},
		{"a is back, cold", back, whole},
		{"a is whole", whole, whole + s.after},
	}
}

// end is when the last calls are made.
func (s settings) end() time.Duration { return s.warm + s.down + s.cold + s.after }

// room is how much of a's traffic fits into zone b, beside its own: the cluster
// fills it to three quarters.
func (s settings) room() float64 {
	return max(0, min(s.demand[0], .75*s.capacity[1]-s.demand[1]))
}
