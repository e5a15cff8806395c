package failoverhttp_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failoverhttp"
	"github.com/murmuration-go/murmuration/gossip"
	"github.com/murmuration-go/murmuration/retry"
)

// client is one member of a cluster on loopback, with its own way to the service.
type client struct {
	cluster *gossip.Cluster
	group   *failover.Group
	http    *http.Client
}

// newClients starts n members that know each other and call one endpoint.
func newClients(t *testing.T, n int, url string) (all []*client) {
	t.Helper()
	var seeds []string
	for range n {
		cluster, err := gossip.Join(t.Context(), gossip.Config{
			Cluster: "test", Bind: "127.0.0.1:0", Seeds: seeds, RequireSeeds: len(seeds) > 0,
			Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cluster.Close() })
		seeds = []string{cluster.Addr()}
		g, err := failover.New("svc", failover.Config{
			Endpoints: []failover.Endpoint{{Name: "a", URL: url}}, Cluster: cluster,
			Retry: retry.Policy{MaxAttempts: 2}, Budget: retry.BudgetConfig{Burst: 1000},
		})
		if err != nil {
			t.Fatal(err)
		}
		base := &http.Transport{DisableKeepAlives: true} // which it would use to retry by itself
		t.Cleanup(base.CloseIdleConnections)
		all = append(all, &client{cluster, g, &http.Client{Transport: failoverhttp.NewTransport(g, base)}})
	}
	return all
}

// get makes a call and returns its status, 0 if there is none.
func (c *client) get(ctx context.Context, t *testing.T, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func (c *client) pushback() time.Duration { return c.group.Explain().Endpoints[0].Pushback }

// until calls by turns until a condition holds.
func until(t *testing.T, what string, calls func(), ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	every := time.NewTicker(20 * time.Millisecond)
	defer every.Stop()
	for !ok() {
		calls()
		select {
		case <-every.C:
		case <-deadline.C:
			t.Fatal("waited in vain for " + what)
		}
	}
}

// TestPushbackIsShared: two members are answered 503 with Retry-After; the third,
// whose connection is cut off instead, waits as well before it tries again. Its
// first tries do not wait.
func TestPushbackIsShared(t *testing.T) {
	var down atomic.Bool
	var tries atomic.Int32 // by the third member, while the others are pushed back
	s := server(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/pushed" && down.Load():
			w.Header().Set("Retry-After", "2")
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.URL.Path == "/cut" && tries.Add(1) == 1:
			panic(http.ErrAbortHandler) // cuts the connection off
		}
	})
	all := newClients(t, 3, s.URL)
	third := all[2]
	calm := func() {
		for _, c := range all {
			c.get(t.Context(), t, "http://svc/")
		}
	}
	until(t, "the members to know each other", calm, func() bool {
		for _, c := range all {
			if h := c.cluster.Health(); h.Members != 3 || h.Endpoints != 1 || h.Coverage < 1 {
				return false
			}
		}
		return true
	})

	short, cancel := context.WithTimeout(t.Context(), time.Second) // too short for any wait
	defer cancel()
	down.Store(true)
	all[0].get(short, t, "http://svc/pushed")
	until(t, "what two were told to be shared", func() {
		all[1].get(short, t, "http://svc/pushed")
		third.get(t.Context(), t, "http://svc/")
	}, func() bool { return third.pushback() > 500*time.Millisecond })

	start := time.Now()
	if code := third.get(t.Context(), t, "http://svc/"); code != http.StatusOK || time.Since(start) > 400*time.Millisecond {
		t.Errorf("a first try: status %d after %v", code, time.Since(start))
	}
	left, start := third.pushback(), time.Now()
	code := third.get(t.Context(), t, "http://svc/cut")
	if took := time.Since(start); code != http.StatusOK || tries.Load() != 2 || took < left-50*time.Millisecond || took > 2*left+time.Second {
		t.Errorf("a retry: status %d after %v and %d tries, while retries were to wait for %v", code, took, tries.Load(), left)
	}
}
