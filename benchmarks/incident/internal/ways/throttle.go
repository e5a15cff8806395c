package ways

import (
	"context"
	"fmt"

	"github.com/sony/gobreaker/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/stats"
)

// throttled is gRPC's own retries and their throttle, by service config, with the
// numbers of gRFC A6's example. The other zone is out of a channel's reach (pick_first
// leaves an address only when its connection breaks), so there is a channel a zone.
type throttled struct {
	env      Env
	clients  []healthpb.HealthClient
	conns    []*grpc.ClientConn
	breakers []*gobreaker.CircuitBreaker[struct{}] // with zones only
}

const serviceConfig = `{
	"methodConfig": [{
		"name": [{}],
		"retryPolicy": {
			"maxAttempts": %d, "initialBackoff": "%gs", "maxBackoff": "%gs", "backoffMultiplier": 2,
			"retryableStatusCodes": ["UNAVAILABLE", "DEADLINE_EXCEEDED"]
		}
	}],
	"retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1}
}`

func newThrottle(_ context.Context, e Env) (Client, error) {
	c := &throttled{env: e}
	config := fmt.Sprintf(serviceConfig, MaxAttempts, baseDelay.Seconds(), maxDelay.Seconds())
	for _, at := range e.Endpoints {
		conn, err := grpc.NewClient(at.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultServiceConfig(config), grpc.WithStatsHandler(timed{}))
		if err != nil {
			c.Close()
			return nil, err
		}
		c.conns = append(c.conns, conn)
		c.clients = append(c.clients, healthpb.NewHealthClient(conn))
	}
	if e.Zoned {
		c.breakers = newBreakers(len(e.Endpoints))
	}
	return c, nil
}

func (c *throttled) Call(ctx context.Context) error {
	check := func(at int) error {
		_, err := c.clients[at].Check(ctx, &healthpb.HealthCheckRequest{})
		return err
	}
	if c.breakers == nil {
		return check(c.env.Home)
	}
	return nearestOpen(&c.env, c.breakers, 0, check)
}

func (c *throttled) Open() float64 {
	if c.breakers == nil {
		return 1
	}
	return lets(c.breakers[c.env.Home])
}

func (c *throttled) Close() {
	for _, conn := range c.conns {
		_ = conn.Close()
	}
}

// timed gives each attempt its own timeout, which grpc-go has no setting for (gRFC A6
// calls it perAttemptRecvTimeout): an attempt's context comes from TagRPC. Without it
// a call that hangs would not be retried at all.
type timed struct{ idle }

type cancelKey struct{}

func (timed) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	note(ctx)
	ctx, cancel := context.WithTimeout(ctx, AttemptTimeout)
	return context.WithValue(ctx, cancelKey{}, cancel)
}

func (timed) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if _, ok := s.(*stats.End); ok {
		ctx.Value(cancelKey{}).(context.CancelFunc)()
	}
}
