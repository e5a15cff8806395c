package failovergrpc_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failovergrpc"
	"github.com/murmuration-go/murmuration/failover/internal/evidence"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	success = breaker.OutcomeSuccess
	failure = breaker.OutcomeFailure
	neutral = breaker.OutcomeNeutral
)

var plaintext = grpc.WithTransportCredentials(insecure.NewCredentials())

// setup is a group of endpoints, with no waits between attempts unless Retry says
// otherwise, and the Conn and client on top of it.
type setup struct {
	*evidence.Recorder
	group  *failover.Group
	conn   *failovergrpc.Conn
	client testpb.TestServiceClient
}

// newSetup makes endpoints a, b, ... at the addresses, a the nearest.
func newSetup(tb testing.TB, c failover.Config, opts []grpc.DialOption, addrs ...string) *setup {
	tb.Helper()
	s := &setup{Recorder: new(evidence.Recorder)}
	for i, u := range addrs {
		c.Endpoints = append(c.Endpoints, failover.Endpoint{Name: string(rune('a' + i)), URL: u, Priority: i})
	}
	s.group = s.newGroup(tb, c)
	conn, err := failovergrpc.NewClient(s.group, append(opts, plaintext)...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := conn.Close(); err != nil {
			tb.Error(err)
		}
	})
	s.conn, s.client = conn, testpb.NewTestServiceClient(conn)
	return s
}

func (s *setup) newGroup(tb testing.TB, c failover.Config) *failover.Group {
	tb.Helper()
	if c.Retry.BaseDelay == 0 {
		c.Retry.BaseDelay = -1
	}
	if c.Breaker.ConsecutiveFailures == 0 {
		c.Breaker.ConsecutiveFailures, c.Breaker.MinRequests = 1000, -1
	}
	c.Breaker.Classify = s.Classify
	g, err := failover.New("svc", c)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

// nobody returns an address at which nobody listens.
func nobody(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// says is an act that answers with a code, and then with none from the n-th call on.
func says(code codes.Code, n int) func(context.Context, int) error {
	return func(_ context.Context, k int) error {
		if n > 0 && k >= n {
			return nil
		}
		return status.Error(code, "as told")
	}
}

var unavailable = says(codes.Unavailable, 0)

// bounded is the context of a call that is not to hang.
func bounded(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	tb.Cleanup(cancel)
	return ctx
}

func wantCode(t *testing.T, err error, want codes.Code) {
	t.Helper()
	var e *failovergrpc.StatusError
	if status.Code(err) != want || want != codes.OK && !errors.As(err, &e) {
		t.Errorf("ended with %v, want %v", err, want)
	}
}
