package failovergrpc_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

func TestStreamOpensElsewhere(t *testing.T) {
	second := newServer(t, nil)
	s := newSetup(t, failover.Config{}, nil, nobody(t), second.addr)
	for _, run := range []func(*testing.T, testpb.TestServiceClient, ...grpc.CallOption){clientStreaming, serverStreaming, pingPong, emptyStream} {
		run(t, s.client)
	}
	if calls, _ := second.seen(); calls != 4 {
		t.Errorf("%d streams arrived", calls)
	}
	s.conn.Close()
	seen := s.Seen()
	slices.Sort(seen) // streams are counted a moment after they have ended
	want := slices.Repeat([]breaker.Outcome{success, failure}, 4)
	slices.Sort(want)
	if !slices.Equal(seen, want) {
		t.Errorf("evidence is %v", seen)
	}
}

func TestStreamOpensNowhere(t *testing.T) {
	s := newSetup(t, failover.Config{}, nil, nobody(t), nobody(t))
	ended := 0
	_, err := s.client.FullDuplexCall(bounded(t), grpc.OnFinish(func(err error) {
		ended++
		wantCode(t, err, codes.Unavailable)
	}))
	var e *retry.Error
	if !errors.As(err, &e) || e.Attempts != 3 || ended != 1 {
		t.Errorf("ended %d times, with %v", ended, err)
	}
	wantCode(t, err, codes.Unavailable)
}

