package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover/failovergrpc"
	"github.com/murmuration-go/murmuration/retry"
)

// calls makes unary calls at a steady rate, whether or not earlier ones have ended.
func (m *member) calls(ctx context.Context, rate float64, t *tally) {
	var under sync.WaitGroup
	defer under.Wait()
	tick := time.NewTicker(time.Duration(float64(time.Second) / rate))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		under.Go(func() {
			phase := t.now()
			reply, err := m.client.UnaryCall(ctx, &testpb.SimpleRequest{})
			if err == nil {
				t.add(phase, "calls answered by "+reply.GetServerId(), nil)
			} else if ctx.Err() == nil {
				t.add(phase, "calls failed: "+kind(err), err)
			}
		})
	}
}

// streams makes one streaming call after the other.
func (m *member) streams(ctx context.Context, t *tally) {
	for ctx.Err() == nil {
		phase := t.now()
		from, n, err := m.stream(ctx)
		switch {
		case err == nil:
			t.add(phase, "streams sent whole by "+from, nil)
		case ctx.Err() == nil && n > 0: // never opened again: the caller has seen a part
			t.add(phase, "streams of "+from+" broken: "+kind(err), err)
		case ctx.Err() == nil:
			t.add(phase, "streams not opened: "+kind(err), err)
		}
		select { // so that refusals do not make a busy loop
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// stream makes a streaming call, and returns who answered and how many messages.
func (m *member) stream(ctx context.Context) (from string, n int, err error) {
	in, err := m.client.StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{})
	if err != nil {
		return "", 0, err
	}
	for {
		reply, err := in.Recv()
		if errors.Is(err, io.EOF) {
			return from, n, nil
		}
		if err != nil {
			return from, n, err
		}
		from = string(reply.GetPayload().GetBody())
		n++
	}
}

// kind says what type of error a call ended with: who refused it, if nothing was
// sent; else what its last attempt met with.
func kind(err error) string {
	var open *breaker.OpenError
	var tried *retry.Error
	var s *failovergrpc.StatusError
	switch {
	case errors.As(err, &tried):
		return fmt.Sprintf("*retry.Error, %v after %d attempts", status.Code(err), tried.Attempts)
	case errors.As(err, &open):
		return fmt.Sprintf("*breaker.OpenError, refused by %v", open.Source)
	case errors.As(err, &s):
		return fmt.Sprintf("*failovergrpc.StatusError, %v of %s", status.Code(err), s.Endpoint)
	}
	return fmt.Sprintf("%T", err)
}

// tally counts what came of the calls, by the phase in which they were made.
type tally struct {
	mu     sync.Mutex
	phase  string
	counts map[string]map[string]int
	last   map[string]error // an example of each kind
}

func newTally() *tally {
	t := &tally{counts: map[string]map[string]int{}, last: map[string]error{}}
	t.begin("members join")
	return t
}

func (t *tally) begin(phase string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.phase = phase
	t.counts[phase] = map[string]int{}
}

func (t *tally) now() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.phase
}

func (t *tally) add(phase, what string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[phase][what]++
	if err != nil {
		t.last[what] = err
	}
}

// print tells of the present phase.
func (t *tally) print(w io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintln(w, t.phase)
	for _, what := range slices.Sorted(maps.Keys(t.counts[t.phase])) {
		fmt.Fprintf(w, "%6d %s\n", t.counts[t.phase][what], what)
		if err := t.last[what]; err != nil {
			fmt.Fprintf(w, "       e.g. %v\n", err)
		}
	}
}
