package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/murmuration-go/murmuration/gossip"
	"github.com/murmuration-go/murmuration/gossip/console"
)

const consolePath = "/debug/murmuration/"

// show serves the consoles of members 1 and 2, the second one at a free port: an override
// that is placed at one is in force at the other a moment later.
func (f *fleet) show() error {
	host, _, err := net.SplitHostPort(f.console)
	if err != nil {
		return err
	}
	for i, at := range []string{f.console, net.JoinHostPort(host, "0")} {
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", at)
		if err != nil {
			return fmt.Errorf("-console: %w", err)
		}
		mux := http.NewServeMux()
		mux.Handle(consolePath, f.operator.console(f.members[i].cluster))
		f.serving = append(f.serving, serve(&http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}, l))
		f.consoles[i] = "http://" + l.Addr().String() + consolePath
		f.note("console of member %d: %s", i+1, f.consoles[i])
	}
	f.operator.explain(f)
	return nil
}

func (o *operator) console(c *gossip.Cluster) http.Handler {
	return console.Handler(c, console.Options{
		Logger:    slog.New(slog.DiscardHandler),
		Authorize: console.Bearer(map[string]string{"you": o.token}), Signer: o.key,
	})
}
