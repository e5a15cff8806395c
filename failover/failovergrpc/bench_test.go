package failovergrpc_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failovergrpc"
	"github.com/murmuration-go/murmuration/internal/race"
	"github.com/murmuration-go/murmuration/retry"
)

// stubbed answers every call at once, below whatever is measured.
var stubbed = grpc.WithUnaryInterceptor(func(context.Context, string, any, any, *grpc.ClientConn, grpc.UnaryInvoker, ...grpc.CallOption) error {
	return nil
})

// BenchmarkHealthy is what a call costs beyond its connection, which here does
// nothing: the difference to "base" counts. BenchmarkServer has the proportion.
func BenchmarkHealthy(b *testing.B) {
	timed := failover.Config{Retry: retry.Policy{AttemptTimeout: time.Second}}
	marked := metadata.AppendToOutgoingContext(context.Background(), "authorization", "secret")
	for _, bc := range []struct {
		name string
		ctx  context.Context
		conn grpc.ClientConnInterface
	}{
		{"base", context.Background(), plain(b, "passthrough:///a", stubbed)},
		{"failovergrpc", context.Background(), newSetup(b, failover.Config{}, []grpc.DialOption{stubbed}, "passthrough:///a").conn},
		{"attempt-timeout", context.Background(), newSetup(b, timed, []grpc.DialOption{stubbed}, "passthrough:///a").conn},
		{"metadata", marked, newSetup(b, failover.Config{}, []grpc.DialOption{stubbed}, "passthrough:///a").conn},
	} {
		b.Run(bc.name, func(b *testing.B) { calls(bc.ctx, b, bc.conn) })
	}
}

func BenchmarkServer(b *testing.B) {
	s := newServer(b, nil)
	quiet := plain(b, s.addr)
	for _, bc := range []struct {
		name string
		conn grpc.ClientConnInterface
	}{
		{"base", quiet},
		{"failovergrpc", newSetup(b, failover.Config{}, nil, s.addr).conn},
		{"interceptor", plain(b, s.addr, grpc.WithUnaryInterceptor(failovergrpc.UnaryClientInterceptor(newSetup(b, failover.Config{}, nil, s.addr).group)))},
	} {
		b.Run(bc.name, func(b *testing.B) { calls(b.Context(), b, bc.conn) })
	}
}

// BenchmarkStream opens a stream, sends a message, and reads to the end.
func BenchmarkStream(b *testing.B) {
	s := newServer(b, nil)
	for _, bc := range []struct {
		name string
		conn grpc.ClientConnInterface
	}{
		{"base", plain(b, s.addr)},
		{"failovergrpc", newSetup(b, failover.Config{}, nil, s.addr).conn},
	} {
		b.Run(bc.name, func(b *testing.B) {
			client := testpb.NewTestServiceClient(bc.conn)
			b.ReportAllocs()
			for b.Loop() {
				st, err := client.StreamingOutputCall(b.Context(), &testpb.StreamingOutputCallRequest{})
				if err != nil {
					b.Fatal(err)
				}
				_, _ = st.Recv()
			}
		})
	}
}

func calls(ctx context.Context, b *testing.B, conn grpc.ClientConnInterface) {
	client := testpb.NewTestServiceClient(conn)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.EmptyCall(ctx, &testpb.Empty{}); err != nil {
			b.Fatal(err)
		}
	}
}

func plain(tb testing.TB, target string, opts ...grpc.DialOption) *grpc.ClientConn {
	conn, err := grpc.NewClient(target, append(opts, plaintext, grpc.WithDisableRetry())...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}

// A healthy call costs few allocations beyond those of its connection.
func TestAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	allocs := func(conn grpc.ClientConnInterface) float64 {
		client := testpb.NewTestServiceClient(conn)
		return testing.AllocsPerRun(1000, func() { _, _ = client.EmptyCall(t.Context(), &testpb.Empty{}) })
	}
	base, ours := allocs(plain(t, "passthrough:///a", stubbed)), allocs(newSetup(t, failover.Config{}, []grpc.DialOption{stubbed}, "passthrough:///a").conn)
	if ours > base+3 {
		t.Errorf("%v allocations a call, where the connection has %v", ours, base)
	}
}
