package retryhttp

import (
	"context"
	"io"
	"net/http"

	"github.com/murmuration-go/murmuration/retry"
)

// writer adds the answer when the status is written. A status that is not
// written is 200, which needs no answer, so that all else goes straight through.
type writer struct {
	http.ResponseWriter
	ctx context.Context //nolint:containedctx // of the request, which the writer serves
}

func (w *writer) WriteHeader(status int) {
	if (status >= 500 || status == http.StatusTooManyRequests) && retry.Discouraged(w.ctx) {
		w.Header().Set(Retry, no)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ReadFrom lets the server's writer send files by itself, if it can.
func (w *writer) ReadFrom(r io.Reader) (int64, error) { return io.Copy(w.ResponseWriter, r) }

func (w *writer) WriteString(s string) (int, error) { return io.WriteString(w.ResponseWriter, s) }

// The writers with what only some servers can do: handlers ask for it by type,
// and take one thing or another for HTTP/1.1 or HTTP/2.
type (
	flusher  struct{ writer }
	hijacker struct {
		writer
		http.Hijacker
	}
	http1 struct {
		flusher
		http.Hijacker
	}
	http2 struct {
		flusher
		http.Pusher
	}
)

func (w *flusher) Flush() { _ = w.FlushError() }

// FlushError is for http.ResponseController, so that the error is not lost.
func (w *flusher) FlushError() error { return http.NewResponseController(w.ResponseWriter).Flush() }

func wrap(ctx context.Context, w http.ResponseWriter) http.ResponseWriter {
	own := writer{w, ctx}
	_, flushes := w.(http.Flusher)
	h, hijacks := w.(http.Hijacker)
	p, pushes := w.(http.Pusher)
	switch {
	case flushes && hijacks:
		return &http1{flusher{own}, h}
	case flushes && pushes:
		return &http2{flusher{own}, p}
	case flushes:
		return &flusher{own}
	case hijacks:
		return &hijacker{own, h}
	}
	return &writer{w, ctx} // not &own, which would be allocated in every case
}
