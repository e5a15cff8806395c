package failovergrpc

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/murmuration-go/murmuration/failover"
)

// TargetError says why an endpoint cannot have a connection. It counts against
// nobody and ends the call.
type TargetError struct {
	Service, Endpoint, Target string
	Err                       error
}

func (e *TargetError) Error() string {
	return fmt.Sprintf("failovergrpc: endpoint %q of service %q: target %q: %v", e.Endpoint, e.Service, e.Target, e.Err)
}

func (e *TargetError) Unwrap() error { return e.Err }

var (
	errNoTarget = errors.New("an endpoint needs a URL, which is the gRPC target")
	errHTTP     = errors.New("that is a URL for HTTP; a gRPC target is a host:port, or a name for a resolver")
	errClosed   = errors.New("failovergrpc: the Conn is closed")
)

// reconnect is gRPC's default but for the longest wait, which is 2 minutes there: an
// endpoint that is back would have its breaker closed by no probe for so long.
var reconnect = grpc.WithConnectParams(grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: time.Second, Multiplier: 1.6, Jitter: .2, MaxDelay: 10 * time.Second},
	MinConnectTimeout: 20 * time.Second,
})

// links holds the connections, one an endpoint.
//
// Invariants:
//  1. A link is closed when nobody uses it: no attempt, and not the group, which
//     uses it as long as it has the endpoint.
//  2. A closed link is not used again. Whoever finds one makes another.
type links struct {
	service string
	opts    []grpc.DialOption
	all     atomic.Pointer[map[place]*link] // copied on every change

	mu     sync.Mutex // serialises changes
	closed bool
}

type place struct{ name, target string }

type link struct {
	*grpc.ClientConn
	links *links
	place place
	uses  atomic.Int64
	kept  bool // the group has the endpoint; guarded by links.mu
	gone  chan struct{}
}

// take begins a use of the link, unless it is closed.
func (l *link) take() bool {
	if l == nil {
		return false
	}
	for {
		n := l.uses.Load()
		if n == 0 {
			return false
		}
		if l.uses.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release ends a use. A nil link has none.
func (l *link) release() {
	if l == nil || l.uses.Add(-1) > 0 {
		return
	}
	l.links.mu.Lock()
	if all := l.links.load(); all[l.place] == l {
		all = maps.Clone(all)
		delete(all, l.place)
		l.links.all.Store(&all)
	}
	l.links.mu.Unlock()
	_ = l.Close() // fails only if it was closed before
	close(l.gone)
}

func (ls *links) load() map[place]*link {
	if all := ls.all.Load(); all != nil {
		return *all
	}
	return nil
}

// take begins a use of an endpoint's link. An endpoint that the group does not
// have, or not yet, has a link as long as it is in use.
func (ls *links) take(e failover.Endpoint) (*link, error) {
	p := place{e.Name, e.URL}
	if l := ls.load()[p]; l.take() {
		return l, nil
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.takeLocked(p)
}

func (ls *links) takeLocked(p place) (*link, error) {
	all := ls.load()
	switch {
	case ls.closed:
		return nil, errClosed
	case all[p].take():
		return all[p], nil
	case p.target == "":
		return nil, &TargetError{ls.service, p.name, p.target, errNoTarget}
	}
	if u, err := url.Parse(p.target); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		return nil, &TargetError{ls.service, p.name, u.Redacted(), errHTTP}
	}
	cc, err := grpc.NewClient(p.target, ls.opts...)
	if err != nil {
		return nil, &TargetError{ls.service, p.name, p.target, err}
	}
	l := &link{ClientConn: cc, links: ls, place: p, gone: make(chan struct{})}
	l.uses.Store(1)
	next := make(map[place]*link, len(all)+1)
	maps.Copy(next, all)
	next[p] = l
	ls.all.Store(&next)
	return l, nil
}

// update has a link kept for each of the endpoints, and for no others. It returns
// what is wrong with their targets.
func (ls *links) update(list []failover.Endpoint) error {
	var faults []error
	wanted := make(map[place]bool, len(list))
	var dropped []*link
	ls.mu.Lock()
	for _, e := range list {
		p := place{e.Name, e.URL}
		wanted[p] = true
		if l := ls.load()[p]; l != nil && l.kept {
			continue
		}
		l, err := ls.takeLocked(p)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		l.kept = true
	}
	for p, l := range ls.load() {
		if l.kept && !wanted[p] {
			l.kept = false
			dropped = append(dropped, l)
		}
	}
	ls.mu.Unlock()
	for _, l := range dropped {
		l.release()
	}
	return errors.Join(faults...)
}

// close closes all links and waits until nobody uses them.
func (ls *links) close() {
	ls.mu.Lock()
	ls.closed = true
	all := ls.load()
	ls.mu.Unlock()
	_ = ls.update(nil)
	for _, l := range all {
		_ = l.Close() // ends the calls under way
	}
	for _, l := range all {
		<-l.gone
	}
}
