package failovergrpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failovergrpc"
	"github.com/murmuration-go/murmuration/retry"
)

// soon is the act of a server that is exhausted, and says when to come back.
func soon(context.Context, int) error {
	s, _ := status.New(codes.ResourceExhausted, "as told").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Millisecond)})
	return s.Err()
}

// pushes is an act that answers with a code and a pushback.
func pushes(code codes.Code, ms string) func(context.Context, int) error {
	return func(ctx context.Context, _ int) error {
		_ = grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", ms))
		return status.Error(code, "as told")
	}
}

func late(ctx context.Context, _ int) error {
	<-ctx.Done()
	return status.FromContextError(ctx.Err()).Err()
}

func TestWhatIsResent(t *testing.T) {
	for name, tc := range map[string]struct {
		act    func(context.Context, int) error
		repeat bool // may be
		second int  // calls at the second server
		seen   []breaker.Outcome
	}{
		"the server says it is unavailable":        {act: unavailable, second: 1, seen: []breaker.Outcome{failure, success}},
		"and never to come back":                   {act: pushes(codes.Unavailable, "-1"), repeat: true, seen: []breaker.Outcome{failure}},
		"and how long to wait":                     {act: pushes(codes.Unavailable, "60000"), second: 1, seen: []breaker.Outcome{failure, success}},
		"exhausted":                                {act: says(codes.ResourceExhausted, 0), repeat: true, seen: []breaker.Outcome{failure}},
		"exhausted for a while":                    {act: soon, second: 1, seen: []breaker.Outcome{failure, success}},
		"exhausted, with a pushback":               {act: pushes(codes.ResourceExhausted, "1"), second: 1, seen: []breaker.Outcome{failure, success}},
		"the attempt times out":                    {act: late, seen: []breaker.Outcome{failure}},
		"the attempt times out and may":            {act: late, repeat: true, second: 1, seen: []breaker.Outcome{failure, success}},
		"somebody's deadline is exceeded":          {act: says(codes.DeadlineExceeded, 0), seen: []breaker.Outcome{failure}},
		"somebody's deadline is exceeded, and may": {act: says(codes.DeadlineExceeded, 0), repeat: true, second: 1, seen: []breaker.Outcome{failure, success}},
		"internal":               {act: says(codes.Internal, 0), repeat: true, seen: []breaker.Outcome{failure}},
		"unknown":                {act: says(codes.Unknown, 0), repeat: true, seen: []breaker.Outcome{failure}},
		"data loss":              {act: says(codes.DataLoss, 0), repeat: true, seen: []breaker.Outcome{failure}},
		"canceled by the server": {act: says(codes.Canceled, 0), repeat: true, seen: []breaker.Outcome{neutral}},
		"invalid":                {act: says(codes.InvalidArgument, 0), repeat: true, seen: []breaker.Outcome{neutral}},
		"invalid, and come back": {act: pushes(codes.InvalidArgument, "1"), repeat: true, seen: []breaker.Outcome{neutral}},
		"not found":              {act: says(codes.NotFound, 0), repeat: true, seen: []breaker.Outcome{neutral}},
		"exists":                 {act: says(codes.AlreadyExists, 0), repeat: true, seen: []breaker.Outcome{neutral}},
		"denied":                 {act: says(codes.PermissionDenied, 0), repeat: true, seen: []breaker.Outcome{neutral}},
		"unauthenticated":        {act: says(codes.Unauthenticated, 0), repeat: true, seen: []breaker.Outcome{neutral}},
		"precondition":           {act: says(codes.FailedPrecondition, 0), repeat: true, seen: []breaker.Outcome{neutral}},
		"aborted":                {act: says(codes.Aborted, 0), repeat: true, seen: []breaker.Outcome{neutral}},
		"out of range":           {act: says(codes.OutOfRange, 0), repeat: true, seen: []breaker.Outcome{neutral}},
		"unimplemented":          {act: says(codes.Unimplemented, 0), repeat: true, seen: []breaker.Outcome{neutral}},
	} {
		t.Run(name, func(t *testing.T) {
			first, second := newServer(t, tc.act), newServer(t, nil)
			c := failover.Config{Retry: retry.Policy{AttemptTimeout: 50 * time.Millisecond}}
			s := newSetup(t, c, nil, first.addr, second.addr)
			s.conn.Resend = func(method string) bool {
				return tc.repeat && method == testpb.TestService_EmptyCall_FullMethodName
			}
			_, err := s.client.EmptyCall(bounded(t), &testpb.Empty{})
			if (err == nil) != (tc.second > 0) {
				t.Errorf("ended with %v", err)
			}
			first.wants(t, 1, 0)
			second.wants(t, tc.second, 0)
			s.Want(t, tc.seen...)
		})
	}
}

