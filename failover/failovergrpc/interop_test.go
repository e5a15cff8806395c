package failovergrpc_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failovergrpc"
)

// interopCases are gRPC's own: doc/interop-test-descriptions.md in its repository.
var interopCases = map[string]func(*testing.T, testpb.TestServiceClient, ...grpc.CallOption){
	"empty_unary":                 emptyUnary,
	"large_unary":                 largeUnary,
	"client_streaming":            clientStreaming,
	"server_streaming":            serverStreaming,
	"ping_pong":                   pingPong,
	"empty_stream":                emptyStream,
	"cancel_after_begin":          cancelAfterBegin,
	"cancel_after_first_response": cancelAfterFirstResponse,
	"timeout_on_sleeping_server":  timeoutOnSleepingServer,
	"custom_metadata":             customMetadata,
	"status_code_and_message":     statusCodeAndMessage,
	"special_status_message":      specialStatusMessage,
	"unimplemented_method":        unimplementedMethod,
}

func TestInterop(t *testing.T) {
	first, second := newServer(t, nil), newServer(t, nil)
	s := newSetup(t, failover.Config{}, nil, first.addr, second.addr)
	single, err := grpc.NewClient(first.addr, append(failovergrpc.DialOptions(s.group), plaintext)...)
	if err != nil {
		t.Fatal(err)
	}
	defer single.Close()
	for name, run := range interopCases {
		t.Run(name, func(t *testing.T) { run(t, s.client) })
		t.Run(name+"/compressed", func(t *testing.T) { run(t, s.client, grpc.UseCompressor(gzip.Name)) })
		t.Run(name+"/waits", func(t *testing.T) { run(t, s.client, grpc.WaitForReady(true)) })
		t.Run(name+"/interceptors", func(t *testing.T) { run(t, testpb.NewTestServiceClient(single)) })
	}
	second.wants(t, 0, 0)
	if n := s.conn.Stats().TransparentRetries; n != 0 {
		t.Errorf("%d transparent retries of healthy calls", n)
	}
}

func emptyUnary(t *testing.T, c testpb.TestServiceClient, opts ...grpc.CallOption) {
	if _, err := c.EmptyCall(bounded(t), &testpb.Empty{}, opts...); err != nil {
		t.Error(err)
	}
}

const (
	largeRequest  = 271828
	largeResponse = 314159
)

func largeUnary(t *testing.T, c testpb.TestServiceClient, opts ...grpc.CallOption) {
	got, err := c.UnaryCall(bounded(t), &testpb.SimpleRequest{ResponseSize: largeResponse, Payload: payload(largeRequest)}, opts...)
	if n := len(got.GetPayload().GetBody()); err != nil || n != largeResponse {
		t.Errorf("got %d bytes, %v", n, err)
	}
}

