// Command observe is there to be looked at: a fleet, backends that misbehave in turn,
// the console, and metrics and spans for whoever collects them.
//
// Members in two zones, each with its own gossip node, clients and telemetry, call two
// services on loopback: payments, which stands in both zones, and search, of which there
// is one. A zone of payments stalls, search refuses a third of its requests, the other
// zone becomes slow; then it begins anew, until it is interrupted. What happens is told
// on stderr, and so are the URLs of two members' consoles.
//
//	go run -C examples/observe .
//	go run -C examples/observe . -exporter stdout > telemetry.jsonl
//	OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 go run -C examples/observe . -exporter otlp
//
// Exporters heed the environment variables of OpenTelemetry: OTEL_METRIC_EXPORT_INTERVAL
// (5 s here if not set), OTEL_TRACES_SAMPLER and all of OTEL_EXPORTER_OTLP_*. The
// dashboard for Grafana, grafana.json, takes the metrics as Prometheus names them.
//
// It is a module of its own, so that the exporters do not end up in the dependency graph
// of those who use Murmuration.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// settings are what the flags say, and what tests change.
type settings struct {
	members  int
	load     float64 // calls, as a share of the capacities
	cycle    bool
	console  string
	exporter string
	key      string
	duration time.Duration

	steps  []step                  // of the cycle
	log    io.Writer               // what happens
	out    io.Writer               // of the exporter stdout
	reader func() sdkmetric.Reader // of each member's metrics, beside the exporter; may be nil
}

func defaults() settings {
	return settings{
		members: 6, load: .5, cycle: true, console: "127.0.0.1:6060", exporter: "none",
		steps: misbehaviour, log: os.Stderr, out: os.Stdout,
	}
}

func main() {
	s := defaults()
	flag.IntVar(&s.members, "members", s.members, "members, in both zones together")
	flag.Float64Var(&s.load, "load", s.load, "calls, as a share of what the backends can take")
	flag.BoolVar(&s.cycle, "cycle", s.cycle, "the backends misbehave in turn")
	flag.StringVar(&s.console, "console", s.console, "host:port of member 1's console; 0 is any free port. Member 2's has a free port")
	flag.StringVar(&s.exporter, "exporter", s.exporter, "of metrics and spans: "+strings.Join(exporters, ", "))
	flag.StringVar(&s.key, "key", s.key, "file to write the operator's private key to; it must not exist")
	flag.DurationVar(&s.duration, "duration", s.duration, "how long to run; 0 is until interrupted")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, s)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "observe:", err)
		os.Exit(1)
	}
}

// run has the fleet at work until the time is over or ctx ends.
func run(ctx context.Context, s settings) error {
	if s.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.duration)
		defer cancel()
	}
	f, err := start(ctx, s)
	if err != nil {
		return err
	}
	<-ctx.Done()
	return f.close()
}

func (s settings) check() error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if s.members < 2 || s.members > 100 {
		bad("-members is %d; it must be within 2 and 100", s.members)
	}
	if !(s.load > 0 && s.load <= 2) {
		bad("-load is %v; it must be above 0 and at most 2", s.load)
	}
	if _, _, err := net.SplitHostPort(s.console); err != nil {
		bad("-console is %q; it must be host:port", s.console)
	}
	if !slices.Contains(exporters, s.exporter) {
		bad("-exporter is %q; it must be one of %s", s.exporter, strings.Join(exporters, ", "))
	}
	if s.duration < 0 {
		bad("-duration is %v; it must not be negative", s.duration)
	}
	return errors.Join(faults...)
}
