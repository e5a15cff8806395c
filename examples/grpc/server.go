package main

import (
	"context"
	"net"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/murmuration-go/murmuration/retry/retrygrpc"
)

// server is one endpoint. It is gRPC's own test service, so that this example needs
// no .proto file.
type server struct {
	testpb.UnimplementedTestServiceServer
	name string
	addr string
	stop func()
}

// serve starts a server. With the interceptors it hears how many attempts came
// before a call, and tells its clients when a retry is no use.
func serve(name, addr string) (*server, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	g := grpc.NewServer(
		grpc.ChainUnaryInterceptor(retrygrpc.UnaryServerInterceptor),
		grpc.ChainStreamInterceptor(retrygrpc.StreamServerInterceptor),
	)
	ended := make(chan struct{})
	s := &server{name: name, addr: l.Addr().String(), stop: func() { g.Stop(); <-ended }}
	testpb.RegisterTestServiceServer(g, s)
	go func() { defer close(ended); _ = g.Serve(l) }()
	return s, nil
}

// UnaryCall answers with the server's name.
func (s *server) UnaryCall(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return &testpb.SimpleResponse{ServerId: s.name}, nil
}

// StreamingOutputCall sends the server's name ten times, a tenth of a second apart.
func (s *server) StreamingOutputCall(_ *testpb.StreamingOutputCallRequest, out testpb.TestService_StreamingOutputCallServer) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range 10 {
		if err := out.Send(&testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{Body: []byte(s.name)}}); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-out.Context().Done():
			return out.Context().Err()
		}
	}
	return nil
}
