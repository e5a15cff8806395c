package retrygrpc_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/murmuration-go/murmuration/retry"
	"github.com/murmuration-go/murmuration/retry/retrygrpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errDown = errors.New("down")
	dead    = status.Error(codes.Unavailable, "dead")
)

// tier is a server of the health service, which has a call and a stream, both
// answered by serve. It keeps what the calls told of earlier attempts.
type tier struct {
	grpc_health_v1.UnimplementedHealthServer
	serve func(context.Context) error
	dial  []grpc.DialOption

	mu      sync.Mutex
	arrived []int      // what retry.Previous has, a call each
	words   [][]string // what was in the metadata
}

// newTier starts a server in memory. With bare it has no interceptors.
func newTier(tb testing.TB, bare bool, serve func(context.Context) error) *tier {
	tb.Helper()
	opts := []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(retrygrpc.UnaryServerInterceptor),
		grpc.ChainStreamInterceptor(retrygrpc.StreamServerInterceptor),
	}
	if bare {
		opts = nil
	}
	s, l := grpc.NewServer(opts...), bufconn.Listen(1<<16)
	t := &tier{serve: serve}
	grpc_health_v1.RegisterHealthServer(s, t)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	tb.Cleanup(func() {
		s.Stop()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	})
	t.dial = []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }),
		grpc.WithDisableRetry(),
	}
	return t
}

// client connects to the tier. With bare it has no interceptors.
func (t *tier) client(tb testing.TB, bare bool) grpc_health_v1.HealthClient {
	tb.Helper()
	opts := t.dial
	if !bare {
		opts = append(opts[:len(opts):len(opts)],
			grpc.WithChainUnaryInterceptor(retrygrpc.UnaryClientInterceptor),
			grpc.WithChainStreamInterceptor(retrygrpc.StreamClientInterceptor))
	}
	conn, err := grpc.NewClient("passthrough:///tier", opts...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return grpc_health_v1.NewHealthClient(conn)
}

func (t *tier) handle(ctx context.Context) error {
	t.mu.Lock()
	t.arrived = append(t.arrived, retry.Previous(ctx))
	t.words = append(t.words, metadata.ValueFromIncomingContext(ctx, "grpc-previous-rpc-attempts"))
	t.mu.Unlock()
	return t.serve(ctx)
}

func (t *tier) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return &grpc_health_v1.HealthCheckResponse{}, t.handle(ctx)
}

func (t *tier) Watch(_ *grpc_health_v1.HealthCheckRequest, s grpc.ServerStreamingServer[grpc_health_v1.HealthCheckResponse]) error {
	if err := t.handle(s.Context()); err != nil {
		return err
	}
	return s.Send(&grpc_health_v1.HealthCheckResponse{})
}

// check makes one attempt of a call.
func check(ctx context.Context, c grpc_health_v1.HealthClient, opts ...grpc.CallOption) error {
	_, err := c.Check(ctx, &grpc_health_v1.HealthCheckRequest{}, opts...)
	return err
}

// watch makes one attempt of a stream, up to its first message.
func watch(ctx context.Context, c grpc_health_v1.HealthClient, opts ...grpc.CallOption) error {
	s, err := c.Watch(ctx, &grpc_health_v1.HealthCheckRequest{}, opts...)
	if err != nil {
		return err
	}
	_, err = s.Recv()
	return err
}
