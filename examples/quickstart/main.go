// Command quickstart shows a fleet surviving an incident, and what happens to
// fleets that do not act as one.
//
// Twelve members call a real HTTP server over real sockets. The server has a
// finite capacity and a deep queue, and at 8 s it stalls for 6 s. The same
// traffic goes four ways side by side, each with a server of its own: plain
// retries, retries with a gobreaker in each client (with its defaults, and with
// a short open time and our own trip rule), and through Murmuration, whose
// members form a real gossip cluster on loopback.
//
//	go run ./examples/quickstart
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
	"sync"
	"text/tabwriter"
	"time"

	"github.com/sony/gobreaker/v2"
)

const ours = "murmuration"

func main() {
	s := settings{}
	flag.IntVar(&s.members, "members", 12, "clients of each kind")
	flag.DurationVar(&s.duration, "duration", 45*time.Second, "how long to run; calls are made until 5 s before the end")
	flag.DurationVar(&s.stall, "stall", 6*time.Second, "how long the server stalls")
	flag.Float64Var(&s.capacity, "capacity", 80, "requests a second that each server can take")
	flag.Float64Var(&s.load, "load", .8, "first tries, as a share of the capacity")
	flag.Uint64Var(&s.seed, "seed", 1, "fixes the traffic")
	asJSON := flag.Bool("json", false, "print one JSON object instead of a table")
	kinds := flag.String("chaos", "", "in mid-incident, to the cluster: kill-member, kill-steward, join (comma-separated)")
	flag.Parse()
	if *kinds != "" {
		s.chaos = strings.Split(*kinds, ",")
	}
	s.stallAt = 8 * time.Second

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	results, err := incident(ctx, s, newProgress(os.Stderr))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
	if *asJSON {
		_ = json.NewEncoder(os.Stdout).Encode(map[string]any{
			"scenario": "stall", "members": s.members, "seed": s.seed,
			"stall_s": s.stall.Seconds(), "duration_s": s.duration.Seconds(),
			"capacity": s.capacity, "load": s.load, "runs": results,
		})
		return
	}
	table(os.Stdout, results, s)
}

func (s settings) check() error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if s.members < 1 || s.members > 200 {
		bad("-members is %d; it must be within 1 and 200", s.members)
	}
	if s.stall <= 0 {
		bad("-stall is %v; it must be above 0", s.stall)
	}
	if least := s.stallAt + s.stall + 11*time.Second; s.duration < least {
		bad("-duration is %v; a stall of %v at %v and a look at what follows need at least %v", s.duration, s.stall, s.stallAt, least)
	}
	if !(s.capacity >= 1 && s.capacity <= 5000) {
		bad("-capacity is %v; it must be within 1 and 5000", s.capacity)
	}
	if !(s.load > 0 && s.load <= 2) {
		bad("-load is %v; it must be above 0 and at most 2", s.load)
	}
	return errors.Join(append(faults, checkChaos(s.chaos))...)
}

// incident runs all ways of calling side by side.
func incident(ctx context.Context, s settings, p *progress) ([]result, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	var seeds []string
	plain := func(b func() *gobreaker.Settings) func(context.Context, string, *tally) (client, error) {
		return func(_ context.Context, url string, t *tally) (client, error) {
			if b == nil {
				return newAlone(url, t, nil), nil
			}
			return newAlone(url, t, b()), nil
		}
	}
	runs := []*run{
		{name: "retries", make: plain(nil)},
		{name: "gobreaker, default", make: plain(func() *gobreaker.Settings { return &gobreaker.Settings{} })},
		{name: "gobreaker 10s, our rule", make: plain(ourRule)},
		{name: ours, make: func(ctx context.Context, url string, t *tally) (client, error) {
			c, err := newTogether(ctx, url, seeds, t)
			if err == nil && len(seeds) < 3 {
				seeds = append(seeds, c.cluster.Addr())
			}
			return c, err
		}},
	}
	start := time.Now().Add(time.Second + time.Duration(s.members)*50*time.Millisecond)
	defer func() {
		for _, r := range runs {
			r.close()
		}
	}()
	for _, r := range runs {
		if err := r.prepare(ctx, s, start); err != nil {
			return nil, err
		}
	}
	p.note("%d members, %.0f of %.0f requests a second; the server stalls at %v for %v", s.members, s.load*s.capacity, s.capacity, s.stallAt, s.stall)

	var drivers, calls sync.WaitGroup
	for _, r := range runs {
		for m := range s.members {
			drivers.Go(func() { r.drive(ctx, start, m, arrivals(s, m), &calls) })
		}
	}
	together := runs[len(runs)-1]
	drivers.Go(func() {
		chaos(ctx, together, s, start, p.note, func(m int) {
			var due []time.Duration
			for _, d := range arrivals(s, m) {
				if d > time.Since(start) {
					due = append(due, d)
				}
			}
			drivers.Go(func() { together.drive(ctx, start, m, due, &calls) })
		})
	})
	finished := make(chan struct{})
	go func() {
		drivers.Wait()
		calls.Wait()
		close(finished)
	}()
	tick := time.NewTicker(p.every)
	defer tick.Stop()
	for waiting := true; waiting; {
		select {
		case <-tick.C:
			if time.Now().After(start) {
				p.show(runs, s, start)
			}
		case <-finished:
			waiting = false
		}
	}
	p.end()
	if err := ctx.Err(); err != nil {
		return nil, errors.New("interrupted")
	}
	var results []result
	for _, r := range runs {
		results = append(results, r.result(s))
	}
	return results, nil
}

func table(w io.Writer, results []result, s settings) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tamplification\tgoodput\tattempts while stalled\trecovery\tpeak load after\tretries while dimmed\t")
	worst := 0.0
	for _, r := range results {
		rec := "never"
		if r.RecoveryS != nil {
			rec = fmt.Sprintf("%.1f s", *r.RecoveryS)
		}
		dimmed := "-"
		if r.Name == ours {
			dimmed = fmt.Sprint(r.RetriesDimmed)
		}
		fmt.Fprintf(t, "%s\t%.2f\t%.3f\t%d\t%s\t%.2f\t%s\t\n", r.Name, r.Amplification, r.Goodput, r.AttemptsDown, rec, r.Peak, dimmed)
		worst = max(worst, r.LateMS)
	}
	_ = t.Flush()
	if us := results[len(results)-1]; us.Name == ours {
		fmt.Fprintf(w, "\n%d calls were refused or denied a retry by %s; the errors of all but %d say who decided, on what evidence, and\nhow old that was, and so do all but %d of their %d spans.\n",
			us.Refused, us.Name, us.Unexplained, us.UnexplainedSpans, us.RefusedSpans)
	}
	fmt.Fprintf(w, "\namplification: requests per first try, from the stall to 10 s after it; goodput: first tries that succeeded, from\n"+
		"the stall to the end; recovery: from the end of the stall until 97 %% succeed for 5 s; peak load: over the capacity.\n"+
		"seed %d; calls were made at most %.0f ms late.\n", s.seed, worst)
}
