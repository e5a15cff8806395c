package failovergrpc

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/internal/unsent"
	"github.com/murmuration-go/murmuration/internal/outlive"
)

// opener opens the stream of an attempt at an endpoint.
type opener func(o *opened, e failover.Endpoint, opts []grpc.CallOption) (grpc.ClientStream, error)

// open is the opener of a Conn.
func (c *Conn) open(o *opened, e failover.Endpoint, opts []grpc.CallOption) (grpc.ClientStream, error) {
	l, err := c.links.take(e)
	if err != nil {
		return nil, &unsent.Error{Err: err}
	}
	o.link = l
	return l.NewStream(o, o.stream.desc, o.stream.method, opts...)
}

// StreamClientInterceptor is UnaryClientInterceptor for streams.
func StreamClientInterceptor(g *failover.Group) grpc.StreamClientInterceptor {
	return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, next grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		open := func(o *opened, _ failover.Endpoint, opts []grpc.CallOption) (grpc.ClientStream, error) {
			return next(o, desc, cc, method, opts...)
		}
		return newStream(newCall(ctx, g, method, nil, opts), desc, open).start()
	}
}

// opened is an attempt to open a stream, and the stream.
type opened struct {
	*attempt
	stream  *stream
	inner   grpc.ClientStream
	link    *link // nil: the connection is not ours
	life    outlive.Life
	settled bool // guarded by stream.mu

	state    atomic.Int32
	answer   chan struct{} // closed when it is answered
	end      chan struct{} // closed when it has ended unanswered,
	err      error         // by that
	released atomic.Bool
}

// The states of a stream that was opened, or was to be.
const (
	waiting    int32 = iota // for the first answer
	answered                // that came
	unanswered              // it ended first, or with that
	broken                  // it ended later
)

// attempt opens a stream and waits for the first answer. It is the function that
// the group runs.
func (s *stream) attempt(loop context.Context, e failover.Endpoint) (*opened, error) {
	s.hand(nil)
	s.watch.Restart()
	o := &opened{stream: s, answer: make(chan struct{}), end: make(chan struct{})}
	o.life = outlive.Begin(s.ctx, loop)
	o.attempt = s.begin(o.life.Context(), e)
	handed := false
	defer func() {
		if !handed {
			o.ended(status.FromContextError(context.Canceled).Err())
		}
	}()
	inner, err := s.opener(o, e, append(o.options(&s.call), grpc.OnFinish(func(err error) { o.ended(err) })))
	if err != nil {
		return o, s.judge(loop, o.attempt, stageOpening, err)
	}
	if !o.life.Answered() { // too late: gRPC is ending it, and still writing to the attempt
		a := &attempt{Context: loop, endpoint: e.Name, internal: e.Internal}
		return nil, s.judge(loop, a, stageOpening, status.FromContextError(loop.Err()).Err())
	}
	o.inner, handed = inner, true
	s.hand(o)
	return o, s.firstAnswer(o)
}

// firstAnswer waits for the first answer on a stream and judges it.
func (s *stream) firstAnswer(o *opened) error {
	select {
	case <-o.answer:
		return nil
	case <-o.end:
	}
	if o.err == nil {
		return nil
	}
	at := stageOpening
	s.sending.Lock() // what is being sent may be on its way
	if o.isSettled() {
		at = stageOpen
	}
	s.sending.Unlock()
	return s.judge(s.ctx, o.attempt, at, o.err)
}

// asked notes that the application has something to say to the server, or waits
// for it.
func (s *stream) asked(o *opened) {
	if o.state.Load() == waiting {
		s.watch.Restart()
	}
}

// answered notes an answer.
func (o *opened) answered() {
	if o.state.CompareAndSwap(waiting, answered) {
		close(o.answer)
	}
}

// isSettled reports whether the stream is to stay what it is.
func (o *opened) isSettled() bool {
	o.stream.mu.Lock()
	defer o.stream.mu.Unlock()
	return o.settled
}

// isDead reports whether the stream is known to have failed unanswered.
func (o *opened) isDead() bool {
	if o.state.Load() != unanswered {
		return false
	}
	<-o.end // just being closed
	return o.err != nil
}

// died reports whether the stream has failed unanswered. It is for streams of which
// gRPC says that they have ended, and may be just about to say how.
func (o *opened) died() bool {
	select {
	case <-o.end:
		return o.err != nil
	case <-o.answer:
	case <-o.stream.ctx.Done():
	}
	return false
}

// ended notes that the stream has ended: well if err is nil. It reports whether
// that was its first answer, which is for the loop to judge.
func (o *opened) ended(err error) (first bool) {
	if !o.released.Swap(true) {
		o.life.End()
		o.link.release()
	}
	switch {
	case o.state.CompareAndSwap(waiting, unanswered):
		o.err = err
		close(o.end)
		return true
	case o.state.CompareAndSwap(answered, broken):
		o.stream.broke(o, err)
		return false
	}
	return o.state.Load() == unanswered
}

// broke tells the group if a stream has broken that was answered before.
func (s *stream) broke(o *opened, err error) {
	if err == nil {
		s.over(o, nil)
		return
	}
	e := s.broken(o, err)
	if code := e.status.Code(); s.ctx.Err() == nil && isFailure(code) && !o.unfit(code) {
		s.group.Report(o.endpoint, e)
	}
	s.over(o, e)
}

// broken makes the error of a stream that has broken after an answer.
func (s *stream) broken(o *opened, err error) *StatusError {
	e := &StatusError{Method: s.method, Endpoint: o.endpoint, status: status.Convert(err), err: err}
	if hasEnded(s.ctx) {
		e.becauseOf(s.ctx.Err())
	} else {
		e.late(s.ctx)
	}
	return e
}
