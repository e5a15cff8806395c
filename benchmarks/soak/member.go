package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failovergrpc"
	"github.com/murmuration-go/murmuration/failover/failoverhttp"
	"github.com/murmuration-go/murmuration/gossip"
	"github.com/murmuration-go/murmuration/internal/links"
	"github.com/murmuration-go/murmuration/retry"
)

const (
	attemptTimeout = 500 * time.Millisecond
	callTimeout    = 3 * time.Second
)

// member is a replica of the calling service, as if it were a process of its own.
type member struct {
	fleet   *fleet
	cluster *gossip.Cluster
	groups  map[string]*failover.Group
	calls   map[string]func(context.Context) error
	idle    func()
	closers []func()

	stop   chan struct{} // ends the calls
	driver sync.WaitGroup
	under  sync.WaitGroup // calls
	health gossip.Health  // as it was looked at last
}

// newMember joins the cluster, names the endpoints and wraps the transports.
func (f *fleet) newMember(ctx context.Context, bind, zone string) (_ *member, err error) {
	m := &member{fleet: f, groups: map[string]*failover.Group{}, calls: map[string]func(context.Context) error{}, stop: make(chan struct{})}
	for _, b := range f.books {
		b.joins()
	}
	defer func() {
		if err != nil {
			m.end()
		}
	}()
	m.cluster, err = gossip.Join(links.With(ctx, f.network.Open), gossip.Config{
		Cluster: cluster, Bind: bind, Seeds: f.seeds(), Zone: zone, Keys: f.currentKeys(),
		Operators:      []ed25519.PublicKey{f.operator.Public().(ed25519.PublicKey)},
		MaxMembers:     f.most(),
		RejoinInterval: rejoinEvery,
		Logger:         slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, fmt.Errorf("join at %s: %w", bind, err)
	}
	for _, service := range services {
		b := f.books[service]
		c := failover.Config{
			Cluster: m.cluster,
			Retry: retry.Policy{AttemptTimeout: attemptTimeout, Hooks: retry.Hooks{
				Wait: func(ctx context.Context, _ retry.Attempt, _ error, _ time.Duration) { entryOf(ctx).wait() },
			}},
			Budget:    retry.BudgetConfig{MaxMembers: f.most()},
			Breaker:   breaker.Config{Hooks: breaker.Hooks{Refused: func(_ context.Context, e *breaker.OpenError) { f.refusal(e) }}},
			DrainOver: 2 * time.Second,
			Hooks: failover.Hooks{DivertedFor: func(ctx context.Context, why *failover.DivertedError) {
				f.diversion(why)
				entryOf(ctx).diverts()
			}},
		}
		for _, z := range f.zones {
			url := z.proxies[service].addr()
			if service == "web" {
				url = "http://" + url
			}
			c.Endpoints = append(c.Endpoints, failover.Endpoint{Name: service + "-" + z.name, URL: url, Zone: z.name, Capacity: f.capacity(), Internal: true})
		}
		g, err := failover.New(service, c)
		if err != nil {
			return nil, err
		}
		m.closers = append(m.closers, func() { _ = g.Close() })
		m.groups[service] = g
		if service == "web" {
			m.overHTTP(g, b)
		} else if err := m.overGRPC(g, b); err != nil {
			return nil, err
		}
	}
	for service, call := range m.calls {
		m.driver.Go(func() { m.drive(service, call) })
	}
	return m, nil
}

// counting counts the requests that go out.
type counting struct{ base http.RoundTripper }

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	entryOf(r.Context()).attempt()
	return c.base.RoundTrip(r)
}

