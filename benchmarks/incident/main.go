// Command incident is the incident lab: what a sceptic would try before adopting the
// library. Real HTTP and gRPC servers with a finite capacity, a real gossip cluster,
// and other ways of calling, each as its authors mean it, through the same incident
// side by side in one run, on loopback.
//
//	go run ./incident -scenario S1 -members 30 -strategy all -html report.html
//	go run ./incident -all -json > results.json
//
// Progress goes to standard error.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/murmuration-go/murmuration/benchmarks/incident/internal/ways"
	"github.com/murmuration-go/murmuration/benchmarks/incident/internal/world"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "incident:", err)
		os.Exit(1)
	}
}

// options are the command's flags.
type options struct {
	scenario, strategy, protocol, html string
	all, json, quiet, list             bool

	members        int
	seed           uint64
	scale          float64
	capacity, load float64
	warm           time.Duration

	scenarios  []world.Scenario
	strategies []ways.Way
}

func (o *options) parse(args []string, stderr io.Writer) error {
	f := flag.NewFlagSet("incident", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.scenario, "scenario", "S1", "scenarios: names, separated by commas, or all")
	f.BoolVar(&o.all, "all", false, "every scenario; the same as -scenario all")
	f.StringVar(&o.strategy, "strategy", "all", "strategies: names, separated by commas, or all")
	f.StringVar(&o.protocol, "protocol", "http", "http or grpc")
	f.IntVar(&o.members, "members", 30, "members of each strategy")
	f.Float64Var(&o.capacity, "capacity", 200, "requests a second that each strategy's servers can take, of all zones together")
	f.Float64Var(&o.load, "load", .8, "first tries, as a share of the capacity; with zones it is .68")
	f.DurationVar(&o.warm, "warm", 6*time.Second, "how long all is well before the fault")
	f.Float64Var(&o.scale, "scale", 1, "multiplies how long the faults and what follows them last")
	f.Uint64Var(&o.seed, "seed", 1, "fixes the traffic")
	f.BoolVar(&o.json, "json", false, "print a JSON object a scenario instead of a table")
	f.StringVar(&o.html, "html", "", "also write a report with plots to this file; it needs nothing from the net")
	f.BoolVar(&o.quiet, "quiet", false, "no progress")
	f.BoolVar(&o.list, "list", false, "list the scenarios and the strategies with their configurations")
	if err := f.Parse(args); err != nil {
		return err
	}
	return o.check(f.Args())
}

// check reports everything that is wrong at once.
func (o *options) check(rest []string) error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if len(rest) > 0 {
		bad("%q is not a flag; lists are separated by commas, without spaces", rest[0])
	}
	if o.all {
		o.scenario = "all"
	}
	var err error
	if o.scenarios, err = world.Find(o.scenario); err != nil {
		bad("-scenario: %w", err)
	}
	if o.protocol != "http" && o.protocol != "grpc" {
		bad("-protocol is %q; it must be http or grpc", o.protocol)
	} else {
		names := strings.Split(o.strategy, ",")
		if o.strategy == "all" {
			names = ways.Names(o.protocol)
		}
		var unknown []string
		if o.strategies, unknown = ways.Find(o.protocol, names); len(unknown) > 0 {
			bad("-strategy: over %s there is no %s; there are %s", o.protocol, strings.Join(unknown, ", "), strings.Join(ways.Names(o.protocol), ", "))
		}
	}
	if o.members < 2 || o.members > 200 {
		bad("-members is %d; it must be within 2 and 200", o.members)
	}
	if !(o.capacity >= 10 && o.capacity <= 5000) {
		bad("-capacity is %v; it must be within 10 and 5000", o.capacity)
	}
	if !(o.load > 0 && o.load <= 2) {
		bad("-load is %v; it must be above 0 and at most 2", o.load)
	}
	if o.warm < 2*time.Second || o.warm > 10*time.Minute {
		bad("-warm is %v; it must be within 2s and 10m", o.warm)
	}
	if !(o.scale >= .2 && o.scale <= 20) {
		bad("-scale is %v; it must be within 0.2 and 20", o.scale)
	}
	return errors.Join(faults...)
}

// plan is a scenario as the flags have it.
func (o *options) plan(s world.Scenario) world.Plan {
	return world.Plan{
		Scenario: s.Scaled(o.scale), Members: o.members, Capacity: o.capacity,
		Load: o.load, Onset: o.warm, Seed: o.seed,
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	if err := o.parse(args, stderr); err != nil {
		return err
	}
	if o.list {
		list(stdout)
		return nil
	}
	var plans []world.Plan
	for _, s := range o.scenarios {
		plans = append(plans, o.plan(s))
	}
	var file *os.File
	if o.html != "" { // now, and not when all is over
		var err error
		if file, err = os.Create(o.html); err != nil {
			return err
		}
	}
	reports, err := o.incidents(ctx, plans, stdout, newProgress(stderr, plans, o.quiet))
	if file != nil {
		err = errors.Join(err, page(file, reports, o.strategies), file.Close())
	}
	return err
}

// incidents runs the scenarios one after the other, and tells of each. With an error
// it returns those that are over.
func (o *options) incidents(ctx context.Context, plans []world.Plan, stdout io.Writer, p *progress) (reports []Report, err error) {
	for i := range plans {
		r, err := incident(ctx, &plans[i], o.protocol, o.strategies, p)
		if err != nil {
			return reports, err
		}
		p.next()
		reports = append(reports, *r)
		if o.json {
			err = json.NewEncoder(stdout).Encode(r)
		} else {
			err = r.table(stdout)
		}
		if err != nil {
			return reports, err
		}
	}
	return reports, nil
}
