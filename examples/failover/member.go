package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/examples/internal/reasons"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failovergrpc"
	"github.com/murmuration-go/murmuration/failover/failoverhttp"
	"github.com/murmuration-go/murmuration/gossip"
	"github.com/murmuration-go/murmuration/retry"
)

const attemptTimeout = time.Second

// member is a replica of the calling service, as if it were a process of its own.
type member struct {
	zone    int             // where it stands
	cluster *gossip.Cluster // nil: it decides alone
	group   *failover.Group
	call    func(context.Context) error
	closers []func()
}

// newMember is all that it takes: join, name the endpoints, wrap the transport.
// The spans that it makes are counted, and go nowhere.
func newMember(ctx context.Context, s settings, zones []*zone, at int, seeds []string, spans *reasons.Spans) (_ *member, err error) {
	m := &member{zone: at}
	defer func() {
		if err != nil {
			m.close()
		}
	}()
	if !s.alone {
		m.cluster, err = gossip.Join(ctx, gossip.Config{
			Cluster: "zones", Bind: "127.0.0.1:0", Seeds: seeds, Zone: zones[at].name,
			Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			return nil, err
		}
		m.closers = append(m.closers, func() { _ = m.cluster.Close() })
	}
	telemetry, err := spans.Telemetry()
	if err != nil {
		return nil, err
	}
	c := failover.Config{
		Cluster: m.cluster,
		Zone:    zones[at].name,
		Retry:   retry.Policy{AttemptTimeout: attemptTimeout, Hooks: telemetry.Retry()},
		Breaker: breaker.Config{Hooks: telemetry.Breaker()},
		Hooks:   noted(zones, telemetry.Failover()),
	}
	for _, z := range zones {
		c.Endpoints = append(c.Endpoints, failover.Endpoint{
			Name: z.name, URL: z.url, Zone: z.name, Capacity: z.capacity, Internal: true,
		})
	}
	if m.group, err = failover.New("backend", c); err != nil {
		return nil, err
	}
	m.closers = append(m.closers, func() { _ = m.group.Close() })
	if s.grpc {
		return m, m.overGRPC()
	}
	m.overHTTP()
	return m, nil
}

func (m *member) overHTTP() {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.Proxy = nil
	base.MaxIdleConnsPerHost = 16
	m.closers = append(m.closers, base.CloseIdleConnections)
	client := &http.Client{Transport: failoverhttp.NewTransport(m.group, base)}
	m.call = func(ctx context.Context) error { return get(ctx, client) }
}

func get(ctx context.Context, client *http.Client) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://backend/", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
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

func (m *member) overGRPC() error {
	conn, err := failovergrpc.NewClient(m.group, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	conn.Resend = func(string) bool { return true } // a check may be repeated, as a GET may
	m.closers = append(m.closers, func() { _ = conn.Close() })
	client := healthpb.NewHealthClient(conn)
	m.call = func(ctx context.Context) error {
		_, err := client.Check(ctx, &healthpb.HealthCheckRequest{})
		return err
	}
	return nil
}

// close ends the member, the last thing opened first.
func (m *member) close() {
	for i := len(m.closers) - 1; i >= 0; i-- {
		m.closers[i]()
	}
}
