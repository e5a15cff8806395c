package main

import (
	"context"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/murmuration-go/murmuration/retry/retrygrpc"
	"github.com/murmuration-go/murmuration/retry/retryhttp"
)

// listen starts the zone's server on loopback.
func (z *zone) listen(overGRPC bool) error {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	if overGRPC {
		z.url = l.Addr().String()
		s := grpc.NewServer(
			grpc.ChainUnaryInterceptor(retrygrpc.UnaryServerInterceptor),
			grpc.ChainStreamInterceptor(retrygrpc.StreamServerInterceptor),
		)
		healthpb.RegisterHealthServer(s, grpcZone{zone: z})
		z.close = func() { s.Stop(); <-ended }
		go func() { defer close(ended); _ = s.Serve(l) }()
		return nil
	}
	z.url = "http://" + l.Addr().String()
	s := &http.Server{Handler: retryhttp.Handler(httpZone{z}), ReadHeaderTimeout: 5 * time.Second}
	z.close = func() { _ = s.Close(); <-ended }
	go func() { defer close(ended); _ = s.Serve(l) }()
	return nil
}

// httpZone serves a zone over HTTP.
type httpZone struct{ *zone }

func (z httpZone) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := z.serve(r.Context()); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

// grpcZone serves a zone over gRPC. That it is the health service that is called
// only saves this example a .proto file of its own.
type grpcZone struct {
	healthpb.UnimplementedHealthServer
	*zone
}

func (z grpcZone) Check(ctx context.Context, _ *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	if err := z.serve(ctx); err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}, nil
}
