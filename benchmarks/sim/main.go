// Command sim runs incidents in the simulator, the shipped coordination core
// beside the ways in which services are called without it, on the same arrivals.
//
//	go run ./sim -scenario S1,S3 -n 10,100,1000 -seeds 3 -policy all
//
// Flags that take lists run every combination. Progress goes to standard error.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/murmuration-go/murmuration/benchmarks/internal/peers"
	"github.com/murmuration-go/murmuration/internal/ledger"
	"github.com/murmuration-go/murmuration/internal/sim"
	"github.com/murmuration-go/murmuration/internal/sim/scenario"
)

func main() {
	switch err := run(os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "sim:", err)
		os.Exit(1)
	}
}

// options are the command's flags.
type options struct {
	scenarios, policies, faults, sizes, rhos, capacities, timeouts string

	seeds, workers     int
	seed               uint64
	json, markdown     bool
	quiet, list, trace bool
}

func (o *options) parse(args []string, stderr io.Writer) error {
	f := flag.NewFlagSet("sim", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.scenarios, "scenario", "S1", "scenarios: names, or all; S9r stands for all S9r-...")
	f.StringVar(&o.sizes, "n", "10,100,1000", "numbers of members")
	f.StringVar(&o.policies, "policy", "all", "policies: names, or all; murmuration/0.3 sets the retry ratio, murmuration/no-loans lends nothing")
	f.StringVar(&o.faults, "fault", "none", "faults to combine with each scenario; loss+churn is both at once")
	f.StringVar(&o.rhos, "rho", "0.8", "loads, as shares of the capacity")
	f.StringVar(&o.capacities, "capacity", "1000", "capacities, in requests a second")
	f.StringVar(&o.timeouts, "timeout", "1s", "attempt timeouts")
	f.IntVar(&o.seeds, "seeds", 3, "runs of each combination, with as many seeds")
	f.Uint64Var(&o.seed, "seed", 1, "the first seed")
	f.IntVar(&o.workers, "workers", runtime.GOMAXPROCS(0), "runs at a time")
	f.BoolVar(&o.json, "json", false, "print a JSON object a run")
	f.BoolVar(&o.markdown, "markdown", false, "print tables of goodput and recovery, policies side by side")
	f.BoolVar(&o.quiet, "quiet", false, "no progress")
	f.BoolVar(&o.list, "list", false, "list the scenarios, policies and faults")
	f.BoolVar(&o.trace, "trace", false, "print what happens instead; for one run")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("%q is not a flag; lists are separated by commas, without spaces", f.Arg(0))
	}
	if o.seeds < 1 || o.workers < 1 {
		return errors.New("-seeds and -workers must be at least 1")
	}
	return nil
}

func run(args []string, stdout, stderr io.Writer) error {
	var o options
	if err := o.parse(args, stderr); err != nil {
		return err
	}
	if o.list {
		list(stdout)
		return nil
	}
	jobs, err := o.jobs()
	if err != nil {
		return err
	}
	if o.trace {
		if len(jobs) != 1 {
			return fmt.Errorf("-trace is for one run; these flags ask for %d", len(jobs))
		}
		w := bufio.NewWriter(stdout)
		jobs[0].params.Trace = w
		jobs[0].scenario.Run(jobs[0].params)
		return w.Flush()
	}
	p := newProgress(stderr, len(jobs), o.quiet)
	var out output
	switch {
	case o.json:
		out = &lines{w: stdout}
	case o.markdown:
		out = &matrix{w: stdout, seeds: o.seeds}
	default:
		out = &table{w: stdout, seeds: o.seeds}
	}
	if err := runAll(jobs, o.workers, p, out); err != nil {
		return err
	}
	p.done()
	return out.end()
}

// job is one run.
type job struct {
	scenario scenario.Scenario
	params   scenario.Params
}

