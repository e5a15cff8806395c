package script_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
	"github.com/murmuration-go/murmuration/internal/sim/guarantee"
	"github.com/murmuration-go/murmuration/internal/sim/script"
)

// attempt runs a script, and takes a panic for an error.
func attempt(s script.Script) (o *script.Outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return script.Run(s, script.Options{})
}

// class is what two failures have in common if they are of one kind.
func class(err error) string {
	var v *guarantee.BrokenError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &v):
		return v.Guarantee
	case strings.HasPrefix(err.Error(), "panic"):
		return "panic"
	}
	return "script"
}

// tally is what a soak has seen.
type tally struct {
	sync.Mutex
	seeds  int
	events uint64
	hours  float64
	faults map[string]int
	checks map[string]uint64
	probes float64
	calls  int

	used   map[string]float64 // retries over what is allowed, at most, by kind of budget
	loaned sim.Lending
}

func (t *tally) add(s script.Script, o *script.Outcome) {
	t.Lock()
	defer t.Unlock()
	t.seeds++
	for _, l := range s {
		t.faults[l.Name]++
	}
	if o == nil {
		return
	}
	t.events += o.Events
	t.hours += o.Elapsed.Hours()
	t.calls += o.Calls.Firsts
	t.probes = max(t.probes, o.Probes)
	t.used[o.Kind] = max(t.used[o.Kind], o.Budget.Used)
	t.loaned.Lent += o.Lending.Lent
	t.loaned.Borrowed += o.Lending.Borrowed
	t.loaned.Forged += o.Lending.Forged
	for g, n := range o.Checks {
		t.checks[g] += n
	}
}

func (t *tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d histories, %.1f hours of %d calls and %d events; at most %.2f of the probes that G5 means\n", t.seeds, t.hours, t.calls, t.events, t.probes)
	b.WriteString("retries over what the budget allows, at most:")
	for _, k := range slices.Sorted(maps.Keys(t.used)) {
		fmt.Fprintf(&b, " %s %.3f", k, t.used[k])
	}
	fmt.Fprintf(&b, "; %.1f tokens lent, %.1f promised by liars, %.1f borrowed\nlines:", t.loaned.Lent, t.loaned.Forged, t.loaned.Borrowed)
	for _, k := range slices.Sorted(maps.Keys(t.faults)) {
		fmt.Fprintf(&b, " %s %d", k, t.faults[k])
	}
	b.WriteString("\nchecks:")
	for _, g := range guarantee.Guarantees() {
		fmt.Fprintf(&b, " %s %d", g, t.checks[g])
	}
	return b.String()
}

// TestSoak runs random histories and checks all guarantees. SEEDS says how many,
// START where to begin.
func TestSoak(t *testing.T) {
	seeds, start := 150, 1
	if testing.Short() {
		seeds = 40
	}
	live := testing.Verbose()
	for name, to := range map[string]*int{"SEEDS": &seeds, "START": &start} {
		if v := os.Getenv(name); v != "" {
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 {
				t.Fatalf("%s is %q; it is to be a number above 0", name, v)
			}
			*to, live = n, true
		}
	}
	sum := &tally{faults: map[string]int{}, checks: map[string]uint64{}, used: map[string]float64{}}
	var next atomic.Int64
	next.Store(int64(start))
	var failed atomic.Int64
	enough := int64(20)
	sought := os.Getenv("MUTANT") // the guarantee that a mutant is to break
	var workers sync.WaitGroup
	began := time.Now()
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for {
				seed := uint64(next.Add(1) - 1)
				if seed >= uint64(start+seeds) || sought == "" && failed.Load() > enough {
					return
				}
				s := script.Random(seed)
				o, err := attempt(s)
				sum.add(s, o)
				if err != nil {
					failed.Add(1)
					report(t, seed, s, err)
					if class(err) == sought {
						next.Store(int64(start + seeds)) // that will do
					}
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { workers.Wait(); close(done) }()
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-tick.C:
			if n, since := int(next.Load())-start, time.Since(began); live && n > 0 {
				left := time.Duration(float64(since) / float64(n) * float64(seeds-n)).Round(time.Second)
				fmt.Fprintf(os.Stderr, "soak: %d of %d histories, %d failed, %v left\n", n, seeds, failed.Load(), max(left, 0))
			}
		}
	}
	if n := failed.Load(); sought == "" && n > enough {
		t.Errorf("given up after %d failures", n)
	}
	t.Logf("%v\n%.1f ms a history on %d processors", sum, 1000*time.Since(began).Seconds()/float64(max(sum.seeds, 1)), runtime.GOMAXPROCS(0))
}

// report shrinks a failure and says how to see it again.
func report(t *testing.T, seed uint64, s script.Script, err error) {
	budget := 400
	if os.Getenv("MUTANT") != "" {
		budget = 0
	}
	kind := class(err)
	small := script.Shrink(s, func(s script.Script) bool {
		_, err := attempt(s)
		return class(err) == kind
	}, budget)
	_, now := attempt(small)
	t.Errorf("seed %d: %v\nagain by:\n  SEEDS=1 START=%d go test -run Soak ./internal/sim/script\nthe smallest script found, with %v:\n\n%v", seed, err, seed, now, small)
}