// Of an endpoint that cannot be reached nothing can have been sent.
func TestNothingWasSent(t *testing.T) {
	second := newServer(t, nil)
	c := failover.Config{Retry: retry.Policy{AttemptTimeout: time.Second}}
	s := newSetup(t, c, nil, nobody(t), second.addr)
	for _, wait := range []bool{false, true} { // who waits, waits for his attempt's time
		if _, err := s.client.EmptyCall(bounded(t), &testpb.Empty{}, grpc.WaitForReady(wait)); err != nil {
			t.Errorf("wait for ready %v: %v", wait, err)
		}
	}
	second.wants(t, 2, 0)
	s.Want(t, failure, success, failure, success)
}

func TestErrors(t *testing.T) {
	a := newServer(t, unavailable)
	s := newSetup(t, failover.Config{Budget: retry.BudgetConfig{Burst: -1, Ratio: -1}}, nil, a.addr)
	_, err := s.client.EmptyCall(bounded(t), &testpb.Empty{})
	var tried *retry.Error
	var e *failovergrpc.StatusError
	if !errors.As(err, &tried) || !errors.As(err, &e) || !errors.Is(err, retry.ErrBudgetExhausted) {
		t.Fatalf("without a budget: %#v", err)
	}
	if st := status.Convert(err); st.Code() != codes.Unavailable || st.Message() != "as told" || e.Endpoint != "a" ||
		e.Method != testpb.TestService_EmptyCall_FullMethodName || e.Timeout() || tried.Attempts != 1 {
		t.Errorf("without a budget: %v: %+v", st, e)
	}
	// The breaker refuses.
	c := failover.Config{Breaker: breaker.Config{ConsecutiveFailures: 1}}
	s = newSetup(t, c, nil, a.addr)
	s.group.Report("a", errors.New("down"))
	ended := 0
	_, err = s.client.EmptyCall(bounded(t), &testpb.Empty{}, grpc.OnFinish(func(error) { ended++ }))
	var open *breaker.OpenError
	if !errors.As(err, &open) || !errors.Is(err, breaker.ErrOpen) || !errors.As(err, &e) || e.Endpoint != "a" || ended != 1 {
		t.Fatalf("refused: %#v", err)
	}
	if st := status.Convert(err); st.Code() != codes.Unavailable || st.Message() != open.Error() {
		t.Errorf("refused: %v", st)
	}
	_, err = s.client.FullDuplexCall(bounded(t))
	if !errors.Is(err, breaker.ErrOpen) || status.Code(err) != codes.Unavailable {
		t.Errorf("a refused stream: %v", err)
	}
	// The group is closed.
	s.group.Close()
	if _, err = s.client.EmptyCall(bounded(t), &testpb.Empty{}); status.Code(err) != codes.Canceled || !errors.Is(err, failover.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// Who gives up while the loop waits for the next attempt is told so.
func TestGivingUpBetweenAttempts(t *testing.T) {
	a := newServer(t, pushes(codes.Unavailable, "20000"))
	s := newSetup(t, failover.Config{}, nil, a.addr)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		a.await(t, 1, 0)
		cancel()
	}()
	_, err := s.client.EmptyCall(ctx, &testpb.Empty{})
	if status.Code(err) != codes.Canceled || !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

func TestTheCallersAffairs(t *testing.T) {
	a := newServer(t, hold)
	s := newSetup(t, failover.Config{}, nil, a.addr)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		a.await(t, 1, 0)
		cancel()
	}()
	_, err := s.client.EmptyCall(failovergrpc.WithResend(ctx), &testpb.Empty{})
	var e *retry.Error
	if status.Code(err) != codes.Canceled || !errors.Is(err, context.Canceled) || !errors.As(err, &e) || e.Stop != nil {
		t.Errorf("a cancelled call: %v", err)
	}
	s.Want(t) // the breaker asks nobody about it
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = s.client.EmptyCall(failovergrpc.WithResend(ctx), &testpb.Empty{})
	if status.Code(err) != codes.DeadlineExceeded || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a late call: %v", err)
	}
	a.wants(t, 2, 0)
}

