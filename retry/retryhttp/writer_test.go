package retryhttp_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/murmuration-go/murmuration/retry"
	"github.com/murmuration-go/murmuration/retry/retryhttp"
)

// bare is a ResponseWriter and nothing else; the others add to it.
type bare struct{ http.ResponseWriter }

type flushes struct{ bare }

func (flushes) Flush()            {}
func (flushes) FlushError() error { return errDown }

type hijacks struct{ bare }

func (hijacks) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, errDown }

type pushes struct{ flushes }

func (pushes) Push(string, *http.PushOptions) error { return errDown }

type both struct {
	flushes
	hijacks
}

func (b both) Header() http.Header         { return b.flushes.Header() }
func (b both) Write(p []byte) (int, error) { return b.flushes.Write(p) }
func (b both) WriteHeader(status int)      { b.flushes.WriteHeader(status) }

// Handlers take one way or another by what the writer can do, so it must not
// claim more than the server's, nor less.
func TestWriterIsWhatTheServersIs(t *testing.T) {
	kinds := func(w http.ResponseWriter) string {
		_, f := w.(http.Flusher)
		_, h := w.(http.Hijacker)
		_, p := w.(http.Pusher)
		return fmt.Sprintf("flusher %v, hijacker %v, pusher %v", f, h, p)
	}
	rec := bare{httptest.NewRecorder()}
	for _, w := range []http.ResponseWriter{rec, flushes{rec}, hijacks{rec}, pushes{flushes{rec}}, both{flushes{rec}, hijacks{rec}}} {
		var got string
		retryhttp.Handler(http.HandlerFunc(func(in http.ResponseWriter, r *http.Request) {
			got = kinds(in)
			c := http.NewResponseController(in)
			_, f := w.(http.Flusher)
			if err := c.Flush(); errors.Is(err, errDown) != f {
				t.Errorf("%T: Flush gives %v", w, err)
			}
			_, h := w.(http.Hijacker)
			if _, _, err := c.Hijack(); errors.Is(err, errDown) != h {
				t.Errorf("%T: Hijack gives %v", w, err)
			}
			if p, ok := in.(http.Pusher); ok && !errors.Is(p.Push("/", nil), errDown) {
				t.Errorf("%T: Push gets lost", w)
			}
			if _, ok := in.(io.ReaderFrom); !ok {
				t.Errorf("%T: no ReadFrom", w)
			}
		})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if want := kinds(w); got != want {
			t.Errorf("%T: the handler gets a %s, want %s", w, got, want)
		}
	}
}

func TestWriterPassesBodiesOn(t *testing.T) {
	srv := httptest.NewServer(retryhttp.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		retry.Discourage(r.Context())
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "a string, ")
		_, _ = io.Copy(w, io.LimitReader(strings.NewReader("a reader, and more"), 8))
		w.(http.Flusher).Flush()
		_, _ = w.Write([]byte(", bytes"))
	})))
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if got, want := string(body), "a string, a reader, bytes"; err != nil || got != want || !retryhttp.Refused(resp.Header) {
		t.Errorf("got %q, %v with %v; want %q", got, err, resp.Header, want)
	}
}

func TestWriterCanBeHijacked(t *testing.T) {
	srv := httptest.NewServer(retryhttp.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
	})))
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		t.Errorf("got %s", resp.Status)
	}
}
