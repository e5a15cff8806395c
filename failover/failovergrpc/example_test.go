package failovergrpc_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failovergrpc"
	"github.com/murmuration-go/murmuration/retry"
)

// serve runs a server that answers, or is always unavailable.
func serve(opts ...grpc.ServerOption) (addr string, stop func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	s := grpc.NewServer(opts...)
	healthpb.RegisterHealthServer(s, health.NewServer())
	done := make(chan error)
	go func() { done <- s.Serve(l) }()
	return l.Addr().String(), func() {
		s.Stop()
		<-done
	}
}

func ExampleNewClient() {
	west, stopWest := serve(grpc.UnaryInterceptor(func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
		return nil, status.Error(codes.Unavailable, "west is down")
	}))
	defer stopWest()
	east, stopEast := serve()
	defer stopEast()

	group, err := failover.New("health", failover.Config{
		Endpoints: []failover.Endpoint{
			{Name: "west", URL: west},
			{Name: "east", URL: east, Priority: 1},
		},
		Retry: retry.Policy{AttemptTimeout: 2 * time.Second},
	})
	if err != nil {
		log.Fatal(err)
	}
	conn, err := failovergrpc.NewClient(group, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	reply, err := healthpb.NewHealthClient(conn).Check(context.Background(), &healthpb.HealthCheckRequest{})
	fmt.Println(reply.GetStatus(), err)
	// Output: SERVING <nil>
}

func ExampleDialOptions() {
	target, stop := serve()
	defer stop()
	group, err := failover.New("health", failover.Config{Endpoints: []failover.Endpoint{{Name: "only"}}})
	if err != nil {
		log.Fatal(err)
	}
	opts := append(failovergrpc.DialOptions(group), grpc.WithTransportCredentials(insecure.NewCredentials()))
	conn, err := grpc.NewClient(target, opts...)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	reply, err := healthpb.NewHealthClient(conn).Check(context.Background(), &healthpb.HealthCheckRequest{})
	fmt.Println(reply.GetStatus(), err)
	// Output: SERVING <nil>
}
