package gossip_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/murmuration-go/murmuration/gossip"
)

// Two members on one host. Members on several hosts need Keys.
func ExampleJoin() {
	ctx := context.Background()
	quiet := slog.New(slog.DiscardHandler)

	first, err := gossip.Join(ctx, gossip.Config{Cluster: "shop", Bind: "127.0.0.1:0", Logger: quiet})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer first.Close()

	met := make(chan string, 1)
	second, err := gossip.Join(ctx, gossip.Config{
		Cluster: "shop",
		Bind:    "127.0.0.1:0",
		Seeds:   []string{first.Addr()},
		Zone:    "eu-west-1a",
		Logger:  quiet,
		Hooks: gossip.Hooks{
			ModeChange: func(from, to gossip.Mode, reason string) {
				select {
				case met <- fmt.Sprintf("%v -> %v: %s", from, to, reason):
				default:
				}
			},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer second.Close()

	fmt.Println(<-met)
	for _, m := range second.Members() {
		if m.Self {
			fmt.Println("this one is in", m.Zone)
		}
	}
	// Output:
	// alone -> coordinated: 2 members
	// this one is in eu-west-1a
}

// A mistake is reported with the field that it is in, and all at once.
func ExampleConfig_Validate() {
	err := gossip.Config{Bind: "0.0.0.0:7960", AllowPlaintext: true, Seeds: []string{"shop"}}.Validate()
	fmt.Println(err)
	// Output:
	// gossip: Config.Cluster: is empty; name the cluster, the same for all its members
	// gossip: Config.Seeds[0]: "shop" has no port; use host:port, dns+name:port or dnssrv+name
}

// A nil *Cluster stands for "no cluster" wherever one is asked for.
func ExampleCluster_Health() {
	var none *gossip.Cluster
	h := none.Health()
	fmt.Println(h.Mode, "-", h.Reason)
	// Output: alone - no cluster is configured; working with local rules
}