// Header, trailer and peer are those of the attempt that is returned, whichever it
// is, and so is the reply.
func TestWhatIsReturned(t *testing.T) {
	told := func(value string, code codes.Code) func(context.Context, int) error {
		return func(ctx context.Context, _ int) error {
			_ = grpc.SetHeader(ctx, metadata.Pairs("from", value))
			_ = grpc.SetTrailer(ctx, metadata.Pairs("from", value))
			return status.Error(code, "as told")
		}
	}
	a, b := newServer(t, told("a", codes.Unavailable)), newServer(t, told("b", codes.OK))
	for last, want := range map[*server]string{a: "a", b: "b"} {
		s := newSetup(t, failover.Config{Retry: retry.Policy{MaxAttempts: 2}}, nil, a.addr, last.addr)
		var header, trailer metadata.MD
		var from peer.Peer
		var ends []error
		got, err := s.client.UnaryCall(bounded(t), &testpb.SimpleRequest{ResponseSize: 3}, grpc.Header(&header), grpc.Trailer(&trailer), grpc.Peer(&from),
			grpc.OnFinish(func(err error) { ends = append(ends, err) }))
		if !slices.Equal(trailer["from"], []string{want}) || from.Addr == nil || from.Addr.String() != last.addr {
			t.Errorf("%s: the trailer is %v, from %v", want, trailer, from)
		}
		if want == "b" && (err != nil || got.GetServerId() != b.addr || !slices.Equal(header["from"], []string{"b"})) {
			t.Errorf("got %v, %v, with header %v", got, err, header)
		}
		if len(ends) != 1 || ends[0] != err {
			t.Errorf("%s: OnFinish was told %v, of %v", want, ends, err)
		}
	}
	// With no stream there is nothing to tell, as with gRPC.
	s := newSetup(t, failover.Config{}, nil, nobody(t))
	header, trailer := metadata.Pairs("mine", "1"), metadata.Pairs("mine", "1")
	from := peer.Peer{Addr: &net.TCPAddr{}}
	_, err := s.client.EmptyCall(bounded(t), &testpb.Empty{}, grpc.Header(&header), grpc.Trailer(&trailer), grpc.Peer(&from))
	if err == nil || header["mine"] == nil || trailer["mine"] == nil || from.Addr == nil {
		t.Errorf("%v, and the header is %v, the trailer %v, from %v", err, header, trailer, from)
	}
}

// fussy is a codec that adds to what a message holds, as JSON does.
type fussy struct{}

func (fussy) Name() string { return "fussy" }

func (fussy) Marshal(v any) ([]byte, error) { return json.Marshal(v) }

func (fussy) Unmarshal(b []byte, v any) error { return json.Unmarshal(b, v) }

// A failed attempt leaves nothing in the reply of the one that is returned.
func TestReplyIsTheLastAttempts(t *testing.T) {
	n := 0
	answers := grpc.WithUnaryInterceptor(func(_ context.Context, _ string, _, reply any, _ *grpc.ClientConn, _ grpc.UnaryInvoker, _ ...grpc.CallOption) error {
		n++
		if n == 1 {
			_ = fussy{}.Unmarshal([]byte(`{"server_id":"a","username":"left over"}`), reply)
			return status.Error(codes.Unavailable, "midway")
		}
		return fussy{}.Unmarshal([]byte(`{"server_id":"b"}`), reply)
	})
	s := newSetup(t, failover.Config{}, []grpc.DialOption{answers}, "passthrough:///a", "passthrough:///b")
	message := &testpb.SimpleResponse{}
	if err := s.conn.Invoke(t.Context(), "/m", message, message); err != nil || message.GetServerId() != "b" || message.GetUsername() != "" {
		t.Errorf("got %v, %v", message, err)
	}
	n = 0
	other := &struct {
		ID       string `json:"server_id"`
		Username string
	}{}
	if err := s.conn.Invoke(t.Context(), "/m", other, other, grpc.ForceCodec(fussy{})); err != nil || other.ID != "b" || other.Username != "" {
		t.Errorf("got %v, %v", other, err)
	}
}