func clientStreaming(t *testing.T, c testpb.TestServiceClient, opts ...grpc.CallOption) {
	s, err := c.StreamingInputCall(bounded(t), opts...)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{27182, 8, 1828, 45904} {
		if err := s.Send(&testpb.StreamingInputCallRequest{Payload: payload(n)}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.CloseAndRecv()
	if got.GetAggregatedPayloadSize() != 74922 || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

var responseSizes = []int32{31415, 9, 2653, 58979}

func asks(sizes ...int32) *testpb.StreamingOutputCallRequest {
	r := &testpb.StreamingOutputCallRequest{}
	for _, n := range sizes {
		r.ResponseParameters = append(r.ResponseParameters, &testpb.ResponseParameters{Size: n})
	}
	return r
}

func serverStreaming(t *testing.T, c testpb.TestServiceClient, opts ...grpc.CallOption) {
	s, err := c.StreamingOutputCall(bounded(t), asks(responseSizes...), opts...)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range responseSizes {
		if got, err := s.Recv(); err != nil || len(got.GetPayload().GetBody()) != int(n) {
			t.Fatalf("got %d bytes, %v", len(got.GetPayload().GetBody()), err)
		}
	}
	for range 2 {
		if _, err := s.Recv(); err != io.EOF {
			t.Errorf("ends with %v", err)
		}
	}
}

func pingPong(t *testing.T, c testpb.TestServiceClient, opts ...grpc.CallOption) {
	s, err := c.FullDuplexCall(bounded(t), opts...)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range responseSizes {
		if err := s.Send(asks(n)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Recv(); err != nil || len(got.GetPayload().GetBody()) != int(n) {
			t.Fatalf("got %d bytes, %v", len(got.GetPayload().GetBody()), err)
		}
	}
	if err := s.CloseSend(); err != nil {
		t.Error(err)
	}
	if _, err := s.Recv(); err != io.EOF {
		t.Errorf("ends with %v", err)
	}
}

func emptyStream(t *testing.T, c testpb.TestServiceClient, opts ...grpc.CallOption) {
	s, err := c.FullDuplexCall(bounded(t), opts...)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CloseSend(); err != nil {
		t.Error(err)
	}
	if _, err := s.Recv(); err != io.EOF {
		t.Errorf("ends with %v", err)
	}
}

func cancelAfterBegin(t *testing.T, c testpb.TestServiceClient, opts ...grpc.CallOption) {
	ctx, cancel := context.WithCancel(bounded(t))
	s, err := c.StreamingInputCall(ctx, opts...)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	_, err = s.CloseAndRecv()
	wantCode(t, err, codes.Canceled)
}

func cancelAfterFirstResponse(t *testing.T, c testpb.TestServiceClient, opts ...grpc.CallOption) {
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	s, err := c.FullDuplexCall(ctx, opts...)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(asks(31415)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := s.Recv(); status.Code(err) != codes.Canceled {
		t.Errorf("ends with %v", err)
	}
}

func timeoutOnSleepingServer(t *testing.T, c testpb.TestServiceClient, opts ...grpc.CallOption) {
	ctx, cancel := context.WithTimeout(bounded(t), time.Millisecond)
	defer cancel()
	s, err := c.FullDuplexCall(ctx, opts...)
	if err != nil {
		wantCode(t, err, codes.DeadlineExceeded)
		return
	}
	if err := s.Send(&testpb.StreamingOutputCallRequest{Payload: payload(27182)}); err != nil && err != io.EOF {
		t.Error(err)
	}
	_, err = s.Recv()
	wantCode(t, err, codes.DeadlineExceeded)
}

func customMetadata(t *testing.T, c testpb.TestServiceClient, opts ...grpc.CallOption) {
	const initial, trailing = "test_initial_metadata_value", "\xab\xab\xab"
	ctx := metadata.AppendToOutgoingContext(bounded(t), echoHeader, initial, echoTrailer, trailing)
	check := func(what string, header, trailer metadata.MD) {
		t.Helper()
		if v := header.Get(echoHeader); len(v) != 1 || v[0] != initial {
			t.Errorf("%s: the header has %q", what, v)
		}
		if v := trailer.Get(echoTrailer); len(v) != 1 || v[0] != trailing {
			t.Errorf("%s: the trailer has %q", what, v)
		}
	}
	var header, trailer metadata.MD
	var from peer.Peer
	ended := 0
	mine := append(opts[:len(opts):len(opts)], grpc.Header(&header), grpc.Trailer(&trailer), grpc.Peer(&from), grpc.OnFinish(func(error) { ended++ }))
	if _, err := c.UnaryCall(ctx, &testpb.SimpleRequest{ResponseSize: 1}, mine...); err != nil {
		t.Fatal(err)
	}
	check("unary", header, trailer)
	if from.Addr == nil || ended != 1 {
		t.Errorf("unary: came from %v, and ended %d times", from, ended)
	}
	header, trailer, from = nil, nil, peer.Peer{}
	s, err := c.FullDuplexCall(ctx, mine...)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Send(asks(1))
	md, err := s.Header()
	if err != nil {
		t.Error(err)
	}
	_, _ = s.Recv()
	_ = s.CloseSend()
	if _, err := s.Recv(); err != io.EOF {
		t.Errorf("ends with %v", err)
	}
	check("stream", md, s.Trailer())
	check("stream, by options", header, trailer)
	if from.Addr == nil || ended != 2 {
		t.Errorf("stream: came from %v, and ended %d times", from, ended-1)
	}
}

func statusCodeAndMessage(t *testing.T, c testpb.TestServiceClient, opts ...grpc.CallOption) {
	wantStatus(t, c, codes.Unknown, "test status message", opts...)
}

func specialStatusMessage(t *testing.T, c testpb.TestServiceClient, opts ...grpc.CallOption) {
	wantStatus(t, c, codes.Unknown, "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n", opts...)
}

// wantStatus asks for a status and checks that it comes as it is, also as text.
func wantStatus(t *testing.T, c testpb.TestServiceClient, code codes.Code, message string, opts ...grpc.CallOption) {
	t.Helper()
	want := status.Error(code, message)
	check := func(err error) {
		t.Helper()
		if err == nil || err.Error() != want.Error() || status.Convert(err).Message() != message {
			t.Errorf("got %v, want %v", err, want)
		}
		wantCode(t, err, code)
	}
	e := &testpb.EchoStatus{Code: int32(code), Message: message}
	_, err := c.UnaryCall(bounded(t), &testpb.SimpleRequest{ResponseStatus: e}, opts...)
	check(err)
	s, err := c.FullDuplexCall(bounded(t), opts...)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(&testpb.StreamingOutputCallRequest{ResponseStatus: e}); err != nil {
		t.Error(err)
	}
	for range 2 {
		_, err = s.Recv()
		check(err)
	}
}

func unimplementedMethod(t *testing.T, c testpb.TestServiceClient, opts ...grpc.CallOption) {
	_, err := c.UnimplementedCall(bounded(t), &testpb.Empty{}, opts...)
	wantCode(t, err, codes.Unimplemented)
}

// Limits of size are obeyed, and are no evidence against the endpoint.
func TestLargeMessages(t *testing.T) {
	b := newServer(t, nil)
	s := newSetup(t, failover.Config{}, nil, b.addr)
	big := &testpb.SimpleRequest{ResponseSize: 5 << 20}
	got, err := s.client.UnaryCall(bounded(t), big, grpc.MaxCallRecvMsgSize(6<<20))
	if err != nil || !bytes.Equal(got.GetPayload().GetBody(), make([]byte, 5<<20)) {
		t.Fatal(err)
	}
	_, err = s.client.UnaryCall(bounded(t), big)
	wantCode(t, err, codes.ResourceExhausted)
	_, err = s.client.UnaryCall(bounded(t), &testpb.SimpleRequest{Payload: payload(100)}, grpc.MaxCallSendMsgSize(10))
	wantCode(t, err, codes.ResourceExhausted)
	b.wants(t, 2, 0)
	s.Want(t, success, neutral, neutral)
}
