package ways

import (
	"context"
	"log/slog"
	"net/http"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failovergrpc"
	"github.com/murmuration-go/murmuration/failover/failoverhttp"
	"github.com/murmuration-go/murmuration/gossip"
	"github.com/murmuration-go/murmuration/retry"
)

// together is a member of a cluster.
type together struct {
	cluster *gossip.Cluster
	group   *failover.Group
	home    string
	call    func(context.Context) error
	closers []func()
}

func newTogether(ctx context.Context, e *Env) (*together, error) {
	c := &together{home: e.Endpoints[e.Home].Name}
	zone := ""
	if e.Zoned {
		zone = c.home
	}
	var err error
	c.cluster, err = gossip.Join(ctx, gossip.Config{
		Cluster: "incident", Bind: "127.0.0.1:0", Seeds: e.Seeds, Zone: zone,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	c.closers = append(c.closers, func() { _ = c.cluster.Close() })
	f := failover.Config{
		Cluster: c.cluster, Zone: zone,
		Retry: retry.Policy{MaxAttempts: MaxAttempts, BaseDelay: baseDelay, MaxDelay: maxDelay, AttemptTimeout: AttemptTimeout},
	}
	for _, at := range e.Endpoints {
		x := failover.Endpoint{Name: at.Name, URL: at.URL}
		if e.GRPC {
			x.URL = at.Addr
		}
		if e.Zoned {
			x.Zone, x.Capacity = at.Name, at.Capacity
		}
		f.Endpoints = append(f.Endpoints, x)
	}
	if c.group, err = failover.New("backend", f); err != nil {
		c.Close()
		return nil, err
	}
	c.closers = append(c.closers, func() { _ = c.group.Close() })
	return c, nil
}

func newOurs(ctx context.Context, e Env) (Client, error) {
	c, err := newTogether(ctx, &e)
	if err != nil {
		return nil, err
	}
	tr := newTransport()
	c.closers = append(c.closers, tr.CloseIdleConnections)
	client := &http.Client{Transport: failoverhttp.NewTransport(c.group, noting{tr})}
	c.call = func(ctx context.Context) error { return get(ctx, client, "http://backend/") }
	return c, nil
}

func newOursRPC(ctx context.Context, e Env) (Client, error) {
	c, err := newTogether(ctx, &e)
	if err != nil {
		return nil, err
	}
	conn, err := failovergrpc.NewClient(c.group, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithStatsHandler(notingRPC{}))
	if err != nil {
		c.Close()
		return nil, err
	}
	conn.Resend = func(string) bool { return true } // a check may be repeated, as a GET may
	c.closers = append(c.closers, func() { _ = conn.Close() })
	client := healthpb.NewHealthClient(conn)
	c.call = func(ctx context.Context) error {
		_, err := client.Check(ctx, &healthpb.HealthCheckRequest{})
		return err
	}
	return c, nil
}

func (c *together) Call(ctx context.Context) error { return c.call(ctx) }

func (c *together) Open() float64 {
	for _, e := range c.group.Explain().Endpoints {
		if e.Name == c.home {
			return e.Phi
		}
	}
	return 1
}

func (c *together) Close() {
	for i := len(c.closers) - 1; i >= 0; i-- {
		c.closers[i]()
	}
}

// Addr and Members make it a Gossiper.
func (c *together) Addr() string { return c.cluster.Addr() }
func (c *together) Members() int { return c.cluster.Health().Members }
