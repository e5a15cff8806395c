package main

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/murmuration-go/murmuration/retry/retryhttp"
)

// capacity is how many requests a second each backend can take.
const capacity = 60

// backend is a real server with a finite capacity: it works requests off one after the
// other, in order of arrival, and queues without bound. Like many real servers it does
// not notice that a client has gone: a request that timed out costs it as much as one
// that did not.
type backend struct {
	service, zone string
	url           string
	close         func()

	mu     sync.Mutex
	free   time.Time // when the queue will be worked off
	refuse float64   // the share of requests that are refused at once
	slow   float64   // how many times as long each takes, if it is not 0
}

func newBackend(service, zone string) (*backend, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &backend{service: service, zone: zone, url: "http://" + l.Addr().String()}
	s := &http.Server{Handler: retryhttp.Handler(b), ReadHeaderTimeout: 5 * time.Second}
	b.close = serve(s, l)
	return b, nil
}

// serve has a server at work, and returns what ends it.
func serve(s *http.Server, l net.Listener) (end func()) {
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(l) }()
	return func() { _ = s.Close(); <-ended }
}

func (b *backend) name() string { return b.service + "-" + b.zone }

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	due, ok := b.queue(time.Now(), rand.Float64())
	if !ok {
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	t := time.NewTimer(time.Until(due))
	defer t.Stop()
	select {
	case <-t.C:
		_, _ = w.Write([]byte("ok\n"))
	case <-r.Context().Done(): // its place in the queue stays taken
	}
}

// queue books the next place in the queue and returns when the request will be done.
// Not ok is one that is refused; chance is drawn from 0 to 1.
func (b *backend) queue(now time.Time, chance float64) (due time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if chance < b.refuse {
		return now, false
	}
	if b.free.Before(now) {
		b.free = now
	}
	takes := max(b.slow, 1) / capacity
	b.free = b.free.Add(time.Duration(takes * float64(time.Second)))
	return b.free, true
}

// stall has the backend do nothing for a while; what waits goes on waiting.
func (b *backend) stall(now time.Time, while time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.free.Before(now) {
		b.free = now
	}
	b.free = b.free.Add(while)
}

// behave sets how the backend does from now on.
func (b *backend) behave(refuse, slow float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuse, b.slow = refuse, slow
}
