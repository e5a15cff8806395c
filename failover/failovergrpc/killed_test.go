package failovergrpc_test

import (
	"context"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/stats"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failovergrpc"
)

// hold is an act that keeps a call until its server dies.
func hold(ctx context.Context, _ int) error {
	<-ctx.Done()
	return ctx.Err()
}

// The cases of gRPC's interop tests, with the endpoint killed in the middle. Each
// returns how it ended, and says what the servers must have got by then.
var killedCases = []struct {
	name           string
	act            func(context.Context, int) error
	run            func(*testing.T, *killing, ...grpc.CallOption) error
	want           codes.Code
	first, second  int // calls
	messages, more int // at the first server, and at the second
}{
	{name: "unary", act: hold, run: killUnary(context.Background()), want: codes.Unavailable, first: 1},
	{name: "unary that may be repeated", act: hold, run: killUnary(failovergrpc.WithResend(context.Background())), first: 1, second: 1},
	{name: "client streaming", run: killClientStreaming, want: codes.Unavailable, first: 1, messages: 2},
	{name: "server streaming before the first response", act: hold, run: killServerStreaming(false), want: codes.Unavailable, first: 1, messages: 1},
	{name: "server streaming after it", run: killServerStreaming(true), want: codes.Unavailable, first: 1, messages: 1},
	{name: "ping pong before the first response", act: hold, run: killPingPong(false), want: codes.Unavailable, first: 1},
	{name: "ping pong after it", run: killPingPong(true), want: codes.Unavailable, first: 1, messages: 1},
	{name: "empty stream after its end", act: hold, run: killEmptyStream, want: codes.Unavailable, first: 1},
	{name: "bidi before the first message", run: killBeforeTheFirstMessage, first: 1, second: 1, more: 1},
	{name: "bidi while waiting for the server to begin", act: hold, run: killWaiting, first: 1, second: 1, more: 1},
}

func TestEndpointKilled(t *testing.T) {
	for _, tc := range killedCases {
		for name, opts := range map[string][]grpc.CallOption{"": nil, ", compressed": {grpc.UseCompressor(gzip.Name)}} {
			t.Run(tc.name+name, func(t *testing.T) {
				first, second := newServer(t, tc.act), newServer(t, nil)
				k := &killing{first: first, lost: make(lost, 1)}
				s := newSetup(t, failover.Config{}, []grpc.DialOption{grpc.WithStatsHandler(k.lost)}, first.addr, second.addr)
				k.client = s.client
				wantCode(t, tc.run(t, k, opts...), tc.want)
				first.wants(t, tc.first, tc.messages)
				second.wants(t, tc.second, tc.more)
				// What comes next finds the second one.
				pingPong(t, s.client, opts...)
				largeUnary(t, s.client, opts...)
				second.wants(t, tc.second+2, tc.more+len(responseSizes))
			})
		}
	}
}

type killing struct {
	first  *server
	client testpb.TestServiceClient
	lost   lost
}

// kill kills the first server, and waits until the client has noticed.
func (k *killing) kill(t *testing.T) {
	t.Helper()
	k.first.Stop()
	select {
	case <-k.lost:
	case <-time.After(10 * time.Second):
		t.Fatal("the connection lives on")
	}
}

// lost is a stats.Handler that tells of a connection's end.
type lost chan struct{}

func (l lost) HandleConn(_ context.Context, e stats.ConnStats) {
	if _, ok := e.(*stats.ConnEnd); ok {
		select {
		case l <- struct{}{}:
		default:
		}
	}
}

func (lost) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (lost) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (lost) HandleRPC(context.Context, stats.RPCStats)                         {}

func killUnary(ctx context.Context) func(*testing.T, *killing, ...grpc.CallOption) error {
	return func(t *testing.T, k *killing, opts ...grpc.CallOption) error {
		ended := make(chan error, 1)
		go func() {
			got, err := k.client.UnaryCall(ctx, &testpb.SimpleRequest{Payload: payload(largeRequest), ResponseSize: largeResponse}, opts...)
			if n := len(got.GetPayload().GetBody()); err == nil && n != largeResponse {
				t.Errorf("got %d bytes", n)
			}
			ended <- err
		}()
		k.first.await(t, 1, 0)
		k.kill(t)
		return <-ended
	}
}

