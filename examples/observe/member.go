package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failoverhttp"
	"github.com/murmuration-go/murmuration/gossip"
	"github.com/murmuration-go/murmuration/otel"
	"github.com/murmuration-go/murmuration/retry"
)

const attemptTimeout = time.Second

// member is a replica of the calling service, as if it were a process of its own.
type member struct {
	number    int // from 1
	zone      string
	providers *providers
	cluster   *gossip.Cluster
	clients   map[string]*http.Client // by the service that they call
	closers   []func() error
}

// newMember makes telemetry, joins, and wraps a transport for each service.
func newMember(ctx context.Context, s settings, number int, zone string, backends []*backend, seeds []string, operator ed25519.PublicKey) (_ *member, err error) {
	m := &member{number: number, zone: zone, clients: map[string]*http.Client{}}
	defer func() {
		if err != nil {
			_ = m.close()
		}
	}()
	if m.providers, err = newProviders(ctx, s, number); err != nil {
		return nil, err
	}
	t, err := otel.New(otel.WithMeterProvider(m.providers.meters), otel.WithTracerProvider(m.providers.tracers))
	if err != nil {
		return nil, err
	}
	m.cluster, err = gossip.Join(ctx, gossip.Config{
		Cluster: "observe", Bind: "127.0.0.1:0", Seeds: seeds, Zone: zone,
		Operators: []ed25519.PublicKey{operator},
		Hooks:     t.Gossip(),
		Logger:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.Proxy = nil
	base.MaxIdleConnsPerHost = 16
	m.closers = append(m.closers, func() error { base.CloseIdleConnections(); return nil })
	traced := otelhttp.NewTransport(t.Resends(base), // below the failover transport, so that each attempt has its CLIENT span
		otelhttp.WithMeterProvider(m.providers.meters), otelhttp.WithTracerProvider(m.providers.tracers))

	endpoints := map[string][]failover.Endpoint{}
	for _, b := range backends {
		endpoints[b.service] = append(endpoints[b.service], failover.Endpoint{
			Name: b.name(), URL: b.url, Zone: b.zone, Capacity: capacity, Internal: true,
		})
	}
	for service, list := range endpoints {
		g, err := failover.New(service, failover.Config{
			Endpoints: list,
			Cluster:   m.cluster,
			Retry:     retry.Policy{AttemptTimeout: attemptTimeout, Hooks: t.Retry()},
			Budget:    retry.BudgetConfig{Hooks: t.Budget()},
			Breaker:   breaker.Config{Hooks: t.Breaker()},
			Hooks:     t.Failover(),
		})
		if err != nil {
			return nil, err
		}
		m.closers = append(m.closers, g.Close)
		m.clients[service] = &http.Client{Transport: failoverhttp.NewTransport(g, traced)}
	}
	return m, nil
}

// A member that ends takes so long, at most, to tell the others, and to export what is
// left.
const (
	leaveWithin  = time.Second
	exportWithin = 5 * time.Second
)

// close takes leave of the others, ends the member, and exports what is left.
func (m *member) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), leaveWithin)
	_ = m.cluster.Leave(ctx) // where all leave at once nobody may be left to hear of it
	cancel()
	faults := []error{m.cluster.Close()}
	for _, c := range m.closers {
		faults = append(faults, c())
	}
	if m.providers != nil {
		ctx, cancel := context.WithTimeout(context.Background(), exportWithin)
		defer cancel()
		faults = append(faults, m.providers.close(ctx))
	}
	return errors.Join(faults...)
}
