// Package failovergrpc sends gRPC calls through a failover.Group: with its
// endpoints, breakers, retry policy and budget.
//
//	conn, err := failovergrpc.NewClient(group, grpc.WithTransportCredentials(creds))
//	client := pb.NewPaymentsClient(conn)
//
// What is resent: unary calls that ended with
//
//   - UNAVAILABLE, if the server said so (by gRPC's definition it asks thereby for
//     the call to be sent again), if nothing of the request was sent, or if the
//     call may be repeated;
//   - DEADLINE_EXCEEDED, if nothing was sent or the call may be repeated;
//   - RESOURCE_EXHAUSTED, if the server said when to come back.
//
// A call may be repeated if its method has an idempotency_level in its .proto
// file, by Conn.Resend, or by WithResend.
//
// A stream is opened anew, at another endpoint if there is one, until its first
// message is sent or its headers arrive; never after. The first SendMsg, CloseSend,
// Context, and every message and header received settle where it goes. What is
// resent with it is its metadata and a first message that was not accepted.
//
// gRPC's own retries are switched off, so that nothing multiplies. The transparent
// ones cannot be: those of calls that the server has not seen, or has refused to
// look at. They are counted (see Stats), and cost nothing.
//
// Endpoints that are Internal are told how many attempts came before, and a
// negative grpc-retry-pushback-ms of theirs is passed on to the tier above: see
// package retrygrpc. All others are told nothing, also not what the outgoing
// metadata says of it already; their pushback is obeyed all the same.
//
// What counts: UNAVAILABLE, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED, INTERNAL,
// UNKNOWN and DATA_LOSS are failures of the endpoint, as a 5xx of HTTP is. All
// other codes are neither failure nor success, and so are the caller's cancellation
// and what gRPC refuses to send or, for its size, to receive.
package failovergrpc

import (
	"context"
	"errors"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/coord"
)

// Conn is a grpc.ClientConnInterface that sends calls through a Group, over one
// grpc.ClientConn an endpoint. It is safe for concurrent use; set its fields before
// the first call.
//
// The errors of its calls are statuses to package status: that of the last attempt,
// or UNAVAILABLE with the reason if the group refused the call. They are also a
// *StatusError, and what stopped the call is behind it: a *retry.Error, or a
// *breaker.OpenError.
//
// Header, Trailer and Peer tell of the attempt that is returned, and OnFinish is
// called once. Interceptors and stats handlers among the dial options see every
// attempt. The policy's AttemptTimeout bounds an attempt of a unary call, and the
// opening of a stream; with WaitForReady an attempt at an endpoint that cannot be
// reached waits as long as that, or as long as the call has. Connections that broke
// are tried again every 10 s at least, as often as breakers send a probe, unless a
// dial option says otherwise.
//
// The breaker counts a stream by its first answer: headers, a message or a status.
// Its time runs from when the application last sent something, or began to wait,
// before that. A stream that breaks later is a failure beside it. A server that has
// nothing to say for long should send its headers at once, or the deadline of such
// a stream counts as a failure that took time. The hooks of a stream run on a
// goroutine of its own.
type Conn struct {
	// Resend says that calls of a method ("/package.Service/Method") may be
	// carried out more than once. It must be safe for concurrent use.
	Resend func(method string) bool

	group     *failover.Group
	links     links
	sightings sightings
	invoker   invoker
	opener    opener
	unwatch   func()

	life  context.Context //nolint:containedctx // of the Conn itself; ends with Close
	end   context.CancelFunc
	mu    sync.RWMutex // makes calls.Add and Close one after the other
	calls sync.WaitGroup
}

var _ grpc.ClientConnInterface = (*Conn)(nil)

// NewClient returns a Conn to the endpoints of a group, whose URLs are gRPC
// targets as grpc.NewClient takes them. It connects to nothing yet. The error has
// every fault of the targets and options, as *TargetError joined together.
//
// The Conn follows Group.Update: it keeps the connections of endpoints that keep
// their name and URL, and closes those of others once the calls on them have ended.
func NewClient(g *failover.Group, opts ...grpc.DialOption) (*Conn, error) {
	if g == nil {
		return nil, errors.New("failovergrpc: NewClient needs a group")
	}
	c := &Conn{group: g}
	c.life, c.end = context.WithCancel(context.Background())
	c.links.service = g.Service()
	c.links.opts = slices.Concat([]grpc.DialOption{reconnect}, opts,
		[]grpc.DialOption{grpc.WithDisableRetry(), grpc.WithStatsHandler(&c.sightings)})
	c.invoker, c.opener = c.invoke, c.open
	var err error
	told := false
	c.unwatch = g.Watch(func(list []failover.Endpoint) {
		faults := c.links.update(list)
		if !told { // later ones are for the calls to tell
			err, told = faults, true
		}
	})
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// Invoke implements grpc.ClientConnInterface.
func (c *Conn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	u := unaryCall{call: newCall(ctx, c.group, method, c.Resend, opts), args: args, reply: reply, invoker: c.invoker}
	if !c.begin() {
		return u.refuse()
	}
	defer c.calls.Done()
	u.until = coord.Until{Context: ctx, End: c.life}
	u.ctx = &u.until
	return u.run()
}

// begin lets Close wait for a call, until calls.Done; false once Close has begun.
func (c *Conn) begin() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.life.Err() != nil {
		return false
	}
	c.calls.Add(1)
	return true
}

// NewStream implements grpc.ClientConnInterface.
func (c *Conn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	call := newCall(ctx, c.group, method, c.Resend, opts)
	if !c.begin() {
		return nil, call.refuse()
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(c.life, cancel)
	call.ctx = ctx
	s := newStream(call, desc, c.opener)
	s.release = func() {
		stop()
		cancel()
		c.calls.Done()
	}
	return s.start()
}

// Close ends the Conn: it closes all connections and waits until what is under way
// has ended. That and later calls get CANCELLED. It always returns nil.
func (c *Conn) Close() error {
	c.unwatch()
	c.mu.Lock()
	c.end()
	c.mu.Unlock()
	c.links.close()
	c.calls.Wait()
	return nil
}

// Stats says what a Conn has done since it was made.
type Stats struct {
	// TransparentRetries is how often gRPC itself has sent a call again, since
	// the server cannot have looked at it.
	TransparentRetries uint64
}

// Stats returns the numbers so far.
func (c *Conn) Stats() Stats {
	return Stats{TransparentRetries: c.sightings.transparent.Load()}
}

// refuse ends a call after Close.
func (c *call) refuse() error {
	err := newStatusError(c.method, "", codes.Canceled, errClosed.Error())
	c.finish(nil, err)
	return err
}
