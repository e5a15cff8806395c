// Package ways holds the ways of calling that the incident lab compares: each as its
// authors mean it, over real sockets.
package ways

import (
	"context"
	"slices"
	"time"
)

// What is the same for all. A user waits no longer than Deadline; what retries makes
// at most MaxAttempts attempts, and waits between them by one curve.
const (
	AttemptTimeout = time.Second
	MaxAttempts    = 4
	Deadline       = 6 * time.Second
	baseDelay      = 100 * time.Millisecond
	maxDelay       = 2 * time.Second
	openFor        = 5 * time.Second  // of the peers' breakers
	window         = 10 * time.Second // in which they count
	leastCalls     = 10               // and which must have been made in it
)

// Endpoint is a zone's server as a member reaches it.
type Endpoint struct {
	Name, URL, Addr string
	Capacity        float64
}

// Env is where a member stands.
type Env struct {
	Endpoints []Endpoint
	Home      int      // the index of its own zone's
	GRPC      bool     // gRPC rather than HTTP
	Seeds     []string // members of the cluster that are there already
	Zoned     bool
}

// nearest is the i-th nearest endpoint: home, then the others in turn.
func (e *Env) nearest(i int) int { return (e.Home + i) % len(e.Endpoints) }

// Client is one member's way to call.
type Client interface {
	// Call makes one call. Its context carries a Trip.
	Call(ctx context.Context) error
	// Open is the share of first tries that may go home now.
	Open() float64
	// Close ends the client.
	Close()
}

// Gossiper is a client that takes part in a cluster.
type Gossiper interface {
	Addr() string // for Env.Seeds
	Members() int // that it knows of
}

// Way is a strategy.
type Way struct {
	Name      string
	HTTP, RPC bool   // what it is made for
	Config    string // its configuration, in words
	Zones     string // what it does with two zones
	New       func(ctx context.Context, e Env) (Client, error)
}

// Ours are the names of the library that this is the benchmark of.
const (
	Ours    = "murmuration"
	OursRPC = "murmuration-grpc"
)

// All are the ways, in the order of tables.
var All = []Way{
	{
		Name: "none", HTTP: true, RPC: true, New: newNone,
		Config: "one attempt", Zones: "stays at home",
	},
	{
		Name: "backoff", HTTP: true, RPC: true, New: newBackoff,
		Config: "cenkalti/backoff v5: exponential, 100 ms x2 to 2 s, +-50 %", Zones: "each retry goes to the other zone",
	},
	{
		Name: "retryablehttp", HTTP: true, New: newRetryable,
		Config: "hashicorp/go-retryablehttp: DefaultRetryPolicy and DefaultBackoff, 100 ms x2 to 2 s", Zones: "each retry goes to the other zone",
	},
	{
		Name: "failsafe", HTTP: true, RPC: true, New: newFailsafe,
		Config: "failsafe-go: retries 100 ms x2 to 2 s, +-50 %; budget as it is by default (20 % of those in flight, or 3); breaker 50 % of 10 or more in 10 s, open 5 s +-25 %, 3 successes close it",
		Zones:  "a breaker a zone; the nearest that is not open, retries the other one first",
	},
	{
		Name: "gobreaker", HTTP: true, RPC: true, New: newGobreaker,
		Config: "sony/gobreaker v2: trips at 50 % of 10 or more in 10 s, or 6 in a row, open 5 s, 3 probes; cenkalti/backoff v5 around it, which an open breaker ends",
		Zones:  "a breaker a zone; the nearest that is not open, retries the other one first",
	},
	{
		Name: "grpc-throttle", HTTP: true, RPC: true, New: newThrottle,
		Config: "grpc-go's retryPolicy (4 attempts, 100 ms x2 to 2 s, UNAVAILABLE and DEADLINE_EXCEEDED) and retryThrottling (10 tokens, 0.1), always over gRPC; each attempt has its timeout by a stats handler",
		Zones:  "a channel a zone, and a gobreaker as above around each: the nearest that is not open",
	},
	{
		Name: Ours, HTTP: true, New: newOurs,
		Config: "failoverhttp, defaults but for 4 attempts, 100 ms x2 to 2 s and the attempt timeout; a gossip node a member", Zones: "failover.Group with both zones and their capacities",
	},
	{
		Name: OursRPC, RPC: true, New: newOursRPC,
		Config: "failovergrpc, the same", Zones: "the same",
	},
}

// OverGRPC reports whether a way is served over gRPC where that protocol is asked
// for or not.
func (w *Way) OverGRPC(protocol string) bool {
	return protocol == "grpc" || w.Name == "grpc-throttle"
}

// Find returns the ways of a protocol by name; unknown ones are returned too.
func Find(protocol string, names []string) (found []Way, unknown []string) {
	for _, name := range names {
		i := slices.IndexFunc(All, func(w Way) bool { return w.Name == name && w.fits(protocol) })
		if i < 0 {
			unknown = append(unknown, name)
			continue
		}
		found = append(found, All[i])
	}
	return found, unknown
}

// Names are the names of all ways of a protocol.
func Names(protocol string) (l []string) {
	for _, w := range All {
		if w.fits(protocol) {
			l = append(l, w.Name)
		}
	}
	return l
}

func (w *Way) fits(protocol string) bool {
	return protocol == "http" && w.HTTP || protocol == "grpc" && w.RPC
}
