package world

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// Listen starts the server on loopback, over HTTP or gRPC.
func (s *Server) Listen(overGRPC bool) error {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Addr = l.Addr().String()
	s.URL = "http://" + s.Addr
	ended := make(chan struct{})
	s.close = append(s.close, func() { <-ended })
	if overGRPC {
		g := grpc.NewServer()
		healthpb.RegisterHealthServer(g, overRPC{Server: s})
		s.close = append(s.close, g.Stop)
		go func() { defer close(ended); _ = g.Serve(l) }()
		return nil
	}
	h := &http.Server{Handler: overHTTP{s}, ReadHeaderTimeout: 5 * time.Second}
	s.close = append(s.close, func() { _ = h.Close() })
	go func() { defer close(ended); _ = h.Serve(l) }()
	return nil
}

type overHTTP struct{ *Server }

func (s overHTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch err := s.serve(r.Context()); {
	case errors.Is(err, errFailed):
		http.Error(w, err.Error(), http.StatusInternalServerError)
	case err != nil:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	default:
		_, _ = w.Write([]byte("ok\n"))
	}
}

// overRPC serves over gRPC. That it is the health service that is called only saves
// a .proto file.
type overRPC struct {
	healthpb.UnimplementedHealthServer
	*Server
}

// Check answers INTERNAL for what is a 500 over HTTP, and UNAVAILABLE for a 503.
func (s overRPC) Check(ctx context.Context, _ *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	err := s.serve(ctx)
	if errors.Is(err, errFailed) {
		return nil, status.Error(codes.Internal, err.Error())
	}
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}, nil
}