func killClientStreaming(t *testing.T, k *killing, opts ...grpc.CallOption) error {
	st, err := k.client.StreamingInputCall(bounded(t), opts...)
	if err != nil {
		return err
	}
	for range 2 {
		if err := st.Send(&testpb.StreamingInputCallRequest{Payload: payload(100)}); err != nil {
			return err
		}
	}
	k.first.await(t, 1, 2)
	k.kill(t)
	for err == nil { // it may take a while to be noticed
		err = st.Send(&testpb.StreamingInputCallRequest{Payload: payload(1 << 16)})
	}
	if err != io.EOF {
		t.Errorf("sending ends with %v", err)
	}
	_, err = st.CloseAndRecv()
	return err
}

func killServerStreaming(after bool) func(*testing.T, *killing, ...grpc.CallOption) error {
	return func(t *testing.T, k *killing, opts ...grpc.CallOption) error {
		in := asks(1)
		in.ResponseParameters[0].IntervalUs = -1
		st, err := k.client.StreamingOutputCall(bounded(t), in, opts...)
		if err != nil {
			return err
		}
		k.first.await(t, 1, 1)
		if after {
			if _, err := st.Recv(); err != nil {
				t.Fatal(err)
			}
		}
		k.kill(t)
		_, err = st.Recv()
		if _, again := st.Recv(); again == nil || err == nil || again.Error() != err.Error() {
			t.Errorf("ends with %v, and then with %v", err, again)
		}
		return err
	}
}

func killPingPong(after bool) func(*testing.T, *killing, ...grpc.CallOption) error {
	return func(t *testing.T, k *killing, opts ...grpc.CallOption) error {
		st, err := k.client.FullDuplexCall(bounded(t), opts...)
		if err != nil {
			return err
		}
		if err := st.Send(asks(1)); err != nil {
			t.Fatal(err)
		}
		if after {
			if _, err := st.Recv(); err != nil {
				t.Fatal(err)
			}
		}
		k.first.await(t, 1, 0)
		k.kill(t)
		_, err = st.Recv()
		for range 2 {
			if err := st.Send(asks(1)); err != io.EOF {
				t.Errorf("sending ends with %v", err)
			}
		}
		return err
	}
}

func killEmptyStream(t *testing.T, k *killing, opts ...grpc.CallOption) error {
	st, err := k.client.FullDuplexCall(bounded(t), opts...)
	if err != nil {
		return err
	}
	if err := st.CloseSend(); err != nil {
		t.Error(err)
	}
	k.first.await(t, 1, 0)
	k.kill(t)
	md, err := st.Header()
	if md != nil || err != nil {
		t.Errorf("the header is %v, %v", md, err)
	}
	_, err = st.Recv()
	return err
}

func killBeforeTheFirstMessage(t *testing.T, k *killing, opts ...grpc.CallOption) error {
	st, err := k.client.FullDuplexCall(bounded(t), opts...)
	if err != nil {
		return err
	}
	k.first.await(t, 1, 0)
	k.kill(t)
	if err := st.Send(asks(1)); err != nil {
		return err
	}
	if err := st.CloseSend(); err != nil {
		t.Error(err)
	}
	if _, err := st.Recv(); err != nil {
		return err
	}
	if _, err = st.Recv(); err != io.EOF {
		t.Errorf("ends with %v", err)
	}
	return nil
}

// killWaiting has a receiver at work when the server dies, and a message that is
// sent after that.
func killWaiting(t *testing.T, k *killing, opts ...grpc.CallOption) error {
	st, err := k.client.FullDuplexCall(bounded(t), opts...)
	if err != nil {
		return err
	}
	received := make(chan error, 1)
	go func() {
		_, err := st.Recv()
		received <- err
	}()
	k.first.await(t, 1, 0)
	k.kill(t)
	if err := st.Send(asks(1)); err != nil {
		return err
	}
	err = <-received
	_ = st.CloseSend()
	if _, eof := st.Recv(); eof != io.EOF {
		t.Errorf("ends with %v", eof)
	}
	return err
}
