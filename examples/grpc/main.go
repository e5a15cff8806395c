// Command grpc shows what a gRPC client gets from a failover.Group: a server is
// stopped in the middle of the traffic and comes back, and calls go on.
//
// Two servers on loopback are the endpoints one and two of a service. Three members,
// each with its own gossip node, share their calls out among them, unary ones and
// streams. Server one is stopped and comes back; at the end both are stopped, so that
// there are errors to look at.
//
//	go run ./examples/grpc
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failovergrpc"
	"github.com/murmuration-go/murmuration/gossip"
	"github.com/murmuration-go/murmuration/retry"
)

func main() {
	rate := flag.Float64("rate", 20, "calls a second of each of the three members")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	_, err := show(ctx, os.Stdout, *rate, 2500*time.Millisecond)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "grpc:", err)
		os.Exit(1)
	}
}

var phases = []string{"both are up", "one is stopped", "one is back", "both are stopped"}

// show makes calls in all phases, each of which lasts for a while, and tells what
// came of them.
func show(ctx context.Context, w io.Writer, rate float64, while time.Duration) (*tally, error) {
	if !(rate > 0 && rate <= 1000) {
		return nil, fmt.Errorf("-rate is %v; it must be above 0 and at most 1000", rate)
	}
	one, err := serve("one", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer func() { one.stop() }()
	two, err := serve("two", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer two.stop()

	t := newTally()
	var seeds []string
	var members []*member
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		running.Wait()
		for _, m := range members {
			m.close()
		}
	}()
	for range 3 {
		m, err := join(ctx, seeds, one.addr, two.addr)
		if err != nil {
			return nil, err
		}
		members = append(members, m)
		seeds = append(seeds, m.cluster.Addr())
		running.Go(func() { m.calls(ctx, rate, t) })
		running.Go(func() { m.streams(ctx, t) })
	}

	for _, phase := range phases {
		switch phase {
		case "one is stopped":
			one.stop()
		case "one is back":
			again, err := serve("one", one.addr)
			if err != nil {
				return nil, err
			}
			one = again
		case "both are stopped":
			one.stop()
			two.stop()
		}
		t.begin(phase)
		select {
		case <-time.After(while):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		t.print(w)
	}
	return t, nil
}

// member is a process that calls the service.
type member struct {
	cluster *gossip.Cluster
	group   *failover.Group
	conn    *failovergrpc.Conn
	client  testpb.TestServiceClient
}

// join is all that it takes: join the cluster, name the endpoints, and hand the
// connection to the generated client.
func join(ctx context.Context, seeds []string, one, two string) (*member, error) {
	cluster, err := gossip.Join(ctx, gossip.Config{
		Cluster: "grpc", Bind: "127.0.0.1:0", Seeds: seeds,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	group, err := failover.New("echo", failover.Config{
		Endpoints: []failover.Endpoint{
			{Name: "one", URL: one, Internal: true},
			{Name: "two", URL: two, Internal: true},
		},
		Cluster: cluster,
		// With one of two servers gone half of the calls need a second attempt. The
		// default, a tenth of a token a call, is for endpoints that fail now and then.
		Budget: retry.BudgetConfig{Ratio: 1, Burst: 10},
		Retry:  retry.Policy{AttemptTimeout: time.Second},
	})
	if err != nil {
		_ = cluster.Close()
		return nil, err
	}
	conn, err := failovergrpc.NewClient(group, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		_ = cluster.Close()
		return nil, err
	}
	// Calls of this method may be carried out twice. Without that word those are
	// not resent that one may have seen when it was stopped.
	conn.Resend = func(method string) bool { return method == testpb.TestService_UnaryCall_FullMethodName }
	return &member{cluster, group, conn, testpb.NewTestServiceClient(conn)}, nil
}

func (m *member) close() {
	_ = m.conn.Close()
	_ = m.group.Close()
	_ = m.cluster.Close()
}