// jobs are all combinations of the flags; runs that differ only in the seed are
// neighbours.
func (o *options) jobs() (jobs []job, err error) {
	scenarios, err := scenario.Find(o.scenarios)
	if err != nil {
		return nil, err
	}
	policies, err := findPolicies(o.policies)
	if err != nil {
		return nil, err
	}
	var faults [][]scenario.Extra
	for set := range strings.SplitSeq(o.faults, ",") {
		if set == "none" {
			set = ""
		}
		x, err := scenario.FindExtras(strings.ReplaceAll(set, "+", ","))
		if err != nil {
			return nil, err
		}
		faults = append(faults, x)
	}
	sizes, err := parse(o.sizes, strconv.Atoi, func(n int) bool { return n >= 1 && n <= 16384 })
	if err != nil {
		return nil, fmt.Errorf("-n: %w", err)
	}
	number := func(s string) (float64, error) { return strconv.ParseFloat(s, 64) }
	rhos, err := parse(o.rhos, number, func(x float64) bool { return x > 0 && x < 10 })
	if err != nil {
		return nil, fmt.Errorf("-rho: %w", err)
	}
	capacities, err := parse(o.capacities, number, func(x float64) bool { return x >= 1 && x <= 1e6 })
	if err != nil {
		return nil, fmt.Errorf("-capacity: %w", err)
	}
	timeouts, err := parse(o.timeouts, time.ParseDuration, func(d time.Duration) bool { return d >= 10*time.Millisecond && d <= time.Minute })
	if err != nil {
		return nil, fmt.Errorf("-timeout: %w", err)
	}
	for _, s := range scenarios {
		for _, n := range sizes {
			for _, x := range faults {
				for _, rho := range rhos {
					for _, capacity := range capacities {
						for _, timeout := range timeouts {
							for _, policy := range policies {
								for i := range o.seeds {
									jobs = append(jobs, job{s, scenario.Params{
										N: n, Seed: o.seed + uint64(i), Strategy: policy, Extras: x,
										Rho: rho, Capacity: capacity, Timeout: timeout,
									}})
								}
							}
						}
					}
				}
			}
		}
	}
	return jobs, nil
}

func parse[T any](list string, one func(string) (T, error), ok func(T) bool) (l []T, err error) {
	for s := range strings.SplitSeq(list, ",") {
		v, err := one(s)
		if err != nil {
			return nil, err
		}
		if !ok(v) {
			return nil, fmt.Errorf("%s is out of range", s)
		}
		l = append(l, v)
	}
	return l, nil
}

// policies are all there are, the shipped one first.
func policies() []sim.Strategy {
	return append([]sim.Strategy{sim.Ours(sim.Options{})}, peers.All()...)
}

func findPolicies(list string) (found []sim.Strategy, err error) {
	switch list {
	case "all":
		return policies(), nil
	case "zoned":
		return append(policies()[:1], peers.Zoned()...), nil
	}
names:
	for name := range strings.SplitSeq(list, ",") {
		if name == "murmuration/no-loans" {
			found = append(found, sim.Ours(sim.Options{Name: name, NoLoans: true}))
			continue
		}
		if ratio, ok := strings.CutPrefix(name, "murmuration/"); ok {
			x, err := strconv.ParseFloat(ratio, 64)
			if err != nil || x <= 0 || x > 10 {
				return nil, fmt.Errorf("-policy: %q ends neither in a retry ratio nor in no-loans", name)
			}
			found = append(found, sim.Ours(sim.Options{Name: name, Rules: ledger.Rules{Ratio: x}}))
			continue
		}
		if name == "local" { // the shipped client without a cluster
			found = append(found, sim.Ours(sim.Options{Alone: true}))
			continue
		}
		for _, p := range append(policies(), peers.Zoned()...) {
			if p.Name == name {
				found = append(found, p)
				continue names
			}
		}
		return nil, fmt.Errorf("there is no policy %q; see -list", name)
	}
	return found, nil
}

func list(w io.Writer) {
	fmt.Fprintln(w, "scenarios")
	for _, s := range scenario.All {
		fmt.Fprintf(w, "  %-24s %s\n", s.ID, s.Title)
	}
	fmt.Fprintln(w, "scenarios with zones (all of them: zoned)")
	for _, s := range scenario.Zoned {
		fmt.Fprintf(w, "  %-24s %s\n", s.ID, s.Title)
	}
	fmt.Fprintln(w, "policies (all of them: all)")
	for _, p := range policies() {
		fmt.Fprintf(w, "  %s\n", p.Name)
	}
	fmt.Fprintln(w, "policies for zones (all of them: zoned)")
	for _, p := range peers.Zoned() {
		fmt.Fprintf(w, "  %s\n", p.Name)
	}
	fmt.Fprintln(w, "  local  (murmuration without a cluster)")
	fmt.Fprintln(w, "faults")
	for _, x := range scenario.Extras {
		fmt.Fprintf(w, "  %-24s %s\n", x.ID, x.Title)
	}
}

// runAll runs the jobs, some at a time, and hands over the results in order.
func runAll(jobs []job, workers int, p *progress, out output) error {
	results := make([]scenario.Result, len(jobs))
	ready := make([]bool, len(jobs))
	var (
		mu     sync.Mutex
		wg     sync.WaitGroup
		next   int
		told   int
		failed error
	)
	for range workers {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				stop := failed != nil
				mu.Unlock()
				if i >= len(jobs) || stop {
					return
				}
				r := jobs[i].scenario.Run(jobs[i].params)
				mu.Lock()
				results[i], ready[i] = r, true
				p.step(r)
				for ; told < len(jobs) && ready[told]; told++ {
					if err := out.result(results[told]); err != nil {
						failed = err
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return failed
}