// An endpoint whose connections come to nothing holds a stream no longer than an
// attempt may take; the stream itself may take as long as it likes.
func TestAttemptTimeoutOfAStream(t *testing.T) {
	second := newServer(t, nil)
	c := failover.Config{Retry: retry.Policy{AttemptTimeout: 50 * time.Millisecond}}
	s := newSetup(t, c, nil, nobody(t), second.addr)
	st, err := s.client.FullDuplexCall(bounded(t), grpc.WaitForReady(true))
	if err != nil {
		t.Fatal(err)
	}
	<-time.After(100 * time.Millisecond)
	if err := st.Send(asks(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Recv(); err != nil {
		t.Fatal(err)
	}
	<-time.After(100 * time.Millisecond)
	_ = st.CloseSend()
	if _, err := st.Recv(); err != io.EOF {
		t.Errorf("ends with %v", err)
	}
	s.Want(t, failure, success)
}

// shared is a cluster that has one service.
type shared struct{ service *coord.Service }

func (s shared) CoordService(string) *coord.Service { return s.service }

// What counts is how long the application waited for the server, not how long the
// server waited for the application.
func TestTimeOfAStream(t *testing.T) {
	const pause = 200 * time.Millisecond
	a := newServer(t, nil)
	service := coord.NewService("svc")
	s := newSetup(t, failover.Config{Cluster: shared{service}}, nil, a.addr)
	for _, run := range map[string]func(context.Context) error{
		"bidi": func(ctx context.Context) error {
			st, err := s.client.FullDuplexCall(ctx)
			if err != nil {
				return err
			}
			<-time.After(pause)
			_ = st.Send(asks(1))
			_, err = st.Recv()
			return err
		},
		"client streaming": func(ctx context.Context) error {
			st, err := s.client.StreamingInputCall(ctx)
			if err != nil {
				return err
			}
			_ = st.Send(&testpb.StreamingInputCallRequest{})
			<-time.After(pause)
			_, err = st.CloseAndRecv()
			return err
		},
		"late reader": func(ctx context.Context) error {
			st, err := s.client.StreamingOutputCall(ctx, asks(1))
			if err != nil {
				return err
			}
			<-time.After(pause)
			_, err = st.Recv()
			return err
		},
	} {
		ctx, cancel := context.WithCancel(bounded(t))
		if err := run(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
	s.conn.Close()
	if got := service.Endpoint("a").Sample().Totals; got.OK != 3 || got.OKLatency > pause/2 {
		t.Errorf("%d successes took %v", got.OK, got.OKLatency)
	}
}

func TestStreamThatBreaksLater(t *testing.T) {
	a := newServer(t, nil)
	s := newSetup(t, failover.Config{}, nil, a.addr)
	st, err := s.client.FullDuplexCall(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []*testpb.StreamingOutputCallRequest{asks(1), {ResponseStatus: &testpb.EchoStatus{Code: int32(codes.Internal), Message: "broke"}}} {
		if err := st.Send(in); err != nil {
			t.Fatal(err)
		}
		_, err = st.Recv()
	}
	wantCode(t, err, codes.Internal)
	s.conn.Close()
	s.Want(t, success, failure)
}

// The caller's own end of a stream says nothing of the endpoint.
func TestStreamThatIsAbandoned(t *testing.T) {
	a := newServer(t, nil)
	s := newSetup(t, failover.Config{}, nil, a.addr)
	for _, answered := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		st, err := s.client.FullDuplexCall(ctx, grpc.OnFinish(func(err error) { ended <- err }))
		if err != nil {
			t.Fatal(err)
		}
		_ = st.Send(asks(1))
		if answered {
			if _, err := st.Recv(); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		wantCode(t, <-ended, codes.Canceled) // without a call of the stream
		if len(ended) > 0 {
			t.Error("it ended twice")
		}
	}
	s.conn.Close()
	s.Want(t, success)
}

// A stream whose server rejects it before the application has said anything is
// opened elsewhere.
func TestStreamRejected(t *testing.T) {
	a := newServer(t, unavailable)
	b := newServer(t, func(ctx context.Context, _ int) error { return grpc.SendHeader(ctx, metadata.Pairs("from", "b")) })
	s := newSetup(t, failover.Config{}, nil, a.addr, b.addr)
	st, err := s.client.FullDuplexCall(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	if md, err := st.Header(); err != nil || len(md["from"]) != 1 {
		t.Errorf("the header is %v, %v", md, err)
	}
	_ = st.CloseSend()
	if _, err := st.Recv(); err != io.EOF {
		t.Errorf("ends with %v", err)
	}
	a.wants(t, 1, 0)
	s.conn.Close()
	s.Want(t, failure, success)
	// Where nothing else is left, that is what RecvMsg says.
	s = newSetup(t, failover.Config{}, nil, a.addr)
	if st, err = s.client.FullDuplexCall(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if md, err := st.Header(); md != nil || err != nil {
		t.Errorf("the header is %v, %v", md, err)
	}
	if err := st.Send(asks(1)); err != io.EOF {
		t.Errorf("sending ends with %v", err)
	}
	_, err = st.Recv()
	wantCode(t, err, codes.Unavailable)
	a.wants(t, 4, 0)
}

// What the application does while a dead stream is being replaced is done on the
// one that comes.
func TestStreamThatIsBeingReplaced(t *testing.T) {
	for name, do := range map[string]func(grpc.ClientStream) error{
		"close":   func(s grpc.ClientStream) error { return s.CloseSend() },
		"context": func(s grpc.ClientStream) error { _ = s.Context(); return s.CloseSend() },
		"send": func(s grpc.ClientStream) error {
			return errors.Join(s.SendMsg(&testpb.StreamingOutputCallRequest{}), s.CloseSend())
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := newServer(t, unavailable), newServer(t, nil)
			dead, hold := make(chan struct{}), make(chan struct{})
			c := failover.Config{}
			c.Retry.Hooks.Wait = func(context.Context, retry.Attempt, error, time.Duration) {
				close(dead)
				<-hold
			}
			s := newSetup(t, c, nil, a.addr, b.addr)
			st, err := s.client.FullDuplexCall(bounded(t))
			if err != nil {
				t.Fatal(err)
			}
			received, done := make(chan error, 1), make(chan error, 1)
			go func() { received <- st.RecvMsg(&testpb.StreamingOutputCallResponse{}) }()
			<-dead
			go func() { done <- do(st) }()
			select {
			case err := <-done:
				t.Errorf("it went to the dead one: %v", err)
			case <-time.After(20 * time.Millisecond):
			}
			close(hold)
			if err := <-received; err != io.EOF {
				t.Errorf("the other one ends with %v", err)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			if calls, _ := b.seen(); calls != 1 {
				t.Errorf("%d streams came to the other one", calls)
			}
		})
	}
}

func TestPanicOfAnInterceptor(t *testing.T) {
	a := newServer(t, nil)
	bad := grpc.WithStreamInterceptor(func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, grpc.Streamer, ...grpc.CallOption) (grpc.ClientStream, error) {
		panic("no such luck")
	})
	s := newSetup(t, failover.Config{}, []grpc.DialOption{bad}, a.addr)
	defer func() {
		if p, ok := recover().(string); !ok || !strings.Contains(p, "no such luck") || !strings.Contains(p, "TestPanicOfAnInterceptor") {
			t.Errorf("panics with %v", p)
		}
	}()
	_, _ = s.client.FullDuplexCall(bounded(t))
	t.Error("returns")
}

// A half-open breaker lets one stream through, and waits for what comes of it.
func TestStreamAsAProbe(t *testing.T) {
	answer := make(chan struct{})
	a := newServer(t, func(ctx context.Context, _ int) error {
		select {
		case <-answer:
		case <-ctx.Done():
		}
		return nil
	})
	changes := make(chan breaker.State, 9)
	c := failover.Config{Breaker: breaker.Config{ConsecutiveFailures: 1, OpenTimeout: time.Millisecond}}
	c.Breaker.Hooks.StateChange = func(_, _ string, _, is breaker.State) { changes <- is }
	s := newSetup(t, c, nil, a.addr)
	s.group.Report("a", status.Error(codes.Unavailable, "down"))
	var probe grpc.ClientStream
	for probe == nil { // until the breaker is half-open
		st, err := s.client.FullDuplexCall(bounded(t))
		if err == nil {
			probe = st
		} else if !errors.Is(err, breaker.ErrOpen) {
			t.Fatal(err)
		}
	}
	if _, err := s.client.FullDuplexCall(bounded(t)); !errors.Is(err, breaker.ErrOpen) {
		t.Errorf("a second probe: %v", err)
	}
	close(answer)
	_ = probe.CloseSend()
	if err := probe.RecvMsg(&testpb.StreamingOutputCallResponse{}); err != io.EOF {
		t.Errorf("the probe ends with %v", err)
	}
	for is := range changes {
		if is == breaker.Closed {
			break
		}
	}
}
