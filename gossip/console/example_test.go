package console_test

import (
	"context"
	"log"
	"net/http"
	"time"

	"github.com/murmuration-go/murmuration/gossip"
	"github.com/murmuration-go/murmuration/gossip/console"
)

// The console goes onto a listener that only one's own people reach.
func ExampleHandler() {
	c, err := gossip.Join(context.Background(), gossip.Config{Cluster: "shop", Bind: "127.0.0.1:0"})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	mux := http.NewServeMux()
	mux.Handle("/debug/murmuration/", console.Handler(c, console.Options{}))
	internal := &http.Server{Addr: "127.0.0.1:6060", Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go internal.ListenAndServe()
	defer internal.Close()
}
