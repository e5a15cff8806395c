package otel_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	grpccodes "google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failovergrpc"
)

// spansGRPC makes a CLIENT span a request, as the conventions want it, the way
// otelgrpc does.
type spansGRPC struct{ tracer trace.Tracer }

func (h spansGRPC) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	method := strings.TrimPrefix(info.FullMethodName, "/")
	ctx, _ = h.tracer.Start(ctx, method, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("rpc.system.name", "grpc"), attribute.String("rpc.method", method)))
	return ctx
}

func (h spansGRPC) HandleRPC(ctx context.Context, s stats.RPCStats) {
	span := trace.SpanFromContext(ctx)
	switch s := s.(type) {
	case *stats.OutHeader:
		a := s.RemoteAddr.(*net.TCPAddr)
		span.SetAttributes(attribute.String("server.address", a.IP.String()), attribute.Int("server.port", a.Port))
	case *stats.End:
		code := grpcNames[status.Code(s.Error)]
		span.SetAttributes(attribute.String("rpc.response.status_code", code))
		if s.Error != nil {
			span.SetStatus(codes.Error, "")
			span.SetAttributes(attribute.String("error.type", code))
		}
		span.End()
	}
}

func (spansGRPC) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (spansGRPC) HandleConn(context.Context, stats.ConnStats)                       {}

// testServer answers as the request says: with a code, at one request in two if it has
// a message, and never if the code is that of a deadline.
type testServer struct {
	testpb.UnimplementedTestServiceServer
	asked atomic.Int64
}

func (s *testServer) UnaryCall(ctx context.Context, r *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	st := r.GetResponseStatus()
	switch code := grpccodes.Code(st.GetCode()); {
	case code == grpccodes.DeadlineExceeded:
		<-ctx.Done()
		return nil, ctx.Err()
	case code != grpccodes.OK && (st.GetMessage() == "" || s.asked.Add(1)%2 == 1):
		return nil, status.Error(code, "secret")
	}
	return &testpb.SimpleResponse{}, nil
}

func serveGRPC(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	testpb.RegisterTestServiceServer(s, &testServer{})
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return l.Addr().String()
}

// Whatever becomes of gRPC calls, with instrumentation inside and outside, the spans are
// as the conventions and the documentation have them.
func TestGRPCSpansFollowTheConventions(t *testing.T) {
	l := newLab(t)
	urls := []string{serveGRPC(t), serveGRPC(t)}
	client := func(change func(*failover.Config)) testpb.TestServiceClient {
		g := l.group(func(c *failover.Config) {
			for i := range c.Endpoints {
				c.Endpoints[i].URL = urls[i]
			}
			if change != nil {
				change(c)
			}
		}, "a", "b")
		conn, err := failovergrpc.NewClient(g, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithStatsHandler(spansGRPC{l.tracers.Tracer(theirGRPC)}))
		if err != nil {
			t.Fatal(err)
		}
		conn.Resend = func(string) bool { return true }
		t.Cleanup(func() { _ = conn.Close() })
		return testpb.NewTestServiceClient(conn)
	}
	for _, trouble := range troubles {
		c := client(trouble())
		for _, st := range []*testpb.EchoStatus{
			nil, {Code: int32(grpccodes.NotFound)}, {Code: int32(grpccodes.Internal)}, {Code: int32(grpccodes.Unavailable)},
			{Code: int32(grpccodes.Unavailable), Message: "once"}, {Code: int32(grpccodes.ResourceExhausted)},
			{Code: int32(grpccodes.DeadlineExceeded)},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			_, _ = c.UnaryCall(ctx, &testpb.SimpleRequest{ResponseStatus: st})
			cancel()
		}
	}
	gone := client(func(c *failover.Config) { c.Endpoints[0].URL, c.Endpoints = nobody(t), c.Endpoints[:1] })
	_, _ = gone.UnaryCall(t.Context(), &testpb.SimpleRequest{})

	l.wantConventions(t,
		"error.type", "rpc.method", "rpc.response.status_code", "rpc.system.name", "server.address",
		"murmuration.attempt", "murmuration.attempt_count", "murmuration.decided_by", "murmuration.diverted_from",
		"murmuration.endpoint", "murmuration.evidence.age", "murmuration.hedged_after", "murmuration.refused_endpoint",
		"murmuration.service", "murmuration.stop", "murmuration.wait")
}
