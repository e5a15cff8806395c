// Command soak has a real fleet at work while faults befall it by chance, and watches
// that what Murmuration promises holds.
//
// Members, each with its own gossip node over real sockets and with clients over HTTP and
// gRPC, call servers in two zones through proxies. Connections become slow, stall and
// break, servers fail, packets of the gossip are lost, late, repeated and cut off, members
// crash, come and go, all are restarted one by one, keys are replaced, and operators
// overrule the cluster. The seed fixes what happens, in which order and for how long.
//
//	go run ./soak -for 30m
//
// It prints progress, then a summary, and exits with 1 if any promise was broken, with
// the seed and the time. All of it stays on loopback.
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
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// settings are what the flags say.
type settings struct {
	last    time.Duration
	seed    uint64
	members int
	rate    float64 // calls a second of each member, of either kind
	json    bool
	every   time.Duration // between two lines of progress
}

func (s *settings) parse(args []string, stderr io.Writer) error {
	f := flag.NewFlagSet("soak", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.DurationVar(&s.last, "for", 30*time.Minute, "how long faults happen; recovering and closing takes some seconds more, two minutes at most")
	f.Uint64Var(&s.seed, "seed", 1, "fixes the faults")
	f.IntVar(&s.members, "members", 8, "members of the fleet, in both zones together")
	f.Float64Var(&s.rate, "rate", 10, "calls a second of each member over HTTP, and as many over gRPC")
	f.BoolVar(&s.json, "json", false, "print the summary as one JSON object")
	if err := f.Parse(args); err != nil {
		return err
	}
	s.every = 10 * time.Second
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if f.NArg() > 0 {
		bad("%q is not a flag", f.Arg(0))
	}
	if s.last < 10*time.Second || s.last > 12*time.Hour { // each revocation is kept for a day, and there is room for 256
		bad("-for is %v; it must be within 10s and 12h", s.last)
	}
	if s.members < 4 || s.members > 50 {
		bad("-members is %d; it must be within 4 and 50", s.members)
	}
	if !(s.rate >= 1 && s.rate <= 200) {
		bad("-rate is %v; it must be within 1 and 200", s.rate)
	}
	return errors.Join(faults...)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var s settings
	if err := s.parse(args, stderr); err != nil {
		return err
	}
	sum, err := soak(ctx, s, stderr)
	if sum == nil {
		return err
	}
	tell := sum.print // also when it was interrupted
	if s.json {
		tell = func(w io.Writer) error { return json.NewEncoder(w).Encode(sum) }
	}
	err = errors.Join(err, tell(stdout))
	if n := sum.Broken; n > 0 {
		v := sum.Violations[0]
		err = errors.Join(err, fmt.Errorf("%d violations with seed %d, the first at %.1f s: %s", n, s.seed, v.At, v.What))
	}
	return err
}