func (m *member) overHTTP(g *failover.Group, b *book) {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.Proxy = nil
	base.MaxIdleConnsPerHost = 16
	m.idle = base.CloseIdleConnections
	m.closers = append(m.closers, base.CloseIdleConnections)
	client := &http.Client{Transport: failoverhttp.NewTransport(g, counting{base})}
	m.calls["web"] = func(ctx context.Context) error {
		ctx, e := b.begin(ctx)
		defer e.end()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://web/", http.NoBody)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		if resp.StatusCode >= http.StatusInternalServerError {
			return fmt.Errorf("status %d", resp.StatusCode)
		}
		return nil
	}
}

func (m *member) overGRPC(g *failover.Group, b *book) error {
	conn, err := failovergrpc.NewClient(g, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			entryOf(ctx).attempt()
			return next(ctx, method, req, reply, cc, opts...)
		}))
	if err != nil {
		return err
	}
	conn.Resend = func(string) bool { return true } // a check may be repeated, as a GET may
	m.closers = append(m.closers, func() { _ = conn.Close() })
	client := healthpb.NewHealthClient(conn)
	m.calls["rpc"] = func(ctx context.Context) error {
		ctx, e := b.begin(ctx)
		defer e.end()
		_, err := client.Check(ctx, &healthpb.HealthCheckRequest{})
		return err
	}
	return nil
}

// drive makes calls by chance, whether or not earlier ones have ended.
func (m *member) drive(service string, call func(context.Context) error) {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-m.stop:
			return
		}
		if m.fleet.gate.enter() {
			m.under.Go(func() {
				defer m.fleet.gate.leave()
				m.make(service, call)
			})
		}
		t.Reset(time.Duration(rand.ExpFloat64() / m.fleet.rate * float64(time.Second)))
	}
}

// make makes a call, and takes what came of it into account.
func (m *member) make(service string, call func(context.Context) error) {
	defer func() {
		if p := recover(); p != nil {
			m.fleet.broken("panic in a call to %s: %v", service, p)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	began := time.Now()
	err := call(ctx)
	if took := time.Since(began); took > callTimeout+lateCall {
		m.fleet.broken("a call to %s ended after %v; its deadline was %v", service, took, callTimeout)
	}
	m.fleet.ended(err)
}

const lateCall = 2 * time.Second // that a busy machine makes of it

// crash ends a member without goodbye: its gossip first, while calls are under way.
func (m *member) crash() error {
	err := m.cluster.Close()
	m.end()
	return err
}

// leave ends a member in good order.
func (m *member) leave() error {
	close(m.stop)
	m.driver.Wait()
	m.under.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = m.cluster.Leave(ctx) // what is lost on the way makes a crash of it
	err := m.cluster.Close()
	m.end()
	return err
}

// end ends what is left, the last thing opened first.
func (m *member) end() {
	select {
	case <-m.stop:
	default:
		close(m.stop)
	}
	m.driver.Wait()
	m.under.Wait()
	for i := len(m.closers) - 1; i >= 0; i-- {
		m.closers[i]()
	}
	for _, b := range m.fleet.books {
		b.ends()
	}
}

// explained says what is missing in the reasons for a decision, or nothing.
func explained(by breaker.Source, age time.Duration, e *breaker.Evidence, o *breaker.Override) error {
	switch {
	case age < 0:
		return fmt.Errorf("its age is %v", age)
	case by == breaker.SourceOperator && (o == nil || o.Author == "" || o.Reason == ""):
		return errors.New("no author and reason of an operator")
	case by == breaker.SourceOperator:
		return nil
	case e.Outcomes == 0 || e.Reporters == 0:
		return errors.New("no evidence")
	case by == breaker.SourceCluster && e.Steward == "":
		return errors.New("no steward")
	case by == breaker.SourceCluster && age > oldestAdvice:
		return fmt.Errorf("it rests on a verdict of %v ago; %v is the most", age, oldestAdvice)
	}
	return nil
}

// oldestAdvice is for how long a verdict that nobody renews can count: 5 s, or 15 s if it
// said that all is well, 10 s for which it is held, and until phi, doubling each second,
// is 1 again from a thousandth.
const oldestAdvice = 35 * time.Second
