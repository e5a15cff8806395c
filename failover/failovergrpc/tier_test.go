package failovergrpc_test

import (
	"context"
	"io"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/retry"
)

const previous = "grpc-previous-rpc-attempts"

// two is a setup of two endpoints, of which the first never works.
func two(t *testing.T, internal bool, first, second *server) *setup {
	return newSetup(t, failover.Config{Endpoints: []failover.Endpoint{
		{Name: "first", URL: first.addr, Internal: internal},
		{Name: "second", URL: second.addr, Internal: internal, Priority: 1},
	}, Retry: retry.Policy{MaxAttempts: 2}}, nil)
}

// Internal endpoints are told how many attempts came before, others nothing: also
// not what a proxy has copied.
func TestPreviousAttempts(t *testing.T) {
	for _, internal := range []bool{true, false} {
		first, second := newServer(t, unavailable), newServer(t, nil)
		s := two(t, internal, first, second)
		copied := metadata.AppendToOutgoingContext(bounded(t), previous, "7", "k", "v")
		for _, ctx := range []context.Context{bounded(t), copied, retry.WithPrevious(copied, 3)} {
			if _, err := s.client.EmptyCall(ctx, &testpb.Empty{}); err != nil {
				t.Fatal(err)
			}
		}
		wantFirst, wantSecond := []string{"-", "-", "3"}, []string{"1", "1", "4"}
		if !internal {
			wantFirst, wantSecond = []string{"-", "-", "-"}, []string{"-", "-", "-"}
		}
		if a, b := first.told(previous), second.told(previous); !slices.Equal(a, wantFirst) || !slices.Equal(b, wantSecond) {
			t.Errorf("internal %v: the servers are told %q and %q, want %q and %q", internal, a, b, wantFirst, wantSecond)
		}
		if k := second.told("k"); !slices.Equal(k, []string{"-", "v", "v"}) {
			t.Errorf("the other metadata is %q", k)
		}
		if md, _ := metadata.FromOutgoingContext(copied); md.Get(previous)[0] != "7" {
			t.Error("the caller's metadata is changed")
		}
	}
}

// A stream that is opened again tells of it as well.
func TestPreviousAttemptsOfAStream(t *testing.T) {
	second := newServer(t, nil)
	s := newSetup(t, failover.Config{Endpoints: []failover.Endpoint{
		{Name: "first", URL: nobody(t), Internal: true},
		{Name: "second", URL: second.addr, Internal: true, Priority: 1},
	}}, nil)
	pingPong(t, s.client)
	if told := second.told(previous); !slices.Equal(told, []string{"1"}) {
		t.Errorf("the server is told %q", told)
	}
}

// The word of an internal endpoint that a retry is no use goes up; that of others
// only ends the call.
func TestPushbackIsPassedOn(t *testing.T) {
	for _, internal := range []bool{true, false} {
		first, second := newServer(t, pushes(codes.Unavailable, "-1")), newServer(t, nil)
		s := two(t, internal, first, second)
		for _, call := range []func(context.Context) error{
			func(ctx context.Context) error {
				_, err := s.client.EmptyCall(ctx, &testpb.Empty{})
				return err
			},
			func(ctx context.Context) error {
				st, err := s.client.StreamingOutputCall(ctx, asks(1))
				if err == nil {
					_, err = st.Recv()
				}
				return err
			},
		} {
			ctx := retry.WithPrevious(bounded(t), 0)
			wantCode(t, call(ctx), codes.Unavailable)
			if retry.Discouraged(ctx) != internal {
				t.Errorf("internal %v: passed on %v", internal, retry.Discouraged(ctx))
			}
		}
		second.wants(t, 0, 0)
	}
}

// Dial options and the service config of a target may ask for retries of gRPC's
// own: nothing multiplies.
func TestNothingMultiplies(t *testing.T) {
	a := newServer(t, unavailable)
	own := grpc.WithDefaultServiceConfig(`{"methodConfig": [{"name": [{}], "retryPolicy": {
		"maxAttempts": 4, "initialBackoff": "0.001s", "maxBackoff": "0.001s", "backoffMultiplier": 1, "retryableStatusCodes": ["UNAVAILABLE"]}}]}`)
	s := newSetup(t, failover.Config{}, []grpc.DialOption{own}, a.addr)
	_, err := s.client.EmptyCall(bounded(t), &testpb.Empty{})
	wantCode(t, err, codes.Unavailable)
	a.wants(t, 3, 0)
	st, err := s.client.StreamingOutputCall(bounded(t), asks(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = st.Recv(); err == io.EOF {
		t.Error("it went well")
	}
	a.wants(t, 4, 1)
}
