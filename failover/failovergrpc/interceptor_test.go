package failovergrpc_test

import (
	"errors"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failovergrpc"
	"github.com/murmuration-go/murmuration/failover/internal/evidence"
	"github.com/murmuration-go/murmuration/retry"
)

// single is a client of one target, with interceptors of a group.
func single(t *testing.T, g *failover.Group, target string, opts ...grpc.DialOption) testpb.TestServiceClient {
	t.Helper()
	cc, err := grpc.NewClient(target, append(opts, plaintext)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return testpb.NewTestServiceClient(cc)
}

func TestSingleTarget(t *testing.T) {
	for _, tc := range []struct {
		name string
		act  func(*testing.T) *server
		all  int // calls that arrive, with all of the options
		bare int // with the interceptors alone
	}{
		{"the server says it is unavailable", func(t *testing.T) *server { return newServer(t, unavailable) }, 3, 1},
		{"never to come back", func(t *testing.T) *server { return newServer(t, pushes(codes.Unavailable, "-1")) }, 1, 1},
		{"come back", func(t *testing.T) *server { return newServer(t, pushes(codes.ResourceExhausted, "1")) }, 3, 3},
		{"may have been carried out", func(t *testing.T) *server { return newServer(t, says(codes.DeadlineExceeded, 0)) }, 1, 1},
	} {
		for _, bare := range []bool{false, true} {
			a := tc.act(t)
			e := &setup{Recorder: new(evidence.Recorder)}
			g := e.newGroup(t, failover.Config{Endpoints: []failover.Endpoint{{Name: "a"}}})
			opts, want := failovergrpc.DialOptions(g), tc.all
			if bare {
				opts, want = []grpc.DialOption{grpc.WithUnaryInterceptor(failovergrpc.UnaryClientInterceptor(g))}, tc.bare
			}
			_, err := single(t, g, a.addr, opts...).EmptyCall(bounded(t), &testpb.Empty{})
			var tried *retry.Error
			if !errors.As(err, &tried) || tried.Attempts != want {
				t.Errorf("%s, bare %v: %v", tc.name, bare, err)
			}
			a.wants(t, want, 0)
		}
	}
}

// Even without more than the interceptor it is known that nothing went to a target
// that cannot be reached.
func TestSingleTargetThatCannotBeReached(t *testing.T) {
	e := &setup{Recorder: new(evidence.Recorder)}
	g := e.newGroup(t, failover.Config{Endpoints: []failover.Endpoint{{Name: "a"}}, Breaker: breaker.Config{ConsecutiveFailures: 6}})
	c := single(t, g, nobody(t), grpc.WithUnaryInterceptor(failovergrpc.UnaryClientInterceptor(g)), grpc.WithStreamInterceptor(failovergrpc.StreamClientInterceptor(g)))
	var tried *retry.Error
	if _, err := c.EmptyCall(bounded(t), &testpb.Empty{}); !errors.As(err, &tried) || tried.Attempts != 3 {
		t.Errorf("a call: %v", err)
	}
	if _, err := c.FullDuplexCall(bounded(t)); !errors.As(err, &tried) || tried.Attempts != 3 {
		t.Errorf("a stream: %v", err)
	}
	if _, err := c.EmptyCall(bounded(t), &testpb.Empty{}); !errors.Is(err, breaker.ErrOpen) {
		t.Errorf("the breaker lets a call through: %v", err)
	}
}
