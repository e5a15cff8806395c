package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shortened is the incident in less time.
var shortened = settings{
	members: 12, duration: 36 * time.Second, stallAt: 4 * time.Second, stall: 6 * time.Second,
	capacity: 80, load: .8, seed: 1,
}

// TestIncident runs the incident for real, once as it is and once with crashes
// and a joiner in the middle of it. It asserts counts and ratios, not times.
func TestIncident(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 37 seconds")
	}
	for _, chaos := range [][]string{nil, {"kill-member", "kill-steward", "join"}} {
		t.Run(fmt.Sprint(chaos), func(t *testing.T) {
			t.Parallel()
			s := shortened
			s.chaos = chaos
			results, err := incident(t.Context(), s, &progress{w: os.Stderr, every: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			plain, us := results[0], results[len(results)-1]
			t.Logf("%+v", results)
			if us.Amplification > 1.05 {
				t.Errorf("amplification %v", us.Amplification)
			}
			if us.RetriesDimmed != 0 {
				t.Errorf("%d retries while dimmed", us.RetriesDimmed)
			}
			if us.Refused == 0 || us.Unexplained != 0 {
				t.Errorf("of %d refused calls %d do not say why", us.Refused, us.Unexplained)
			}
			if us.RefusedSpans != us.Refused || us.UnexplainedSpans != 0 {
				t.Errorf("of %d refused calls there are %d spans, and %d do not say why", us.Refused, us.RefusedSpans, us.UnexplainedSpans)
			}
			if 4*us.AttemptsDown > plain.AttemptsDown {
				t.Errorf("%d attempts reached the stalled server, of plain retries %d", us.AttemptsDown, plain.AttemptsDown)
			}
			if us.LateMS > starved {
				t.Logf("calls were made up to %.0f ms late: this machine is too busy to compare goodput", us.LateMS)
				return
			}
			if us.RecoveryS == nil || us.Goodput <= plain.Goodput || us.Goodput <= results[1].Goodput {
				t.Errorf("goodput %v (plain retries %v, default breaker %v), recovery %v", us.Goodput, plain.Goodput, results[1].Goodput, us.RecoveryS)
			}
		})
	}
}

// starved is how late calls may be made, in milliseconds, for goodput to mean
// anything.
const starved = 150

func TestSettings(t *testing.T) {
	bad := settings{members: 0, stall: -1, capacity: 0, load: 9, chaos: []string{"kill-all"}}
	err := bad.check()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, flag := range []string{"-members", "-stall", "-duration", "-capacity", "-load", "-chaos"} {
		if !strings.Contains(err.Error(), flag) {
			t.Errorf("%s is not named in: %v", flag, err)
		}
	}
	if err := shortened.check(); err != nil {
		t.Error(err)
	}
}

// TestSameSeedSameTraffic: the seed fixes what is called when.
func TestSameSeedSameTraffic(t *testing.T) {
	a, b := arrivals(shortened, 3), arrivals(shortened, 3)
	if !slices.Equal(a, b) || len(a) == 0 {
		t.Errorf("%d and %d calls", len(a), len(b))
	}
	other := shortened
	other.seed = 2
	if slices.Equal(a, arrivals(other, 3)) {
		t.Error("another seed gives the same traffic")
	}
}

// BenchmarkOnset measures how long it takes from the stall to the last of the
// members acting on it. The attempt timeout, 1 s, is the largest part: before
// it there is nothing to see.
//
//	go test -run '^$' -bench Onset -benchtime 10x ./examples/quickstart
func BenchmarkOnset(b *testing.B) {
	var took []float64
	for b.Loop() {
		took = append(took, onset(b).Seconds())
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2], "s-median")
	b.ReportMetric(took[len(took)-1], "s-worst")
	b.ReportMetric(0, "ns/op")
	b.Logf("from the stall to the last of %d members, in seconds: %.2f", shortened.members, took)
}

func onset(b *testing.B) time.Duration {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	s := shortened
	s.seed = uint64(b.N)
	start := time.Now().Add(time.Second)
	var seeds []string
	r := &run{name: ours, make: func(ctx context.Context, url string, t *tally) (client, error) {
		c, err := newTogether(ctx, url, seeds, t)
		if err == nil && len(seeds) < 3 {
			seeds = append(seeds, c.cluster.Addr())
		}
		return c, err
	}}
	if err := r.prepare(ctx, s, start); err != nil {
		b.Fatal(err)
	}
	defer r.close()
	var drivers, calls sync.WaitGroup
	defer calls.Wait()
	defer drivers.Wait()
	defer cancel()
	for m := range s.members {
		drivers.Go(func() { r.drive(ctx, start, m, arrivals(s, m), &calls) })
	}
	acting := make([]bool, s.members)
	for left := s.members; left > 0; {
		time.Sleep(2 * time.Millisecond)
		if time.Since(start) > s.stallAt+s.stall {
			b.Fatalf("%d members do not act", left)
		}
		for i, c := range r.clients {
			if !acting[i] && c.dimmer() < 1 {
				acting[i] = true
				left--
			}
		}
	}
	return time.Since(start.Add(s.stallAt))
}
