package failovergrpc

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/coord"
)

// stream is a grpc.ClientStream that goes through the group until its first answer.
//
// Up to then the group's loop runs on a goroutine of its own: it opens a stream,
// hands it over to the application, and waits for what comes of it. If the stream
// dies before the application has sent or seen anything, the loop may open another
// one, which takes its place.
//
// Invariants:
//  1. current is replaced only when the one before has died unsettled. Whoever finds
//     it dead waits in after for what the loop makes of that.
//  2. An opened stream is settled, by whatever of the application's the server may
//     have got or the application has seen, under mu. When it has died only a
//     message that was on its way settles it: the loop asks whether it is settled
//     then, and once nothing is being sent.
//  3. finish runs once, when no attempt is under way any more.
type stream struct {
	call
	desc    *grpc.StreamDesc
	opener  opener
	watch   *coord.Stopwatch // the call's context
	release func()           // called when both the loop and the stream have ended; may be nil

	// sending is held while a message is being sent, which may take as long as the
	// server likes: only what is for SendMsg to wait for may wait for it.
	sending sync.Mutex

	mu      sync.Mutex    // taken under sending, never the other way round
	current *opened       // nil while the loop is choosing
	turn    chan struct{} // closed when current or done changes
	done    bool          // the loop has ended,
	err     error         // and by that there is no stream
	crash   any           // or by that panic

	finishing sync.Once
	parties   atomic.Int32 // those of release
}

func newStream(c call, desc *grpc.StreamDesc, o opener) *stream {
	s := &stream{call: c, desc: desc, opener: o, turn: make(chan struct{})}
	s.watch = &coord.Stopwatch{Context: s.unmarked()}
	s.ctx = s.watch
	s.parties.Store(2)
	return s
}

// start opens the stream. It waits for no answer.
func (s *stream) start() (grpc.ClientStream, error) {
	go s.loop()
	if _, err := s.after(nil); err != nil {
		return nil, err
	}
	return s, nil
}

// loop runs the call through the group up to the first answer.
func (s *stream) loop() {
	var err error = newStatusError(s.method, "", codes.Internal, "failovergrpc: a hook or an interceptor ended the goroutine")
	var o *opened
	defer func() {
		s.conclude(o, err, recover())
		s.leave()
	}()
	o, err = failover.Unhedged(s.ctx, s.group, s.attempt) // the application sends once
	if err != nil {
		err = s.result(err)
	}
}

// conclude ends the loop: with a stream, an error, or the panic of what was called.
func (s *stream) conclude(o *opened, err error, crash any) {
	if crash != nil {
		crash = fmt.Sprintf("%v\n\n%s", crash, debug.Stack())
	}
	if err != nil || crash != nil {
		s.over(o, err)
	}
	s.mu.Lock()
	s.done, s.err, s.crash = true, err, crash
	close(s.turn)
	s.mu.Unlock()
	if err == nil && o.state.Load() == unanswered { // all it had to say was that it is well
		s.over(o, nil)
	}
}

// hand gives the application another stream, or takes the one it has when that is
// nil.
func (s *stream) hand(o *opened) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current = o; o != nil {
		close(s.turn)
		s.turn = make(chan struct{})
	}
}

// after returns the stream to use instead of old, once there is one. It returns
// neither stream nor error when old was the last and its own end is the call's.
func (s *stream) after(old *opened) (*opened, error) {
	for {
		s.mu.Lock()
		o, done, err, crash, turn := s.current, s.done, s.err, s.crash, s.turn
		s.mu.Unlock()
		switch {
		case crash != nil:
			panic(crash)
		case done && err != nil:
			return nil, err
		case o != nil && o != old:
			return o, nil
		case done:
			return nil, nil
		}
		<-turn
	}
}

// over ends the call, whose last attempt was o, if it had one.
func (s *stream) over(o *opened, err error) {
	s.finishing.Do(func() {
		var a *attempt
		if o != nil {
			a = o.attempt
		}
		s.finish(a, err)
		s.leave()
	})
}

func (s *stream) leave() {
	if s.parties.Add(-1) == 0 && s.release != nil {
		s.release()
	}
}

// RecvMsg implements grpc.ClientStream.
func (s *stream) RecvMsg(m any) error {
	var last *opened
	var err error
	for {
		o, failed := s.after(last)
		switch {
		case failed != nil:
			return failed
		case o == nil:
			return err
		}
		s.asked(o)
		switch err = o.inner.RecvMsg(m); {
		case err == nil:
			o.answered()
			return nil
		case err == io.EOF:
			o.ended(nil)
			s.over(o, nil)
			return err
		case !o.ended(err):
			err = s.broken(o, err)
			s.over(o, err)
			return err
		}
		last = o
	}
}

// Header implements grpc.ClientStream.
func (s *stream) Header() (metadata.MD, error) {
	var last *opened
	for {
		o, _ := s.after(last)
		if o == nil {
			return nil, nil // RecvMsg says why
		}
		s.asked(o)
		md, err := o.inner.Header()
		if md != nil {
			o.answered()
		}
		if md != nil || err != nil || !o.died() {
			return md, err
		}
		last = o
	}
}

// SendMsg implements grpc.ClientStream.
func (s *stream) SendMsg(m any) error {
	var last *opened
	for {
		o, _ := s.after(last)
		if o == nil {
			return s.cannotSend()
		}
		again, err := s.send(o, m)
		if !again {
			return err
		}
		last = o
	}
}

// send sends a message, or reports that it could not be sent since the stream was
// dead before anything could happen on it.
func (s *stream) send(o *opened, m any) (dead bool, err error) {
	s.sending.Lock()
	defer s.sending.Unlock()
	if o.isDead() {
		return true, nil
	}
	s.asked(o)
	err = o.inner.SendMsg(m)
	if err == io.EOF && !o.isSettled() {
		// The message has not left: gRPC says EOF of a stream that has ended. If it
		// has ended without headers the application need not know.
		if md, bad := o.inner.Header(); md == nil && bad == nil && o.died() {
			return true, nil
		}
	}
	s.mu.Lock()
	o.settled = true
	s.mu.Unlock()
	return false, err
}

// cannotSend is what SendMsg says of a stream that has failed: see grpc.ClientStream.
func (s *stream) cannotSend() error {
	if s.desc.ClientStreams {
		return io.EOF
	}
	return nil
}

// CloseSend implements grpc.ClientStream.
func (s *stream) CloseSend() error {
	if o := s.settle(); o != nil {
		s.asked(o)
		return o.inner.CloseSend()
	}
	return nil
}

// settle returns the stream, which stays what it is from now on; nil if there is
// none. It does not wait for a message that is being sent.
func (s *stream) settle() *opened {
	var last *opened
	for {
		o, _ := s.after(last)
		if o == nil {
			return nil
		}
		s.mu.Lock()
		dead := o.isDead()
		o.settled = o.settled || !dead
		s.mu.Unlock()
		if !dead {
			return o
		}
		last = o
	}
}

// Trailer implements grpc.ClientStream.
func (s *stream) Trailer() metadata.MD {
	s.mu.Lock()
	o := s.current
	s.mu.Unlock()
	if o == nil {
		return nil
	}
	return o.inner.Trailer()
}

// Context implements grpc.ClientStream.
func (s *stream) Context() context.Context {
	if o := s.settle(); o != nil {
		return o.inner.Context()
	}
	return s.ctx
}
