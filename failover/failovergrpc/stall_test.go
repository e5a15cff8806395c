package failovergrpc_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/murmuration-go/murmuration/failover"
)

// begun is a stream that tells of each message that is about to be sent.
type begun struct {
	grpc.ClientStream
	sends chan<- struct{}
}

func (b begun) SendMsg(m any) error {
	b.sends <- struct{}{}
	return b.ClientStream.SendMsg(m)
}

// A message that the server does not read holds up the next message, and nothing
// else: not what may be called beside SendMsg.
func TestStalledSendHoldsUpNothingElse(t *testing.T) {
	for name, tc := range map[string]struct {
		act  func(context.Context, int) error
		asks int // before the messages that nobody reads
	}{
		"of a server that says nothing":     {act: hold},
		"of a server that does not read on": {asks: 1},
	} {
		t.Run(name, func(t *testing.T) {
			a := newServer(t, tc.act, grpc.InitialWindowSize(1<<16)) // does not grow
			sends := make(chan struct{}, 3)
			open := func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, next grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
				st, err := next(ctx, desc, cc, method, opts...)
				return begun{st, sends}, err
			}
			s := newSetup(t, failover.Config{}, []grpc.DialOption{grpc.WithStreamInterceptor(open)}, a.addr)
			ctx, cancel := context.WithCancel(t.Context())
			st, err := s.client.FullDuplexCall(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for range tc.asks {
				in := asks(1)
				in.ResponseParameters[0].IntervalUs = -1
				if err := st.Send(in); err != nil {
					t.Fatal(err)
				}
				<-sends
			}
			stalled := make(chan error, 1)
			go func() {
				for {
					if err := st.Send(&testpb.StreamingOutputCallRequest{Payload: payload(1 << 20)}); err != nil {
						stalled <- err
						return
					}
				}
			}()
			for range 2 { // the first one is taken for the sending buffer
				<-sends
			}
			promptly := func(what string, do func()) {
				t.Helper()
				done := make(chan struct{})
				go func() {
					defer close(done)
					do()
				}()
				select {
				case <-done:
				case <-time.After(10 * time.Second):
					t.Errorf("%s waits for the message", what)
				}
			}
			promptly("Context", func() {
				if st.Context().Err() != nil {
					t.Error("the context has ended")
				}
			})
			promptly("Trailer", func() { _ = st.Trailer() })
			if tc.asks > 0 {
				promptly("Header", func() {
					if _, err := st.Header(); err != nil {
						t.Error(err)
					}
				})
				promptly("Recv", func() {
					if _, err := st.Recv(); err != nil {
						t.Error(err)
					}
				})
				promptly("Context", func() { _ = st.Context() })
			}
			if len(stalled) > 0 || len(sends) > 0 {
				t.Error("the message was sent")
			}
			cancel()
			<-stalled
		})
	}
}
