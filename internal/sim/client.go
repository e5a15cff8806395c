package sim

import (
	"math/rand/v2"
	"time"
)

// Outcome is how an attempt ended, as its client sees it.
type Outcome uint8

// The outcomes.
const (
	OK       Outcome = iota
	Failed           // an error, at once or after a while
	TimedOut         // no answer within the attempt timeout
)

func (o Outcome) String() string {
	switch o {
	case OK:
		return "ok"
	case Failed:
		return "failed"
	case TimedOut:
		return "timed out"
	}
	return "unknown"
}

// Client is the calling side of one member: one strategy's state in one process.
// The world calls it from one goroutine, in the order of virtual time. It keeps
// no clock and no random source but the one in its Env, so that a seed gives the
// same history every time.
//
// A call is one first try and what follows from it:
//
//	Admit(1) -> sent -> End -> Retry -> wait -> Admit(2) -> sent -> End -> ...
//
// A call ends when an attempt is OK, when Admit refuses, or when Retry says no.
type Client interface {
	// Admit decides whether an attempt may be sent. a.N is its number, 1
	// being the first try; a.Endpoint is the member's home, which Admit may
	// replace by another endpoint.
	Admit(now time.Duration, a *Attempt) bool
	// End tells how an attempt that was sent ended, and how long it took.
	End(now time.Duration, a *Attempt, o Outcome, took time.Duration)
	// Retry is asked after End, unless the attempt was OK: how long to wait
	// before the next attempt, or false for none.
	Retry(now time.Duration, a *Attempt, o Outcome) (wait time.Duration, again bool)
}

// Attempt is one request of a call. It belongs to the world, which uses it for
// every attempt of the call; State is the client's to use from Admit to Retry.
type Attempt struct {
	N        int
	Endpoint int
	State    any
	// Diverted says that it is neither a first try nor a retry: one that failed
	// or was dimmed at home goes where there is room.
	Diverted bool

	// RetryAfter is for how long the endpoint that has just refused the attempt
	// wants to be left alone, 0 if it has not said so.
	RetryAfter time.Duration

	ours ticket
}

// Env is what a client is made with.
type Env struct {
	Member    int           // 0, 1, 2, ...
	Endpoints int           // of the service
	Home      int           // the endpoint in the member's own zone, the first if there are some
	Timeout   time.Duration // of an attempt
	Rand      *rand.Rand

	member  *Member
	service int
	homes   []int // the endpoints that first tries go to,
	away    []int // and the others
}

// Strategy is a way of calling, with its name as tables print it.
type Strategy struct {
	Name string
	New  func(now time.Duration, e Env) Client

	coordinated bool // members are nodes of a cluster
}

// NoRetries sends every first try, and nothing else: what is left of a service
// when its clients add no trouble of their own.
func NoRetries() Strategy {
	return Strategy{Name: "no retries", New: func(time.Duration, Env) Client { return plain{} }}
}

type plain struct{}

func (plain) Admit(time.Duration, *Attempt) bool                           { return true }
func (plain) End(time.Duration, *Attempt, Outcome, time.Duration)          {}
func (plain) Retry(time.Duration, *Attempt, Outcome) (time.Duration, bool) { return 0, false }
