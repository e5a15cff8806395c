package console

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	maxViewers = 16
	takeWithin = 5 * time.Second // an event
)

// opening is sent at once, so that the browser knows that it is connected: a comment,
// and how long to wait before it connects again, in milliseconds.
const opening = ": murmuration\nretry: 2000\n\n"

// stream sends the snapshots that all viewers share. Each viewer has a goroutine, that
// of its request; one that is slow keeps nobody else waiting. An event a second is
// heartbeat enough.
func (h *handler) stream(w http.ResponseWriter, r *http.Request) {
	if !h.enter() {
		h.log.Warn("console: a viewer was turned away", "viewers", maxViewers)
		w.Header().Set("Retry-After", "10")
		http.Error(w, fmt.Sprintf("%d viewers look at this member already; close one, or read api/v1/snapshot", maxViewers), http.StatusServiceUnavailable)
		return
	}
	defer h.leave()
	rc := http.NewResponseController(w)
	send := func(b []byte) error {
		_ = rc.SetWriteDeadline(time.Now().Add(takeWithin)) // where that cannot be, the server's own holds
		if _, err := w.Write(b); err != nil {
			return err
		}
		return rc.Flush()
	}
	_ = rc.SetReadDeadline(time.Time{}) // the server's ReadTimeout would end the stream
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	if r.Method == http.MethodHead {
		return
	}
	if err := rc.Flush(); err != nil {
		http.Error(w, "events cannot be sent through what wraps this handler; read api/v1/snapshot", http.StatusNotImplemented)
		return
	}
	ending := h.ends(r)
	timer := time.NewTimer(0)
	defer timer.Stop()
	err := send([]byte(opening))
	for seen := uint64(0); err == nil; {
		select {
		case <-r.Context().Done():
			return
		case <-ending:
			return
		case <-timer.C:
		}
		var s *shot
		if s, err = h.board.look(); err != nil {
			break
		}
		if s.seq != seen {
			seen = s.seq
			err = send(s.event)
		}
		timer.Reset(time.Until(s.at.Add(every)))
	}
	if r.Context().Err() == nil {
		h.log.Warn("console: a stream ended", "error", err)
	}
}

func (h *handler) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.viewers >= maxViewers {
		return false
	}
	h.viewers++
	return true
}

func (h *handler) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.viewers--
}

// ends is closed when the request's server shuts down, which waits for its requests
// and does not tell them.
func (h *handler) ends(r *http.Request) <-chan struct{} {
	s, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	if s == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	end := h.ending[s]
	if end == nil {
		end = make(chan struct{})
		h.ending[s] = end
		s.RegisterOnShutdown(sync.OnceFunc(func() { close(end) }))
	}
	return end
}
