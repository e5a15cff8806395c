package main

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// server is a real HTTP server with a finite capacity: it works requests off
// one after the other, in order of arrival, and queues without bound. Like many
// real servers it does not notice that a client has gone: a request that timed
// out costs it as much as one that did not.
type server struct {
	http    *http.Server
	url     string
	service time.Duration // time to work off one request

	start           time.Time
	stallAt, stallD time.Duration

	mu      sync.Mutex
	free    time.Time // when the queue will be worked off
	arrived []time.Duration
}

func newServer(capacity float64, start time.Time, stallAt, stall time.Duration) (*server, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{
		url:     "http://" + l.Addr().String(),
		service: time.Duration(float64(time.Second) / capacity),
		start:   start, stallAt: stallAt, stallD: stall,
	}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = s.http.Serve(l) }()
	return s, nil
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	done := s.queue(time.Now())
	t := time.NewTimer(time.Until(done))
	defer t.Stop()
	select {
	case <-t.C:
		_, _ = w.Write([]byte("ok\n"))
	case <-r.Context().Done(): // the client has gone; its place in the queue stays taken
	}
}

// queue books the next place in the queue and returns when the request will be
// done.
func (s *server) queue(now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arrived = append(s.arrived, now.Sub(s.start))
	begin := now
	if s.free.After(now) {
		begin = s.free
	}
	s.free = s.work(begin)
	return s.free
}

// work returns when a request begun at that time is done; during the stall
// nothing is worked on.
func (s *server) work(begin time.Time) time.Time {
	from := s.start.Add(s.stallAt)
	to := from.Add(s.stallD)
	switch {
	case !begin.Before(from) && begin.Before(to):
		begin = to
	case begin.Before(from) && begin.Add(s.service).After(from):
		begin = begin.Add(s.stallD)
	}
	return begin.Add(s.service)
}

// arrivals returns when requests arrived, counted from the start.
func (s *server) arrivals() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Duration(nil), s.arrived...)
}

func (s *server) close() { _ = s.http.Close() }
