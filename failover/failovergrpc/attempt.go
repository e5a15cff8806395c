package failovergrpc

import (
	"context"
	"reflect"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/proto"
)

// attempt is the context of an attempt, and what it writes its answer to: attempts
// share nothing that gRPC writes to, so that two may be under way at once.
type attempt struct {
	context.Context //nolint:containedctx // it is a context itself
	endpoint        string
	internal        bool
	seen            atomic.Uint32

	header, trailer metadata.MD
	peer            peer.Peer
	reply           any // of a unary call

	room [4]grpc.CallOption // what options returns, if it fits
}

type attemptKey struct{}

func (a *attempt) Value(key any) any {
	if key == (attemptKey{}) {
		return a
	}
	return a.Context.Value(key)
}

func (a *attempt) saw(what uint32) bool { return a.seen.Load()&what != 0 }

// noStream is the trailer of an attempt for which gRPC has made no stream.
var noStream = metadata.MD{"": nil}

func (a *attempt) madeStream() bool {
	_, untouched := a.trailer[""]
	return !untouched
}

// unsent reports whether it is certain that no message was sent.
func (a *attempt) unsent() bool {
	if a.saw(seenAtAll) {
		return !a.saw(seenSent)
	}
	return !a.madeStream()
}

// options returns the caller's options for the attempt, and its own.
func (a *attempt) options(c *call) []grpc.CallOption {
	opts := append(a.room[:0], c.opts...)
	a.trailer = noStream
	opts = append(opts, grpc.Trailer(&a.trailer))
	if len(c.outputs) > 0 {
		opts = append(opts, grpc.Header(&a.header), grpc.Peer(&a.peer))
	}
	return opts
}

// splitOptions parts the options that write to where the caller says, or call him
// back, from the others.
func splitOptions(opts []grpc.CallOption) (others, outputs []grpc.CallOption) {
	for i, o := range opts {
		switch o.(type) {
		case grpc.HeaderCallOption, grpc.TrailerCallOption, grpc.PeerCallOption, grpc.OnFinishCallOption:
			if outputs == nil {
				others = append(make([]grpc.CallOption, 0, len(opts)), opts[:i]...)
			}
			outputs = append(outputs, o)
		default:
			if outputs != nil {
				others = append(others, o)
			}
		}
	}
	if outputs == nil {
		return opts, nil
	}
	return others, outputs
}

// finish gives the caller what the attempt that is returned has written, if there
// is one, and tells that the call has ended.
func (c *call) finish(a *attempt, err error) {
	wrote := a != nil && a.madeStream()
	for _, o := range c.outputs {
		switch o := o.(type) {
		case grpc.HeaderCallOption:
			if wrote {
				*o.HeaderAddr = a.header
			}
		case grpc.TrailerCallOption:
			if wrote {
				*o.TrailerAddr = a.trailer
			}
		case grpc.PeerCallOption:
			if wrote {
				*o.PeerAddr = a.peer
			}
		}
	}
	for _, o := range c.outputs {
		if o, ok := o.(grpc.OnFinishCallOption); ok {
			o.OnFinish(err)
		}
	}
}

// anotherReply returns an empty message of the same type, or the same one if
// that cannot be had.
func anotherReply(reply any) any {
	if m, ok := reply.(proto.Message); ok {
		return m.ProtoReflect().New().Interface()
	}
	if v := reflect.ValueOf(reply); v.Kind() == reflect.Pointer && !v.IsNil() {
		return reflect.New(v.Type().Elem()).Interface()
	}
	return reply
}

// copyReply makes the reply what an attempt has got.
func copyReply(reply, got any) {
	if reply == got {
		return
	}
	if m, ok := reply.(proto.Message); ok {
		proto.Reset(m)
		proto.Merge(m, got.(proto.Message))
		return
	}
	reflect.ValueOf(reply).Elem().Set(reflect.ValueOf(got).Elem())
}

// sightings is the stats.Handler by which attempts learn how far they got, and
// transparent retries are counted.
type sightings struct{ transparent atomic.Uint64 }

// What can be seen of an attempt.
const (
	seenAtAll   = 1 << iota // the connection has the handler: what is not seen was not there
	seenSent                // a message was handed to the transport
	seenHeaders             // the server has begun an answer
	seenStatus              // and ended it with a status
)

// TagRPC implements stats.Handler.
func (*sightings) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	see(ctx, seenAtAll)
	return ctx
}

// HandleRPC implements stats.Handler. It runs before whoever waits for the event
// hears of it.
func (s *sightings) HandleRPC(ctx context.Context, event stats.RPCStats) {
	switch e := event.(type) {
	case *stats.Begin:
		if e.IsTransparentRetryAttempt {
			s.transparent.Add(1)
		}
	case *stats.OutPayload:
		see(ctx, seenSent)
	case *stats.InHeader:
		see(ctx, seenHeaders)
	case *stats.InTrailer:
		see(ctx, seenStatus)
	}
}

// TagConn implements stats.Handler.
func (*sightings) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (*sightings) HandleConn(context.Context, stats.ConnStats) {}

func see(ctx context.Context, what uint32) {
	if a, ok := ctx.Value(attemptKey{}).(*attempt); ok {
		a.seen.Or(what)
	}
}
