package main

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/murmuration-go/murmuration/retry/retrygrpc"
	"github.com/murmuration-go/murmuration/retry/retryhttp"
)

// The services: web is called over HTTP and rpc over gRPC.
var services = []string{"web", "rpc"}

// zone is a place with a server for each service, and a proxy before each.
type zone struct {
	name    string
	failing atomic.Uint32 // of a hundred requests
	arrived atomic.Uint64
	proxies map[string]*proxy // by service
	closers []func()
}

const work = 2 * time.Millisecond // that a request takes

func newZone(name string, seed uint64) (_ *zone, err error) {
	z := &zone{name: name, proxies: map[string]*proxy{}}
	defer func() {
		if err != nil {
			z.close()
		}
	}()
	for i, service := range services {
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		ended := make(chan struct{})
		if service == "web" {
			s := &http.Server{Handler: retryhttp.Handler(web{z}), ReadHeaderTimeout: 5 * time.Second}
			z.closers = append(z.closers, func() { _ = s.Close(); <-ended })
			go func() { defer close(ended); _ = s.Serve(l) }()
		} else {
			s := grpc.NewServer(grpc.ChainUnaryInterceptor(retrygrpc.UnaryServerInterceptor))
			healthpb.RegisterHealthServer(s, rpc{zone: z})
			z.closers = append(z.closers, func() { s.Stop(); <-ended })
			go func() { defer close(ended); _ = s.Serve(l) }()
		}
		p, err := newProxy(l.Addr().String(), seed+uint64(i))
		if err != nil {
			return nil, err
		}
		z.proxies[service] = p
	}
	return z, nil
}

// serve reports whether a request is answered well.
func (z *zone) serve(ctx context.Context) bool {
	z.arrived.Add(1)
	t := time.NewTimer(work)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return rand.Uint32N(100) >= z.failing.Load()
}

func (z *zone) close() {
	for _, p := range z.proxies {
		p.close()
	}
	for _, end := range z.closers {
		end()
	}
}

type web struct{ *zone }

func (z web) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !z.serve(r.Context()) {
		http.Error(w, "it fails", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

// rpc is the health service, which only saves a .proto file.
type rpc struct {
	healthpb.UnimplementedHealthServer
	*zone
}

func (z rpc) Check(ctx context.Context, _ *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	if !z.serve(ctx) {
		return nil, status.Error(codes.Unavailable, "it fails")
	}
	return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}, nil
}
