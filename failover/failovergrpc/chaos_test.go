package failovergrpc_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/retry"
)

// Calls and streams while servers die, come back and change their names, and then the end of it
// all. No request arrives twice but those that may, no stream goes on elsewhere, and
// nothing is left behind: see TestMain.
func TestEverythingAtOnce(t *testing.T) {
	seen := newRegister()
	start := func() *server {
		s := newServer(t, nil)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.got = seen.arrive
		return s
	}
	servers := [2]*server{start(), start()}
	soon := grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: time.Second, Backoff: backoff.Config{BaseDelay: time.Millisecond, Multiplier: 1, MaxDelay: time.Millisecond}})
	c := failover.Config{Budget: retry.BudgetConfig{Ratio: 2}}
	s := newSetup(t, c, []grpc.DialOption{soon}, servers[0].addr, servers[1].addr)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var ok, bad atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				ctx := metadata.AppendToOutgoingContext(ctx, "id", fmt.Sprintf("%d-%d", i, n))
				if err := oneOf(ctx, s.client, n); err != nil {
					bad.Add(1)
				} else {
					ok.Add(1)
				}
			}
		})
	}
	wg.Go(func() { // one of them is always there
		for k := 0; ctx.Err() == nil; k = 1 - k {
			servers[k].Stop()
			pause(ctx, 20)
			servers[k] = start() // elsewhere
			pause(ctx, 20)
			list := []failover.Endpoint{{Name: "a", URL: servers[0].addr}, {Name: "b", URL: servers[1].addr, Priority: k}}
			if k == 1 {
				list[0].Name = "c"
			}
			if err := s.group.Update(list); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	t.Logf("%d well, %d not, %+v", ok.Load(), bad.Load(), s.conn.Stats())
	if ok.Load() < bad.Load() {
		t.Errorf("%d calls went well, and %d did not", ok.Load(), bad.Load())
	}
	if twice := seen.twice(); twice > 0 {
		t.Errorf("%d requests arrived twice", twice)
	}
}

func pause(ctx context.Context, ms int) {
	select {
	case <-time.After(time.Duration(rand.IntN(ms)) * time.Millisecond):
	case <-ctx.Done():
	}
}

// register counts how often each request arrives; every one has one message.
type register struct {
	mu   sync.Mutex
	seen map[string]int
}

func newRegister() *register { return &register{seen: map[string]int{}} }

func (r *register) arrive(ctx context.Context) {
	id := metadata.ValueFromIncomingContext(ctx, "id")
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[id[0]]++
}

func (r *register) twice() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.seen {
		if k > 1 {
			n++
		}
	}
	return n
}

// oneOf makes the n-th call of a goroutine: unary, server streaming or client
// streaming, an empty stream, or one that is given up.
func oneOf(ctx context.Context, c testpb.TestServiceClient, n int) error {
	switch n % 5 {
	case 0:
		_, err := c.EmptyCall(ctx, &testpb.Empty{})
		return err
	case 1:
		st, err := c.StreamingOutputCall(ctx, asks(1, 1))
		for err == nil {
			_, err = st.Recv()
		}
		if err == io.EOF {
			return nil
		}
		return err
	case 2:
		st, err := c.StreamingInputCall(ctx)
		if err != nil {
			return err
		}
		_ = st.Send(&testpb.StreamingInputCallRequest{})
		_, err = st.CloseAndRecv()
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st, err := c.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	if n%5 == 3 { // nothing to say, and somebody who waits
		received := make(chan error)
		go func() {
			_, err := st.Recv()
			received <- err
		}()
		_ = st.CloseSend()
		if err := <-received; err != io.EOF {
			return err
		}
		return nil
	}
	if err := st.Send(asks(1)); err != nil && err != io.EOF {
		return err
	}
	if _, err := st.Recv(); status.Code(err) != codes.OK {
		return err
	}
	return nil
}
