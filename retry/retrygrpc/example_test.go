package retrygrpc_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/murmuration-go/murmuration/retry"
	"github.com/murmuration-go/murmuration/retry/retrygrpc"
)

// failing is a server that cannot do its work, and knows that none of its
// replicas can.
type failing struct {
	grpc_health_v1.UnimplementedHealthServer
}

func (failing) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	fmt.Println("attempts before:", retry.Previous(ctx))
	if retry.Previous(ctx) > 0 {
		retry.Discourage(ctx) // one retry has to do
	}
	return nil, status.Error(codes.Unavailable, "the database is down")
}

func Example() {
	server := grpc.NewServer(grpc.ChainUnaryInterceptor(retrygrpc.UnaryServerInterceptor))
	grpc_health_v1.RegisterHealthServer(server, failing{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { _ = server.Serve(l) }()
	defer server.Stop()

	conn, err := grpc.NewClient(l.Addr().String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithChainUnaryInterceptor(retrygrpc.UnaryClientInterceptor),
		grpc.WithDisableRetry())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	client := grpc_health_v1.NewHealthClient(conn)

	err = retry.Do(context.Background(), retry.Policy{BaseDelay: -1}, func(ctx context.Context) error {
		_, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
		return err
	})
	fmt.Println(status.Code(err))
	// Output:
	// attempts before: 0
	// attempts before: 1
	// Unavailable
}
