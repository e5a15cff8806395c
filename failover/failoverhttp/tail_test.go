package failoverhttp_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/retry"
)

// crowd makes calls by four workers, of which each is numbered from 1 in the
// header X-Call, and returns how long they took, in order.
func crowd(t *testing.T, client *http.Client, calls int) (took []time.Duration) {
	t.Helper()
	took = make([]time.Duration, calls)
	var workers sync.WaitGroup
	for w := range 4 {
		workers.Go(func() {
			for i := w; i < calls; i += 4 {
				req := request(t, "GET", "http://svc/", "")
				req.Header.Set("X-Call", strconv.Itoa(i+1))
				start := time.Now()
				resp, err := client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				took[i] = time.Since(start)
			}
		})
	}
	workers.Wait()
	slices.Sort(took)
	return took
}

// Against a server that is slow now and then, hedges cut the tail; against one
// that is always slow they cost what the budget allows, and no more.
func TestHedgesCutTheTail(t *testing.T) {
	const slow = 200 * ms
	for _, tc := range []struct {
		name         string
		calls, every int // one call in so many is slow, in its first attempt
		hedge        *retry.Hedge
		most         int // requests
	}{
		{"none", 300, 19, nil, 300},
		{"hedged", 300, 19, &retry.Hedge{Delay: 20 * ms}, 300 + 300/10 + 10 + 1},
		{"always slow", 40, 1, &retry.Hedge{Delay: 20 * ms}, 40 + 40/10 + 10 + 1},
	} {
		var mu sync.Mutex
		seen := map[int]bool{}
		requests := 0
		srv := server(t, func(_ int, w http.ResponseWriter, r *http.Request) {
			call, _ := strconv.Atoi(r.Header.Get("X-Call"))
			mu.Lock()
			requests++
			again := seen[call]
			seen[call] = true
			mu.Unlock()
			if call%tc.every == 0 && (!again || tc.every == 1) {
				select {
				case <-time.After(slow):
				case <-r.Context().Done():
				}
			}
		})
		s := newSetup(t, failover.Config{Retry: retry.Policy{Hedge: tc.hedge}}, nil, srv.URL)
		took := crowd(t, s.client, tc.calls)
		p50, p99 := took[tc.calls/2], took[tc.calls*99/100]
		srv.Close()
		mu.Lock()
		defer mu.Unlock()
		t.Logf("%s: p50 %v, p99 %v, %d requests for %d calls", tc.name, p50, p99, requests, tc.calls)
		if cut := p99 < slow*3/4; cut != (tc.name == "hedged") {
			t.Errorf("%s: p99 is %v", tc.name, p99)
		}
		if requests > tc.most {
			t.Errorf("%s: %d requests, want %d at most", tc.name, requests, tc.most)
		}
	}
}

// The response of an attempt that failed beside its hedge is drained, so that its
// connection can be used again like the other's.
func TestConnectionsOfBothAreReused(t *testing.T) {
	hedged, failed := make(chan struct{}), make(chan struct{})
	srv, conns := counting(t, func(n int, w http.ResponseWriter, r *http.Request) {
		switch n {
		case 1:
			<-hedged
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write(make([]byte, 10_000))
		case 2:
			close(hedged)
			<-failed
		}
	})
	c := hedging()
	c.Retry.Hooks.AttemptEnd = func(_ context.Context, a retry.Attempt, _ error) {
		if a.Number == 1 {
			close(failed)
		}
	}
	s := newSetup(t, c, nil, srv.URL)
	idle := make(chan error, 2)
	trace := &httptrace.ClientTrace{PutIdleConn: func(err error) { idle <- err }}
	req := request(t, "GET", "http://svc/", "")
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), trace))
	if code, _ := read2(s.client.Do(req))(t); code != 200 {
		t.Errorf("got %d", code)
	}
	for range 2 {
		select {
		case err := <-idle:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("a connection did not come free")
		}
	}
	if n := conns.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
}
