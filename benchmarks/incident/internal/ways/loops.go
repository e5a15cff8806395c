package ways

import (
	"context"
	"errors"
	"net/http"

	"github.com/cenkalti/backoff/v5"
	"github.com/hashicorp/go-retryablehttp"
	"github.com/sony/gobreaker/v2"
)

// none makes one attempt.
type none struct {
	*wire
	env Env
}

func newNone(_ context.Context, e Env) (Client, error) {
	w, err := newWire(&e)
	return &none{w, e}, err
}

func (c *none) Call(ctx context.Context) error { return c.once(ctx, c.env.Home) }
func (c *none) Open() float64                  { return 1 }
func (c *none) Close()                         { c.close() }

// retried runs an attempt as cenkalti/backoff does; n counts from 0.
func retried(ctx context.Context, attempt func(n int) error) error {
	b := backoff.NewExponentialBackOff() // +-50 %
	b.InitialInterval, b.Multiplier, b.MaxInterval = baseDelay, 2, maxDelay
	n := 0
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		n++
		return struct{}{}, attempt(n - 1)
	}, backoff.WithBackOff(b), backoff.WithMaxTries(MaxAttempts))
	return err
}

// backedOff is retries with backoff and jitter, and nothing that counts them.
type backedOff struct{ none }

func newBackoff(_ context.Context, e Env) (Client, error) {
	w, err := newWire(&e)
	return &backedOff{none{w, e}}, err
}

func (c *backedOff) Call(ctx context.Context) error {
	return retried(ctx, func(n int) error { return c.once(ctx, c.env.nearest(n)) })
}

// retryable is go-retryablehttp. Its client's Timeout is that of an attempt.
type retryable struct {
	client *retryablehttp.Client
	idle   *http.Transport
	url    string
}

func newRetryable(_ context.Context, e Env) (Client, error) {
	c := &retryable{client: retryablehttp.NewClient(), idle: newTransport(), url: e.Endpoints[e.Home].URL}
	c.client.HTTPClient = &http.Client{Transport: noting{c.idle}, Timeout: AttemptTimeout}
	c.client.Logger = nil
	c.client.RetryMax, c.client.RetryWaitMin, c.client.RetryWaitMax = MaxAttempts-1, baseDelay, maxDelay
	c.client.RequestLogHook = func(_ retryablehttp.Logger, r *http.Request, n int) {
		r.URL.Host = e.Endpoints[e.nearest(n)].Addr
	}
	return c, nil
}

func (c *retryable) Call(ctx context.Context) error {
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
	if err != nil {
		return err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return err
	}
	return ended(resp)
}

func (c *retryable) Open() float64 { return 1 }
func (c *retryable) Close()        { c.idle.CloseIdleConnections() }

// broken is a gobreaker for each endpoint, and retries around them.
type broken struct {
	none
	breakers []*gobreaker.CircuitBreaker[struct{}]
}

func newGobreaker(_ context.Context, e Env) (Client, error) {
	w, err := newWire(&e)
	return &broken{none{w, e}, newBreakers(len(e.Endpoints))}, err
}

func newBreakers(n int) (l []*gobreaker.CircuitBreaker[struct{}]) {
	for range n {
		l = append(l, gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
			Interval: window, BucketPeriod: window / 10, Timeout: openFor, MaxRequests: 3,
			ReadyToTrip: func(n gobreaker.Counts) bool {
				done := n.TotalSuccesses + n.TotalFailures
				return n.ConsecutiveFailures >= 6 || done >= leastCalls && 2*n.TotalFailures >= done
			},
		}))
	}
	return l
}

func (c *broken) Call(ctx context.Context) error {
	return retried(ctx, func(n int) error {
		err := nearestOpen(&c.env, c.breakers, n, func(at int) error { return c.once(ctx, at) })
		if refused(err) {
			return backoff.Permanent(err)
		}
		return err
	})
}

// nearestOpen makes an attempt at the n-th nearest endpoint, or at the next one whose
// breaker lets it.
func nearestOpen(e *Env, l []*gobreaker.CircuitBreaker[struct{}], n int, attempt func(at int) error) error {
	var err error
	for i := range l {
		at := e.nearest(n + i)
		_, err = l[at].Execute(func() (struct{}, error) { return struct{}{}, attempt(at) })
		if !refused(err) {
			return err
		}
	}
	return err
}

func refused(err error) bool {
	return errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests)
}

func (c *broken) Open() float64 { return lets(c.breakers[c.env.Home]) }

func lets(b *gobreaker.CircuitBreaker[struct{}]) float64 {
	if b.State() == gobreaker.StateClosed {
		return 1
	}
	return 0
}
