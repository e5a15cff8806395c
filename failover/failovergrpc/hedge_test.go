package failovergrpc_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failovergrpc"
	"github.com/murmuration-go/murmuration/retry"
)

// A unary call that may be carried out twice is hedged, and all that the caller
// gets is of the attempt that answered. Others are not, and streams never are.
func TestHedge(t *testing.T) {
	slow := func(ctx context.Context, _ int) error {
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
		return nil
	}
	first, second := newServer(t, slow), newServer(t, nil)
	c := failover.Config{Retry: retry.Policy{Hedge: &retry.Hedge{Delay: 20 * time.Millisecond}}}
	s := newSetup(t, c, nil, first.addr, second.addr)

	var header, trailer metadata.MD
	var from peer.Peer
	ctx := failovergrpc.WithResend(bounded(t))
	reply, err := s.client.UnaryCall(ctx, &testpb.SimpleRequest{ResponseSize: 7}, grpc.Header(&header), grpc.Trailer(&trailer), grpc.Peer(&from))
	if err != nil || len(reply.GetPayload().GetBody()) != 7 || from.Addr.String() != second.addr {
		t.Errorf("%v of %v: %v", reply, from.Addr, err)
	}
	first.wants(t, 1, 0)
	second.wants(t, 1, 0)
	s.Want(t, success) // who was cut short says nothing

	if _, err := s.client.UnaryCall(bounded(t), &testpb.SimpleRequest{}); err != nil {
		t.Error(err)
	}
	stream, err := s.client.StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{ResponseParameters: []*testpb.ResponseParameters{{Size: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = stream.Recv()
	}
	second.wants(t, 1, 0)
}
