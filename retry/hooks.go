package retry

import (
	"context"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/ledger"
)

// Hooks are optional functions that are told of calls and attempts. They run on
// the goroutine of the call, those of a hedge on its own, at the same time as
// those of the first attempt. They should return soon, since the call waits for
// them.
type Hooks struct {
	// CallStart begins a call. The context it returns is used for the call.
	CallStart func(ctx context.Context, service string) context.Context
	// CallEnd ends a call that began with CallStart.
	CallEnd func(ctx context.Context, c CallInfo)
	// AttemptStart begins an attempt. The context it returns is used for the
	// attempt.
	AttemptStart func(ctx context.Context, a Attempt) context.Context
	// AttemptEnd ends an attempt that began with AttemptStart. An err that
	// says NotSent() true means that the attempt was refused and not sent.
	AttemptEnd func(ctx context.Context, a Attempt, err error)
	// Wait is told before the wait that precedes a retry; a is the attempt
	// that failed with err.
	Wait func(ctx context.Context, a Attempt, err error, wait time.Duration)
}

// Attempt says which attempt of which call it is.
type Attempt struct {
	Service, Endpoint string // empty when unknown
	Number            int    // from 1
	Internal          bool   // the endpoint belongs to the caller's organisation

	// HedgedAfter says of a hedge how long the first attempt had to itself.
	// Of any other attempt it is 0.
	HedgedAfter time.Duration

	// Token is where the budget took what the attempt cost. First tries and diverted
	// attempts cost nothing.
	Token TokenSource
}

// TokenSource is where a budget takes what a retry costs.
type TokenSource uint8

// The sources of a token.
const (
	TokenFree    = TokenSource(ledger.Free)    // it cost nothing
	TokenHeld    = TokenSource(ledger.Held)    // the budget had it
	TokenAwaited = TokenSource(ledger.Awaited) // it came during the wait: lent by another member, or earned
	TokenDebt    = TokenSource(ledger.Debt)    // the budget had a part of it, and owes the rest
)

func (s TokenSource) String() string {
	switch s {
	case TokenFree:
		return "free"
	case TokenHeld:
		return "held"
	case TokenAwaited:
		return "awaited"
	case TokenDebt:
		return "debt"
	}
	return "unknown"
}

// Attempt describes the attempt under way, for the hooks.
func (c *Call) Attempt(service, endpoint string) Attempt {
	return Attempt{Service: service, Endpoint: endpoint, Number: c.number, HedgedAfter: c.hedgedAfter, Token: c.source}
}

// CallInfo says how a call ended.
type CallInfo struct {
	Service  string
	Attempts int // sent
	Err      error
	Took     time.Duration
}

// Calls reports whether anybody wants to be told of calls.
func (h *Hooks) Calls() bool { return h.CallStart != nil || h.CallEnd != nil }

// Begin tells of a call's start, and returns the context for the call and when it
// began, which End asks for. It is for those who drive a Call.
func (h *Hooks) Begin(ctx context.Context, service string) (_ context.Context, start time.Duration) {
	if h.CallStart != nil {
		ctx = h.CallStart(ctx, service)
	}
	if h.CallEnd != nil {
		start = coord.Now()
	}
	return ctx, start
}

// End tells of a call's end, with what Begin returned.
func (h *Hooks) End(ctx context.Context, start time.Duration, service string, attempts int, err error) {
	if h.CallEnd != nil {
		h.CallEnd(ctx, CallInfo{Service: service, Attempts: attempts, Err: err, Took: coord.Now() - start})
	}
}

// Attempts reports whether anybody wants to be told of attempts.
func (h *Hooks) Attempts() bool { return h.AttemptStart != nil || h.AttemptEnd != nil }

// BeginAttempt tells of an attempt's start, and returns the context for it.
func (h *Hooks) BeginAttempt(ctx context.Context, a Attempt) context.Context {
	if h.AttemptStart == nil {
		return ctx
	}
	return h.AttemptStart(ctx, a)
}

// EndAttempt tells of an attempt's end.
func (h *Hooks) EndAttempt(ctx context.Context, a Attempt, err error) {
	if h.AttemptEnd != nil {
		h.AttemptEnd(ctx, a, err)
	}
}
