package failovergrpc_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// server is gRPC's interop test service, on loopback. It counts what arrives.
type server struct {
	testpb.UnimplementedTestServiceServer
	*grpc.Server
	addr string
	done chan error

	// act, if set, is called first: with the number of the call or stream, from 1.
	act func(ctx context.Context, n int) error

	mu       sync.Mutex
	got      func(context.Context) // if set, is called with each request and message that has arrived whole
	calls    int                   // unary calls and streams
	messages int                   // messages of streams
	heard    []metadata.MD         // of each
	changed  chan struct{}         // closed at each change
}

func newServer(tb testing.TB, act func(ctx context.Context, n int) error, opts ...grpc.ServerOption) *server {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &server{addr: l.Addr().String(), act: act, done: make(chan error, 1), changed: make(chan struct{})}
	s.Server = grpc.NewServer(append(opts, grpc.UnknownServiceHandler(func(_ any, st grpc.ServerStream) error {
		if err := st.RecvMsg(&testpb.Empty{}); err != nil {
			return err
		}
		return s.arrive(st.Context())
	}))...)
	testpb.RegisterTestServiceServer(s, s)
	go func() { s.done <- s.Serve(l) }()
	tb.Cleanup(func() {
		s.Stop()
		if err := <-s.done; err != nil && err != grpc.ErrServerStopped {
			tb.Error(err)
		}
	})
	return s
}

// count notes a change.
func (s *server) count(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	close(s.changed)
	s.changed = make(chan struct{})
}

// arrive notes a call or stream.
func (s *server) arrive(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	n := 0
	s.count(func() {
		s.calls++
		n = s.calls
		s.heard = append(s.heard, md)
	})
	if s.act == nil {
		return nil
	}
	return s.act(ctx, n)
}

// message notes a request or a message of a stream.
func (s *server) message(ctx context.Context, n int) {
	s.count(func() {
		s.messages += n
		if s.got != nil {
			s.got(ctx)
		}
	})
}

// seen returns how many calls or streams, and messages of streams, have arrived.
func (s *server) seen() (calls, messages int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls, s.messages
}

// await waits until that many have arrived.
func (s *server) await(tb testing.TB, calls, messages int) {
	tb.Helper()
	late := time.After(10 * time.Second)
	for {
		s.mu.Lock()
		c, m, changed := s.calls, s.messages, s.changed
		s.mu.Unlock()
		if c >= calls && m >= messages {
			return
		}
		select {
		case <-changed:
		case <-late:
			tb.Fatalf("%d calls and %d messages arrived, want %d and %d", c, m, calls, messages)
		}
	}
}

func (s *server) wants(tb testing.TB, calls, messages int) {
	tb.Helper()
	if c, m := s.seen(); c != calls || m != messages {
		tb.Errorf("the server got %d calls and %d messages, want %d and %d", c, m, calls, messages)
	}
}

// told returns the values of a metadata key of all calls, one string each.
func (s *server) told(key string) (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, md := range s.heard {
		v := "-"
		if vs := md.Get(key); len(vs) > 0 {
			v = vs[0]
		}
		all = append(all, v)
	}
	return all
}

const (
	echoHeader  = "x-grpc-test-echo-initial"
	echoTrailer = "x-grpc-test-echo-trailing-bin"
)

// echo returns the metadata that asks for it, as the interop cases do.
func echo(ctx context.Context, header, trailer func(metadata.MD) error) {
	md, _ := metadata.FromIncomingContext(ctx)
	if v := md.Get(echoHeader); len(v) > 0 {
		_ = header(metadata.Pairs(echoHeader, v[0]))
	}
	if v := md.Get(echoTrailer); len(v) > 0 {
		_ = trailer(metadata.Pairs(echoTrailer, v[0]))
	}
}

func (s *server) EmptyCall(ctx context.Context, in *testpb.Empty) (*testpb.Empty, error) {
	s.message(ctx, 0)
	return in, s.arrive(ctx)
}

func (s *server) UnaryCall(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	if err := s.arrive(ctx); err != nil {
		return nil, err
	}
	echo(ctx, func(md metadata.MD) error { return grpc.SetHeader(ctx, md) }, func(md metadata.MD) error { return grpc.SetTrailer(ctx, md) })
	if e := in.GetResponseStatus(); e.GetCode() != 0 {
		return nil, status.Error(codes.Code(e.GetCode()), e.GetMessage())
	}
	return &testpb.SimpleResponse{Payload: payload(int(in.GetResponseSize())), ServerId: s.addr}, nil
}

func (s *server) StreamingOutputCall(in *testpb.StreamingOutputCallRequest, out grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
	s.message(out.Context(), 1)
	if err := s.arrive(out.Context()); err != nil {
		return err
	}
	return respond(in, out)
}

// sender is a stream of either kind that is answered by messages.
type sender interface {
	Send(*testpb.StreamingOutputCallResponse) error
	Context() context.Context
}

func respond(in *testpb.StreamingOutputCallRequest, out sender) error {
	for _, p := range in.GetResponseParameters() {
		if err := out.Send(&testpb.StreamingOutputCallResponse{Payload: payload(int(p.GetSize()))}); err != nil {
			return err
		}
		if p.GetIntervalUs() < 0 { // ours: hold on
			<-out.Context().Done()
			return out.Context().Err()
		}
	}
	return nil
}

func (s *server) StreamingInputCall(in grpc.ClientStreamingServer[testpb.StreamingInputCallRequest, testpb.StreamingInputCallResponse]) error {
	if err := s.arrive(in.Context()); err != nil {
		return err
	}
	sum := 0
	for {
		m, err := in.Recv()
		if err == io.EOF {
			return in.SendAndClose(&testpb.StreamingInputCallResponse{AggregatedPayloadSize: int32(sum)})
		}
		if err != nil {
			return err
		}
		s.message(in.Context(), 1)
		sum += len(m.GetPayload().GetBody())
	}
}

func (s *server) FullDuplexCall(both grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	if err := s.arrive(both.Context()); err != nil {
		return err
	}
	echo(both.Context(), both.SetHeader, func(md metadata.MD) error { both.SetTrailer(md); return nil })
	for {
		in, err := both.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		s.message(both.Context(), 1)
		if e := in.GetResponseStatus(); e.GetCode() != 0 {
			return status.Error(codes.Code(e.GetCode()), e.GetMessage())
		}
		if err := respond(in, both); err != nil {
			return err
		}
	}
}

func payload(size int) *testpb.Payload { return &testpb.Payload{Body: make([]byte, size)} }
