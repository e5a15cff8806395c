package benchmarks

import (
	"context"
	"net"
	"testing"

	"github.com/failsafe-go/failsafe-go/failsafegrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failovergrpc"
)

// retryPolicy is gRPC's own: retries and a budget, and no breaker.
const retryPolicy = `{
	"methodConfig": [{"name": [{}], "retryPolicy": {
		"maxAttempts": 3, "initialBackoff": "0.01s", "maxBackoff": "2s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]
	}}],
	"retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1}
}`

// connections are the ways to make a unary call; "base" is a connection without
// retries, beyond which the others are measured.
var connections = []struct {
	name string
	dial func(testing.TB, string, ...grpc.DialOption) grpc.ClientConnInterface
}{
	{"base", func(tb testing.TB, target string, opts ...grpc.DialOption) grpc.ClientConnInterface {
		return dial(tb, target, append(opts, grpc.WithDisableRetry())...)
	}},
	{"grpc-retry", func(tb testing.TB, target string, opts ...grpc.DialOption) grpc.ClientConnInterface {
		return dial(tb, target, append(opts, grpc.WithDefaultServiceConfig(retryPolicy))...)
	}},
	{"murmuration", func(tb testing.TB, target string, opts ...grpc.DialOption) grpc.ClientConnInterface {
		g, err := failover.New("svc", failover.Config{
			Cluster:   cluster(tb),
			Endpoints: []failover.Endpoint{{Name: "primary", URL: target}},
		})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = g.Close() })
		conn, err := failovergrpc.NewClient(g, append(opts, plaintext)...)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = conn.Close() })
		return conn
	}},
	{"failsafe", func(tb testing.TB, target string, opts ...grpc.DialOption) grpc.ClientConnInterface {
		policies := guarded(failsafegrpc.NewRetryPolicyBuilder[*testpb.Empty](), nil)
		opts = append([]grpc.DialOption{grpc.WithChainUnaryInterceptor(failsafegrpc.NewUnaryClientInterceptor(policies...))}, opts...)
		return dial(tb, target, append(opts, grpc.WithDisableRetry())...)
	}},
}

var plaintext = grpc.WithTransportCredentials(insecure.NewCredentials())

func dial(tb testing.TB, target string, opts ...grpc.DialOption) grpc.ClientConnInterface {
	conn, err := grpc.NewClient(target, append(opts, plaintext)...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}

// unstarted are calls that are answered at once, before gRPC begins a stream. Its own
// retries, which come after that, are not measured.
func unstarted() (subjects []subject) {
	answer := grpc.WithChainUnaryInterceptor(func(context.Context, string, any, any, *grpc.ClientConn, grpc.UnaryInvoker, ...grpc.CallOption) error {
		return nil
	})
	for _, c := range connections {
		if c.name == "grpc-retry" {
			continue
		}
		subjects = append(subjects, subject{c.name, func(tb testing.TB) func() {
			return calling(tb, c.dial(tb, "passthrough:///nowhere", answer))
		}})
	}
	return subjects
}

// called are calls of a server on loopback.
func called() (subjects []subject) {
	for _, c := range connections {
		subjects = append(subjects, subject{c.name, func(tb testing.TB) func() {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				tb.Fatal(err)
			}
			s := grpc.NewServer()
			testpb.RegisterTestServiceServer(s, answering{})
			go func() { _ = s.Serve(l) }()
			tb.Cleanup(s.Stop)
			return calling(tb, c.dial(tb, l.Addr().String()))
		}})
	}
	return subjects
}

type answering struct {
	testpb.UnimplementedTestServiceServer
}

func (answering) EmptyCall(context.Context, *testpb.Empty) (*testpb.Empty, error) {
	return new(testpb.Empty), nil
}

func calling(tb testing.TB, conn grpc.ClientConnInterface) func() {
	ctx, cancel := context.WithCancel(context.Background())
	tb.Cleanup(cancel)
	client := testpb.NewTestServiceClient(conn)
	request := new(testpb.Empty)
	return mustSucceed(tb, func() error {
		_, err := client.EmptyCall(ctx, request)
		return err
	})
}

// BenchmarkGRPCStub is a unary call over a connection that does nothing: what counts
// is the difference to "base".
func BenchmarkGRPCStub(b *testing.B) { benchmark(b, unstarted()) }

// BenchmarkGRPCLoopback is a unary call of a server in the same process.
func BenchmarkGRPCLoopback(b *testing.B) { benchmark(b, called()) }
