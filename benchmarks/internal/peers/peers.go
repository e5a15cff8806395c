// Package peers holds what the shipped client is compared with in the simulator:
// the ways of calling that others ship, each as faithful to its original as the
// simulator allows.
//
// Every file names its original, the document or source that was read, the
// original's own numbers, and what was left out and why that does not matter
// here. Where an original leaves a choice open, the choice that serves it best
// in overload was taken, and is named.
//
// Two things are the same in all rows. A call makes at most MaxRetries retries,
// whatever the original's default, so that a row shows its budget and not how
// often it would try; where the original itself sets a lower cap, that holds.
// And every failure may be retried: the simulated calls are idempotent, and an
// attempt that timed out is given up before the next one is sent.
//
// A client's state belongs to one member. It reads no clock and no source of
// randomness but its Env's.
package peers

import "github.com/murmuration-go/murmuration/internal/sim"

// MaxRetries is the most retries of a call.
const MaxRetries = 3

// All returns the strategies in the order of the tables.
func All() []sim.Strategy {
	return []sim.Strategy{
		sim.NoRetries(),
		{Name: "backoff", New: newBackoff},
		{Name: "grpc a6", New: newGRPC},
		{Name: "aws bucket", New: newAWS},
		{Name: "finagle", New: newFinagle},
		{Name: "sre throttle", New: newSRE},
		{Name: "gobreaker", New: newGobreaker},
		{Name: "breaker 10s", New: newBreaker10s},
		{Name: "envoy outlier", New: newEnvoy},
	}
}

// ByName returns the strategy of that name.
func ByName(name string) (sim.Strategy, bool) {
	for _, s := range All() {
		if s.Name == name {
			return s, true
		}
	}
	return sim.Strategy{}, false
}
