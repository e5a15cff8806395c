package failovergrpc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/stats"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failovergrpc"
	"github.com/murmuration-go/murmuration/failover/internal/evidence"
	"github.com/murmuration-go/murmuration/retry"
)

func TestNewClientTellsEveryFault(t *testing.T) {
	g := new(setup)
	g.Recorder = new(evidence.Recorder)
	group := g.newGroup(t, failover.Config{Endpoints: []failover.Endpoint{
		{Name: "good", URL: "localhost:1"}, {Name: "none"}, {Name: "bad", URL: "%zz:80"}, {Name: "http", URL: "https://localhost"},
	}})
	_, err := failovergrpc.NewClient(group, plaintext)
	var e *failovergrpc.TargetError
	if !errors.As(err, &e) || e.Endpoint != "none" || e.Service != "svc" ||
		!strings.Contains(err.Error(), `endpoint "bad" of service "svc": target "%zz:80"`) ||
		!strings.Contains(err.Error(), `endpoint "http"`) || strings.Contains(err.Error(), "good") {
		t.Errorf("bad targets: %v", err)
	}
	if _, err := failovergrpc.NewClient(group); !errors.As(err, &e) || !strings.Contains(err.Error(), `"good"`) || !strings.Contains(err.Error(), "credentials") {
		t.Errorf("bad options: %v", err)
	}
	if _, err := failovergrpc.NewClient(nil, plaintext); err == nil {
		t.Error("no group is needed")
	}
	// What an Update brings is for the calls to tell.
	a := newServer(t, nil)
	s := newSetup(t, failover.Config{}, nil, a.addr)
	if err := s.group.Update([]failover.Endpoint{{Name: "none"}}); err != nil {
		t.Fatal(err)
	}
	ended := s.conn.Invoke(t.Context(), "/m", &testpb.Empty{}, &testpb.Empty{})
	wantCode(t, ended, codes.Internal)
	_, err = s.client.FullDuplexCall(t.Context())
	wantCode(t, err, codes.Internal)
	if !errors.As(ended, &e) || !errors.As(err, &e) || e.Endpoint != "none" {
		t.Errorf("ended with %v and %v", ended, err)
	}
	s.Want(t, neutral, neutral)
}

// conns is a stats.Handler that tells of connections, by a letter for each.
type conns chan string

func (c conns) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }
func (c conns) HandleRPC(context.Context, stats.RPCStats)                       {}
func (c conns) TagConn(ctx context.Context, i *stats.ConnTagInfo) context.Context {
	return context.WithValue(ctx, c, i.RemoteAddr.String())
}

func (c conns) HandleConn(ctx context.Context, e stats.ConnStats) {
	switch e.(type) {
	case *stats.ConnBegin:
		c <- "+" + ctx.Value(c).(string)
	case *stats.ConnEnd:
		c <- "-" + ctx.Value(c).(string)
	}
}

func (c conns) want(t *testing.T, all ...string) {
	t.Helper()
	for _, want := range all {
		if got := <-c; got != want {
			t.Errorf("connection %s, want %s", got, want)
		}
	}
	if len(c) > 0 {
		t.Errorf("connection %s", <-c)
	}
}

