// Package retrygrpc makes gRPC servers and clients one tier among others: it
// carries the number of earlier attempts to the server, and back the answer that
// a retry is no use. It keeps to gRPC's own words for both (proposal A6).
//
//	server := grpc.NewServer(
//		grpc.ChainUnaryInterceptor(retrygrpc.UnaryServerInterceptor),
//		grpc.ChainStreamInterceptor(retrygrpc.StreamServerInterceptor),
//	)
//	conn, err := grpc.NewClient(target,
//		grpc.WithChainUnaryInterceptor(retrygrpc.UnaryClientInterceptor),
//		grpc.WithChainStreamInterceptor(retrygrpc.StreamClientInterceptor),
//		grpc.WithDisableRetry(), // else each attempt may be several
//	)
//
// The client's are for calls made inside retry.Do, over connections to servers of
// one's own: nobody else is to know the number. They retry nothing themselves.
//
// The metadata grpc-previous-rpc-attempts is how many attempts to do the same
// came before, as decimal digits, from 1 to 10, and absent for 0. Larger numbers
// are read as 10, of several values the largest counts, and what is no number is
// passed over; none of it fails a call. The trailer grpc-retry-pushback-ms is how
// long to wait before a retry; if it is negative, or no number of 32 bits, or
// there are several, there shall be none. A server sends -1 with an error.
package retrygrpc

import (
	"context"
	"io"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

// PreviousAttempts is the metadata that tells how many attempts came before, in
// lower case as a metadata.MD keeps it.
const PreviousAttempts = "grpc-previous-rpc-attempts"

const retryPushback = "grpc-retry-pushback-ms"

// UnaryServerInterceptor serves a call with a context that has the number of
// earlier attempts that the call tells of (see retry.WithPrevious). If the handler
// fails and the context is discouraged by then (see retry.Discouraged) the client
// is told not to retry.
func UnaryServerInterceptor(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx = incoming(ctx)
	resp, err := handler(ctx, req)
	if err != nil && retry.Discouraged(ctx) {
		_ = grpc.SetTrailer(ctx, metadata.Pairs(retryPushback, "-1")) // fails only where there is no client
	}
	return resp, err
}

// StreamServerInterceptor is UnaryServerInterceptor for streams.
func StreamServerInterceptor(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	s := &serverStream{ss, incoming(ss.Context())}
	err := handler(srv, s)
	if err != nil && retry.Discouraged(s.ctx) {
		s.SetTrailer(metadata.Pairs(retryPushback, "-1"))
	}
	return err
}

type serverStream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // what Context is to return
}

func (s *serverStream) Context() context.Context { return s.ctx }

func incoming(ctx context.Context) context.Context {
	return retry.WithPrevious(ctx, coord.ReadPrevious(metadata.ValueFromIncomingContext(ctx, PreviousAttempts)...))
}

// UnaryClientInterceptor sends the number of earlier attempts with a call, as
// Outgoing does, and marks its error by the server's pushback, as Pushback does.
// The functions of package status see through the mark.
func UnaryClientInterceptor(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	var trailer metadata.MD
	err := invoker(Outgoing(ctx), method, req, reply, cc, append(opts[:len(opts):len(opts)], grpc.Trailer(&trailer))...)
	return Pushback(err, trailer)
}

// StreamClientInterceptor is UnaryClientInterceptor for streams. The error that
// is marked is that of RecvMsg; io.EOF never is.
func StreamClientInterceptor(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := streamer(Outgoing(ctx), desc, cc, method, opts...)
	if err != nil {
		return nil, err
	}
	return &clientStream{s}, nil
}

type clientStream struct{ grpc.ClientStream }

func (s *clientStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err == nil || err == io.EOF {
		return err
	}
	return Pushback(err, s.Trailer())
}

// Outgoing returns the context of an attempt with the number of earlier attempts,
// as retry.Previous has it, in its outgoing metadata, where it replaces any other.
// If it is 0 the context is returned as it is.
func Outgoing(ctx context.Context) context.Context {
	n := retry.Previous(ctx)
	if n == 0 {
		return ctx
	}
	md, ok := metadata.FromOutgoingContext(ctx)
	if !ok {
		md = metadata.MD{}
	}
	md.Set(PreviousAttempts, strconv.Itoa(n))
	return metadata.NewOutgoingContext(ctx, md)
}

// Pushback marks the error of an attempt by retry.After with the pushback that
// the trailer of the call has, if any. Pushback(nil, trailer) is nil.
func Pushback(err error, trailer metadata.MD) error {
	if wait, ok := ReadPushback(trailer); ok {
		return retry.After(err, wait)
	}
	return err
}

// ReadPushback returns the pushback that the trailer of a call has, if any: how
// long to wait before a retry; negative means that there shall be none.
func ReadPushback(trailer metadata.MD) (wait time.Duration, ok bool) {
	values := trailer[retryPushback]
	switch len(values) {
	case 0:
		return 0, false
	case 1:
		if ms, bad := strconv.ParseInt(values[0], 10, 32); bad == nil && ms >= 0 {
			return time.Duration(ms) * time.Millisecond, true
		}
	}
	return -1, true
}
