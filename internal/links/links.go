// Package links opens what members gossip over. Tests, examples and the incident lab
// put networks of their own in its place, which lose, delay and split what is sent;
// users cannot, for what is sound over sockets need not be over anything else.
package links

import (
	"context"
	"log"

	"github.com/hashicorp/memberlist"
)

// Opener opens a transport that listens at host and port, TCP and UDP, and says at
// which port it does. No host stands for all interfaces, port 0 for any free one.
type Opener func(host string, port int, logger *log.Logger) (memberlist.Transport, int, error)

type key struct{}

// With lets members that join under the context gossip over what open opens.
func With(ctx context.Context, open Opener) context.Context {
	return context.WithValue(ctx, key{}, open)
}

// Open opens what the context says, sockets as a rule.
func Open(ctx context.Context, host string, port int, logger *log.Logger) (memberlist.Transport, int, error) {
	if open, ok := ctx.Value(key{}).(Opener); ok {
		return open(host, port, logger)
	}
	return Sockets(host, port, logger)
}

// Sockets opens sockets. A free port for TCP may be taken for UDP, so a free one is
// looked for several times.
func Sockets(host string, port int, logger *log.Logger) (memberlist.Transport, int, error) {
	tries := 1
	if port == 0 {
		tries = 10
	}
	var err error
	for range tries {
		var t *memberlist.NetTransport
		t, err = memberlist.NewNetTransport(&memberlist.NetTransportConfig{
			BindAddrs: []string{host}, BindPort: port, Logger: logger,
		})
		if err == nil {
			return t, t.GetAutoBindPort(), nil
		}
	}
	return nil, 0, err
}
