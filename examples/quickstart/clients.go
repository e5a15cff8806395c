package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/examples/internal/reasons"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failoverhttp"
	"github.com/murmuration-go/murmuration/gossip"
	"github.com/murmuration-go/murmuration/retry"
)

const (
	attemptTimeout = time.Second
	maxAttempts    = 4 // the first try and three retries
	baseDelay      = 100 * time.Millisecond
	maxDelay       = 2 * time.Second
)

// client is one member's way to call the server.
type client interface {
	call(ctx context.Context) error
	dimmer() float64 // fraction of first tries that may go
	kill()           // as a crash: sockets closed, nobody told
}

// tally counts what all clients of one run do.
type tally struct {
	attempts      atomic.Int64
	retriesDimmed atomic.Int64
	refused       atomic.Int64 // calls of whose attempts one or more were refused by a breaker or a verdict,
	unexplained   atomic.Int64 // and those of them whose error does not say by whom, on what evidence, and how old that was
	spans         reasons.Spans
}

// ended takes a call's error into account.
func (t *tally) ended(err error) {
	var open *breaker.OpenError
	switch {
	case errors.As(err, &open):
		t.refused.Add(1)
		if !reasons.Refusal(open) {
			t.unexplained.Add(1)
		}
	case errors.Is(err, retry.ErrRetriesOff):
		t.refused.Add(1)
		t.unexplained.Add(1)
	}
}

// counting counts the requests that really go out.
type counting struct {
	base  http.RoundTripper
	tally *tally
}

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.tally.attempts.Add(1)
	return c.base.RoundTrip(r)
}

func newHTTP(t *tally) (*http.Client, *http.Transport) {
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.Proxy = nil
	tr.MaxIdleConnsPerHost = 16
	return &http.Client{Transport: counting{tr, t}}, tr
}

// get asks the server once.
func get(ctx context.Context, c *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4<<10))
	_ = resp.Body.Close()
	if resp.StatusCode >= 500 {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// alone is a client as they are usually written: retries with backoff and
// jitter, and perhaps a breaker of its own.
type alone struct {
	http    *http.Client
	idle    *http.Transport
	url     string
	policy  retry.Policy
	breaker *gobreaker.CircuitBreaker[struct{}]
}

func newAlone(url string, t *tally, b *gobreaker.Settings) *alone {
	c := &alone{url: url, policy: retry.Policy{
		MaxAttempts: maxAttempts, BaseDelay: baseDelay, MaxDelay: maxDelay, AttemptTimeout: attemptTimeout,
		Retryable: func(err error) bool {
			return !errors.Is(err, gobreaker.ErrOpenState) && !errors.Is(err, gobreaker.ErrTooManyRequests)
		},
	}}
	c.http, c.idle = newHTTP(t)
	if b != nil {
		c.breaker = gobreaker.NewCircuitBreaker[struct{}](*b)
	}
	return c
}

func (c *alone) call(ctx context.Context) error {
	return retry.Do(ctx, c.policy, func(ctx context.Context) error {
		if c.breaker == nil {
			return get(ctx, c.http, c.url)
		}
		_, err := c.breaker.Execute(func() (struct{}, error) {
			return struct{}{}, get(ctx, c.http, c.url)
		})
		return err
	})
}

func (c *alone) dimmer() float64 {
	if c.breaker != nil && c.breaker.State() == gobreaker.StateOpen {
		return 0
	}
	return 1
}

func (c *alone) kill() { c.idle.CloseIdleConnections() }

// ourRule is the local trip rule of package breaker, in gobreaker's words, so
// that the comparison is about coordination and not about thresholds.
func ourRule() *gobreaker.Settings {
	return &gobreaker.Settings{
		Interval: 10 * time.Second, BucketPeriod: time.Second, Timeout: 10 * time.Second,
		ReadyToTrip: func(n gobreaker.Counts) bool {
			done := n.TotalSuccesses + n.TotalFailures
			return n.ConsecutiveFailures >= 10 || done >= 20 && 2*n.TotalFailures >= done
		},
	}
}

// together is a member of a cluster.
type together struct {
	cluster *gossip.Cluster
	group   *failover.Group
	http    *http.Client
	idle    *http.Transport
}

// newTogether is all that it takes: join, name the endpoints, wrap the
// transport.
func newTogether(ctx context.Context, url string, seeds []string, t *tally) (*together, error) {
	c := &together{}
	var err error
	c.cluster, err = gossip.Join(ctx, gossip.Config{
		Cluster: "quickstart", Bind: "127.0.0.1:0", Seeds: seeds,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	telemetry, err := t.spans.Telemetry()
	if err != nil {
		_ = c.cluster.Close()
		return nil, err
	}
	hooks := telemetry.Retry()
	start := hooks.AttemptStart
	hooks.AttemptStart = func(ctx context.Context, a retry.Attempt) context.Context {
		if a.Number > 1 && c.dimmer() < 1 {
			t.retriesDimmed.Add(1)
		}
		return start(ctx, a)
	}
	c.group, err = failover.New("backend", failover.Config{
		Endpoints: []failover.Endpoint{{Name: "primary", URL: url}},
		Cluster:   c.cluster,
		Retry: retry.Policy{
			MaxAttempts: maxAttempts, BaseDelay: baseDelay, MaxDelay: maxDelay, AttemptTimeout: attemptTimeout,
			Hooks: hooks,
		},
		Breaker: breaker.Config{Hooks: telemetry.Breaker()},
		Hooks:   telemetry.Failover(),
	})
	if err != nil {
		_ = c.cluster.Close()
		return nil, err
	}
	var base *http.Client
	base, c.idle = newHTTP(t)
	c.http = &http.Client{Transport: failoverhttp.NewTransport(c.group, base.Transport)}
	return c, nil
}

func (c *together) call(ctx context.Context) error { return get(ctx, c.http, "http://backend/") }

func (c *together) state() breaker.Status { return c.group.Explain().Endpoints[0].Status }

func (c *together) dimmer() float64 { return c.state().Phi }

func (c *together) self() string {
	for _, m := range c.cluster.Members() {
		if m.Self {
			return m.Name
		}
	}
	return ""
}

func (c *together) kill() {
	_ = c.cluster.Close()
	_ = c.group.Close()
	c.idle.CloseIdleConnections()
}
