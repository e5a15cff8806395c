// Command gossipcost measures what the coordination costs and how fast it is: bytes,
// packets and processor time a member, the time from a fault to the members acting on
// it, and how long it takes to join and to come back.
//
// All members run in this process, each with its own gossip node over real sockets of
// loopback. What they call are functions and no servers, so that what is measured is the
// coordination.
//
//	go run ./gossipcost -n 10,30,60,100
//
// More members than one machine can run are for virtual time; see TestVirtual.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"github.com/murmuration-go/murmuration/internal/links"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "gossipcost:", err)
		os.Exit(1)
	}
}

// settings are what the flags say.
type settings struct {
	sizes  []int
	window time.Duration
	settle time.Duration
	runs   int     // of onset
	joins  int     // each way
	rate   float64 // calls a second of a member to a service
	json   bool
}

func defaults() settings {
	return settings{window: 10 * time.Second, settle: 6 * time.Second, runs: 10, joins: 3, rate: 4}
}

func (s *settings) parse(args []string, stderr io.Writer) error {
	f := flag.NewFlagSet("gossipcost", flag.ContinueOnError)
	f.SetOutput(stderr)
	sizes := f.String("n", "10,30,60,100", "numbers of members, each 4 to 200")
	f.DurationVar(&s.window, "window", s.window, "how long each load is measured")
	f.DurationVar(&s.settle, "settle", s.settle, "how long each load is on before that")
	f.IntVar(&s.runs, "runs", s.runs, "faults whose onset is measured, for each number of members; 0 is none")
	f.IntVar(&s.joins, "joins", s.joins, "members that join, and that crash and come back, likewise")
	f.Float64Var(&s.rate, "rate", s.rate, "calls a second of each member to each active service")
	f.BoolVar(&s.json, "json", false, "print one JSON object instead of tables")
	if err := f.Parse(args); err != nil {
		return err
	}
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if f.NArg() > 0 {
		bad("%q is not a flag; lists are separated by commas, without spaces", f.Arg(0))
	}
	for part := range strings.SplitSeq(*sizes, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 4 || n > 200 {
			bad("-n has %q; numbers of members are within 4 and 200", part)
		}
		s.sizes = append(s.sizes, n)
	}
	if s.window < time.Second || s.window > 10*time.Minute {
		bad("-window is %v; it must be within 1s and 10m", s.window)
	}
	if s.settle < time.Second || s.settle > 10*time.Minute {
		bad("-settle is %v; it must be within 1s and 10m", s.settle)
	}
	if s.runs < 0 || s.runs > 1000 {
		bad("-runs is %d; it must be within 0 and 1000", s.runs)
	}
	if s.joins < 0 || s.joins > 1000 {
		bad("-joins is %d; it must be within 0 and 1000", s.joins)
	}
	if !(s.rate >= .1 && s.rate <= 1000) {
		bad("-rate is %v; it must be within 0.1 and 1000", s.rate)
	}
	return errors.Join(faults...)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s := defaults()
	if err := s.parse(args, stderr); err != nil {
		return err
	}
	var r report
	for _, n := range s.sizes {
		l := lab{settings: s, open: links.Sockets, addr: func(int) string { return "127.0.0.1:0" }, cpu: processor, note: func(format string, args ...any) {
			fmt.Fprintf(stderr, "%d members: %s\n", n, fmt.Sprintf(format, args...))
		}}
		if err := l.measure(ctx, n, &r); err != nil {
			return err
		}
	}
	if s.json {
		return r.json(stdout)
	}
	return r.table(stdout)
}
