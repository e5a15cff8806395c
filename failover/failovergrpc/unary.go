package failovergrpc

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/internal/unsent"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry/retrygrpc"
)

// call is what unary calls and streams have in common.
type call struct {
	ctx     context.Context //nolint:containedctx // the caller's, as long as the call lasts
	group   *failover.Group
	method  string
	resend  func(method string) bool // nil: nobody says so
	opts    []grpc.CallOption        // of the caller, but for
	outputs []grpc.CallOption        // those that write to where he says
}

func newCall(ctx context.Context, g *failover.Group, method string, resend func(string) bool, opts []grpc.CallOption) call {
	c := call{ctx: ctx, group: g, method: method, resend: resend}
	c.opts, c.outputs = splitOptions(opts)
	return c
}

// unmarked returns the caller's context without a number of earlier attempts in
// its outgoing metadata. That is for the loop to say, and to internal endpoints
// alone: what a proxy has copied of the call it received goes no further.
func (c *call) unmarked() context.Context {
	md, ok := metadata.FromOutgoingContext(c.ctx)
	if !ok || md[retrygrpc.PreviousAttempts] == nil {
		return c.ctx
	}
	delete(md, retrygrpc.PreviousAttempts)
	return metadata.NewOutgoingContext(c.ctx, md)
}

// begin returns the attempt under way, whose context is loop.
func (c *call) begin(loop context.Context, e failover.Endpoint) *attempt {
	if e.Internal {
		loop = retrygrpc.Outgoing(loop)
	}
	return &attempt{Context: loop, endpoint: e.Name, internal: e.Internal}
}

// invoker sends an attempt of a unary call to an endpoint.
type invoker func(a *attempt, e failover.Endpoint, method string, args, reply any, opts []grpc.CallOption) error

// invoke is the invoker of a Conn.
func (c *Conn) invoke(a *attempt, e failover.Endpoint, method string, args, reply any, opts []grpc.CallOption) error {
	l, err := c.links.take(e)
	if err != nil {
		return &unsent.Error{Err: err}
	}
	defer l.release()
	return l.Invoke(a, method, args, reply, opts...)
}

// unaryCall is one on its way through the group.
type unaryCall struct {
	call
	invoker     invoker
	args, reply any
	begun       atomic.Bool
	until       coord.Until // the context, with the Conn's end
}

func (u *unaryCall) run() error {
	do := failover.Unhedged[*attempt]
	if u.group.Hedges() && u.mayRepeat() {
		do = failover.Value[*attempt]
	}
	a, err := do(u.unmarked(), u.group, u.attempt)
	if err == nil {
		copyReply(u.reply, a.reply)
	} else {
		err = u.result(err)
	}
	u.finish(a, err)
	return err
}

// attempt sends the request once. It is the function that the group runs. Only the
// first attempt has the caller's own reply to write to.
func (u *unaryCall) attempt(loop context.Context, e failover.Endpoint) (*attempt, error) {
	a := u.begin(loop, e)
	a.reply = u.reply
	if u.begun.Swap(true) {
		a.reply = anotherReply(u.reply)
	}
	err := u.invoker(a, e, u.method, u.args, a.reply, a.options(&u.call))
	if err != nil {
		err = u.judge(loop, a, stageUnary, err)
	}
	return a, err
}

// UnaryClientInterceptor returns an interceptor that sends the calls of a connection
// through a group, for those who want its budget, its breaker and its retries but
// have one target only. The group should have one endpoint; its URL is not used.
//
// Interceptors after this one see every attempt. The connection should have
// gRPC's own retries switched off, and be watched for what was sent: see
// DialOptions. Otherwise a call of which gRPC has made a stream counts as sent,
// and UNAVAILABLE not as the server's word.
func UnaryClientInterceptor(g *failover.Group) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, args, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		u := unaryCall{call: newCall(ctx, g, method, nil, opts), args: args, reply: reply}
		u.invoker = func(a *attempt, _ failover.Endpoint, method string, args, reply any, opts []grpc.CallOption) error {
			return next(a, method, args, reply, cc, opts...)
		}
		return u.run()
	}
}

// DialOptions returns what a connection to a single target needs to send its calls
// through a group: both interceptors, gRPC's own retries switched off, and a
// stats.Handler that sees what was sent.
//
//	conn, err := grpc.NewClient(target, append(opts, failovergrpc.DialOptions(group)...)...)
func DialOptions(g *failover.Group) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(UnaryClientInterceptor(g)),
		grpc.WithChainStreamInterceptor(StreamClientInterceptor(g)),
		grpc.WithDisableRetry(),
		grpc.WithStatsHandler(new(sightings)),
	}
}