// Connections of endpoints that stay are kept; those of others are closed once the
// calls on them have ended.
func TestUpdate(t *testing.T) {
	a, b := newServer(t, nil), newServer(t, nil)
	c := make(conns, 16)
	s := newSetup(t, failover.Config{}, []grpc.DialOption{grpc.WithStatsHandler(c)}, a.addr)
	emptyUnary(t, s.client)
	c.want(t, "+"+a.addr)
	st, err := s.client.FullDuplexCall(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	// a stays, whatever else is said of it.
	update := func(list ...failover.Endpoint) {
		t.Helper()
		if err := s.group.Update(list); err != nil {
			t.Fatal(err)
		}
	}
	update(failover.Endpoint{Name: "b", URL: b.addr, Priority: 1}, failover.Endpoint{Name: "a", URL: a.addr, Weight: 3})
	emptyUnary(t, s.client)
	c.want(t)
	// Gone and back while it is in use it stays.
	other, err := s.client.FullDuplexCall(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	update(failover.Endpoint{Name: "b", URL: b.addr})
	update(failover.Endpoint{Name: "a", URL: a.addr})
	_ = other.CloseSend()
	_, _ = other.Recv()
	emptyUnary(t, s.client)
	c.want(t)
	// Gone for good it lasts as long as the stream.
	update(failover.Endpoint{Name: "b", URL: b.addr})
	emptyUnary(t, s.client)
	c.want(t, "+"+b.addr)
	if err := st.Send(asks(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Recv(); err != nil {
		t.Fatal(err)
	}
	_ = st.CloseSend()
	_, _ = st.Recv()
	c.want(t, "-"+a.addr)
	update(failover.Endpoint{Name: "a", URL: a.addr})
	c.want(t, "-"+b.addr)
	emptyUnary(t, s.client)
	c.want(t, "+"+a.addr)
	s.conn.Close()
	c.want(t, "-"+a.addr)
}

func TestClose(t *testing.T) {
	a := newServer(t, hold)
	s := newSetup(t, failover.Config{}, nil, a.addr)
	ends := make(chan error, 2)
	go func() {
		_, err := s.client.EmptyCall(failovergrpc.WithResend(context.Background()), &testpb.Empty{})
		ends <- err
	}()
	st, err := s.client.FullDuplexCall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = st.Send(asks(1))
	go func() {
		_, err := st.Recv()
		ends <- err
	}()
	if _, err := s.client.FullDuplexCall(t.Context()); err != nil { // abandoned
		t.Fatal(err)
	}
	a.await(t, 3, 0)
	for range 2 {
		if err := s.conn.Close(); err != nil {
			t.Error(err)
		}
	}
	wantCode(t, <-ends, codes.Canceled)
	wantCode(t, <-ends, codes.Canceled)
	ended := 0
	finish := grpc.OnFinish(func(error) { ended++ })
	_, err = s.client.EmptyCall(t.Context(), &testpb.Empty{}, finish)
	wantCode(t, err, codes.Canceled)
	_, err = s.client.FullDuplexCall(t.Context(), finish)
	wantCode(t, err, codes.Canceled)
	if ended != 2 {
		t.Errorf("%d calls ended after Close, want 2", ended)
	}
	if err := s.group.Update([]failover.Endpoint{{Name: "b", URL: "localhost:1"}}); err != nil {
		t.Error(err)
	}
}

// Close does not wait for the next attempt, of a stream or a unary call, but for the
// end of the call.
func TestCloseBetweenAttempts(t *testing.T) {
	for name, call := range map[string]func(*setup, ...grpc.CallOption) error{
		"stream": func(s *setup, opts ...grpc.CallOption) error {
			_, err := s.client.FullDuplexCall(context.Background(), opts...)
			return err
		},
		"unary": func(s *setup, opts ...grpc.CallOption) error {
			_, err := s.client.EmptyCall(context.Background(), &testpb.Empty{}, opts...)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			waits := make(chan struct{})
			c := failover.Config{Retry: retry.Policy{BaseDelay: 1 << 40, MaxDelay: 1 << 40}}
			c.Retry.Hooks.Wait = func(context.Context, retry.Attempt, error, time.Duration) { close(waits) }
			s := newSetup(t, c, nil, nobody(t))
			finished, returned := make(chan error, 2), make(chan error, 1)
			go func() { returned <- call(s, grpc.OnFinish(func(err error) { finished <- err })) }()
			<-waits
			s.conn.Close()
			select {
			case err := <-finished:
				wantCode(t, err, codes.Canceled)
			default:
				t.Error("Close has not waited for the call")
			}
			wantCode(t, <-returned, codes.Canceled)
			if len(finished) > 0 {
				t.Error("it finished twice")
			}
		})
	}
}

// refuser is a server that refuses to look at the first stream of a connection, and
// answers NOT_FOUND to the others.
func refuser(t *testing.T) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			refuse(c)
		}
		ended <- err
	}()
	t.Cleanup(func() {
		l.Close()
		<-ended
	})
	return l.Addr().String()
}

func refuse(c net.Conn) {
	defer c.Close()
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(c, preface); err != nil {
		return
	}
	f := http2.NewFramer(c, c)
	_ = f.WriteSettings()
	for streams := 0; ; {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		h, ok := frame.(*http2.HeadersFrame)
		if !ok {
			continue
		}
		if streams++; streams == 1 {
			_ = f.WriteRSTStream(h.StreamID, http2.ErrCodeRefusedStream)
			continue
		}
		var block bytes.Buffer
		e := hpack.NewEncoder(&block)
		for _, field := range [][2]string{{":status", "200"}, {"content-type", "application/grpc"}, {"grpc-status", "5"}} {
			_ = e.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
		}
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: h.StreamID, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
	}
}

// What gRPC sends again by itself is counted, and is neither attempt nor evidence.
func TestTransparentRetries(t *testing.T) {
	s := newSetup(t, failover.Config{}, nil, refuser(t))
	tokens := s.group.Explain().BudgetTokens
	_, err := s.client.EmptyCall(bounded(t), &testpb.Empty{})
	wantCode(t, err, codes.NotFound)
	var e *retry.Error
	if n := s.conn.Stats().TransparentRetries; n != 1 || !errors.As(err, &e) || e.Attempts != 1 {
		t.Errorf("%d transparent retries; %v", n, err)
	}
	if now := s.group.Explain().BudgetTokens; now < tokens {
		t.Errorf("the budget went from %v to %v", tokens, now)
	}
	s.Want(t, neutral)
	s.conn.Close()
}
