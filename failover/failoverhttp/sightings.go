package failoverhttp

import (
	"context"
	"net/http/httptrace"
	"sync/atomic"
)

// sightings tells whether an attempt can have sent anything. The line is drawn
// at having a connection: what is written to it is written by a goroutine of
// the transport's, which may get ahead while the attempt is being given up.
type sightings struct{ asked, got atomic.Bool }

func (s *sightings) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { s.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { s.got.Store(true) },
	})
}
