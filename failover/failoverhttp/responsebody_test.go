package failoverhttp_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/retry"
)

var quietLog = log.New(io.Discard, "", 0)

// counting counts the connections that a server gets.
func counting(t *testing.T, fn func(int, http.ResponseWriter, *http.Request)) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var conns, n atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fn(int(n.Add(1)), w, r)
	}))
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s, &conns
}

func TestConnectionsAreReused(t *testing.T) {
	for _, size := range []int{0, 100, 64 << 10} {
		srv, conns := counting(t, func(n int, w http.ResponseWriter, r *http.Request) {
			if n < 10 {
				w.WriteHeader(503)
			}
			_, _ = w.Write(make([]byte, size))
		})
		c := failover.Config{Retry: retry.Policy{MaxAttempts: 10, AttemptTimeout: time.Minute}}
		s := newSetup(t, c, nil, srv.URL)
		if code, _ := read2(s.client.Get("http://svc/"))(t); code != 200 {
			t.Errorf("got %d", code)
		}
		if n := conns.Load(); n != 1 {
			t.Errorf("%d byte bodies: %d connections for 10 attempts", size, n)
		}
	}
}

// Bodies that are too long, or do not come, are not waited for.
func TestDrainIsBounded(t *testing.T) {
	for _, how := range []string{"long", "endless", "slow", "off"} {
		t.Run(how, func(t *testing.T) {
			gone := make(chan struct{})
			srv, conns := counting(t, func(n int, w http.ResponseWriter, r *http.Request) {
				if n > 1 {
					return
				}
				defer close(gone)
				if how == "long" {
					w.Header().Set("Content-Length", fmt.Sprint(1<<20))
				}
				w.WriteHeader(503)
				switch how {
				case "off":
					_, _ = w.Write([]byte("short"))
				case "slow":
					_, _ = w.Write([]byte("a"))
					_ = http.NewResponseController(w).Flush()
					<-r.Context().Done()
				default:
					for r.Context().Err() == nil {
						if _, err := w.Write(make([]byte, 1000)); err != nil {
							break
						}
					}
				}
			})
			s := newSetup(t, failover.Config{}, nil, srv.URL)
			s.transport.DrainTimeout = 50 * time.Millisecond
			if how == "off" {
				s.transport.DrainBytes = -1
			}
			if code, _ := read2(s.client.Get("http://svc/"))(t); code != 200 {
				t.Errorf("got %d", code)
			}
			<-gone // the server noticed
			if n := conns.Load(); n != 2 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// A drain takes the caller at most a moment, and only where that can pay.
func TestDrainIsOffTheCriticalPath(t *testing.T) {
	for _, endpoints := range [][]string{{"http://a"}, {"http://a", "http://b"}} {
		synctest.Test(t, func(t *testing.T) {
			var closed []time.Duration
			start := time.Now()
			n := 0
			s := newSetup(t, failover.Config{}, stub(func(r *http.Request) (*http.Response, error) {
				if n++; n > 1 {
					return respond(200), nil
				}
				resp := respond(503)
				pr, pw := io.Pipe()
				resp.ContentLength = -1
				resp.Body = closeFunc{pr, func() { closed = append(closed, time.Since(start)); _ = pw.Close() }}
				return resp, nil
			}), endpoints...)
			read2(s.client.Get("http://svc/"))(t)
			took := time.Since(start)
			if len(endpoints) > 1 && took != 0 || took > 20*time.Millisecond {
				t.Errorf("the call took %v", took)
			}
			time.Sleep(time.Second) // of the bubble's
			synctest.Wait()
			if !slices.Equal(closed, []time.Duration{250 * time.Millisecond}) {
				t.Errorf("closed after %v", closed)
			}
		})
	}
}

type closeFunc struct {
	io.Reader
	fn func()
}

func (c closeFunc) Close() error { c.fn(); return nil }

func TestBodyThatBreaks(t *testing.T) {
	srv := server(t, func(n int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		if r.URL.Path == "/503" {
			w.WriteHeader(503)
		}
		fmt.Fprint(w, "begin")
		_ = http.NewResponseController(w).Flush()
		if r.URL.Path == "/hang" {
			<-r.Context().Done()
		}
		panic(http.ErrAbortHandler)
	})
	get := func(t *testing.T, path string) (*setup, *http.Response, context.CancelFunc) {
		s := newSetup(t, failover.Config{Retry: retry.Policy{MaxAttempts: 1}}, nil, srv.URL)
		ctx, cancel := context.WithCancel(t.Context())
		t.Cleanup(cancel)
		resp, err := s.client.Do(request(t, "GET", "http://svc"+path, "").WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		return s, resp, cancel
	}
	t.Run("counts once", func(t *testing.T) {
		s, resp, _ := get(t, "/")
		for range 3 {
			if _, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("got %v", err)
			}
		}
		_ = resp.Body.Close()
		s.Want(t, success, failure)
	})
	t.Run("of a failure does not count again", func(t *testing.T) {
		s, resp, _ := get(t, "/503")
		_, _ = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		s.Want(t, failure)
	})
	t.Run("by the caller's cancel does not count", func(t *testing.T) {
		s, resp, cancel := get(t, "/hang")
		cancel()
		if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		_ = resp.Body.Close()
		s.Want(t, success)
	})
	t.Run("by the caller's Close does not count", func(t *testing.T) {
		s, resp, _ := get(t, "/hang")
		_ = resp.Body.Close()
		if _, err := resp.Body.Read(make([]byte, 1)); err == nil {
			t.Error("read after Close")
		}
		s.Want(t, success)
	})
}

func TestUpgrade(t *testing.T) {
	srv := server(t, func(n int, w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		line, _ := rw.ReadString('\n')
		fmt.Fprint(conn, "you said "+line)
		rest, _ := io.ReadAll(rw) // until the client's CloseWrite
		fmt.Fprintf(conn, "and %s", rest)
	})
	for _, timeout := range []time.Duration{0, 30 * time.Second} {
		s := newSetup(t, failover.Config{Retry: retry.Policy{AttemptTimeout: timeout}}, nil, srv.URL)
		req := request(t, "GET", "http://svc/", "")
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", "echo")
		resp, err := s.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		conn, ok := resp.Body.(interface {
			io.ReadWriteCloser
			CloseWrite() error
		})
		if resp.StatusCode != 101 || !ok {
			t.Fatalf("status %d, body %T", resp.StatusCode, resp.Body)
		}
		fmt.Fprintln(conn, "hello")
		br := bufio.NewReader(conn)
		if line, err := br.ReadString('\n'); line != "you said hello\n" {
			t.Errorf("got %q, %v", line, err)
		}
		fmt.Fprint(conn, "bye")
		if err := conn.CloseWrite(); err != nil {
			t.Error(err)
		}
		if rest, err := io.ReadAll(br); string(rest) != "and bye" {
			t.Errorf("got %q, %v", rest, err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		s.Want(t, success)
	}
}

func TestLargeBodies(t *testing.T) {
	const size = 8 << 20
	srv := server(t, func(n int, w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		_, _ = io.Copy(w, r.Body)
	})
	s := newSetup(t, failover.Config{Retry: retry.Policy{AttemptTimeout: time.Minute}}, nil, srv.URL)
	data := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	req := request(t, "POST", "http://svc/", "")
	req.Body = io.NopCloser(bytes.NewReader(data)) // streamed: no length, no GetBody
	req.ContentLength = -1
	if code, got := read2(s.client.Do(req))(t); code != 200 || got != string(data) {
		t.Errorf("got %d and %d bytes", code, len(got))
	}
}

func TestGzip(t *testing.T) {
	srv := server(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			t.Error("no gzip asked for")
		}
		w.Header().Set("Content-Encoding", "gzip")
		fmt.Fprint(w, "this is no gzip")
	})
	s := newSetup(t, failover.Config{}, nil, srv.URL)
	resp, err := s.client.Get("http://svc/")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("no error")
	}
	_ = resp.Body.Close()
	s.Want(t, success, failure)
}
