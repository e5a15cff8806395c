package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/murmuration-go/murmuration/benchmarks/incident/internal/ways"
	"github.com/murmuration-go/murmuration/benchmarks/incident/internal/world"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestIncident runs two incidents for real, side by side. It asserts ratios, no times.
func TestIncident(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	for _, x := range []struct {
		id    string
		after time.Duration // for how long one looks on after the fault
		check func(t *testing.T, us *Result, others []Result)
	}{
		{"S1", 15 * sec, wins},
		{"S2", 10 * sec, notTheWorst},
	} {
		t.Run(x.id, func(t *testing.T) {
			t.Parallel()
			l, err := world.Find(x.id)
			if err != nil {
				t.Fatal(err)
			}
			o := options{members: 20, capacity: 150, load: .8, warm: 4 * sec, seed: 1, scale: 1}
			p := o.plan(l[0])
			p.After = x.after
			strategies, _ := ways.Find("http", ways.Names("http"))
			r, err := incident(t.Context(), &p, "http", strategies, newProgress(os.Stderr, []world.Plan{p}, false))
			if err != nil {
				t.Fatal(err)
			}
			var told strings.Builder
			_ = r.table(&told)
			t.Log(told.String())
			if r.Invalid != "" {
				t.Skip(r.Invalid)
			}
			var us Result
			var others []Result
			for _, x := range r.Results {
				if x.Calls != r.Results[0].Calls {
					t.Errorf("%s was called %d times, %s %d times", x.Strategy, x.Calls, r.Results[0].Strategy, r.Results[0].Calls)
				}
				if isOurs(x.Strategy) {
					us = x
				} else {
					others = append(others, x)
				}
			}
			x.check(t, &us, others)
		})
	}
}

// How far apart two runs of the same thing may be.
const (
	spreadGoodput  = .03
	spreadRecovery = 1.
)

// wins: nobody is better than ours by more than the spread, and none of those that have
// no breaker come near.
func wins(t *testing.T, us *Result, others []Result) {
	for _, x := range others {
		spread := spreadGoodput
		if x.Strategy != "gobreaker" && x.Strategy != "failsafe" {
			spread = -.1
		}
		if x.Goodput > us.Goodput+spread {
			t.Errorf("%s has a goodput of %v, ours %v", x.Strategy, x.Goodput, us.Goodput)
		}
		if never(x.Recovery) < never(us.Recovery)-spreadRecovery {
			t.Errorf("%s recovers after %v, ours after %v", x.Strategy, seconds(x.Recovery), seconds(us.Recovery))
		}
	}
	if us.Recovery == nil || us.Amplification >= 1 {
		t.Errorf("ours recovers after %v, amplification %v", seconds(us.Recovery), us.Amplification)
	}
}

func notTheWorst(t *testing.T, us *Result, others []Result) {
	for _, x := range others {
		if x.Goodput <= us.Goodput {
			return
		}
	}
	t.Errorf("ours has the lowest goodput, %v", us.Goodput)
}

// TestBadFlags: all of them are told at once, and nothing is run.
func TestBadFlags(t *testing.T) {
	err := run(t.Context(), []string{
		"-scenario", "S1,S99", "-strategy", "none,prayer", "-members", "1", "-capacity", "0", "-load", "9",
		"-warm", "1s", "-scale", "0", "-protocol", "http", "S1",
	}, io.Discard, io.Discard)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, flag := range []string{"-scenario", "S99", "-strategy", "prayer", "-members", "-capacity", "-load", "-warm", "-scale", `"S1" is not a flag`} {
		if !strings.Contains(err.Error(), flag) {
			t.Errorf("%s is not named in: %v", flag, err)
		}
	}
	if err := run(t.Context(), []string{"-protocol", "carrier-pigeon"}, io.Discard, io.Discard); err == nil {
		t.Error("the protocol is accepted")
	}
	var b bytes.Buffer
	if err := run(t.Context(), []string{"-list"}, &b, io.Discard); err != nil || !strings.Contains(b.String(), "F2-70t") || !strings.Contains(b.String(), "grpc-throttle") {
		t.Errorf("the list is %q, %v", b.String(), err)
	}
}

// TestOutput: JSON and the page come of one command, over gRPC.
func TestOutput(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	t.Parallel()
	html := filepath.Join(t.TempDir(), "report.html")
	var out, told bytes.Buffer
	args := []string{
		"-json", "-scenario", "F1r,S10", "-protocol", "grpc", "-strategy", "none," + ways.OursRPC, "-members", "4",
		"-capacity", "40", "-warm", "2s", "-scale", ".2", "-html", html,
	}
	if err := run(t.Context(), args, &out, &told); err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(&out)
	for _, id := range []string{"F1r", "S10"} {
		var r map[string]any
		if err := d.Decode(&r); err != nil || r["scenario"] != id {
			t.Fatalf("the object is %v, %v", r, err)
		}
		results := r["results"].([]any)
		if len(results) != 2 {
			t.Fatalf("%d results", len(results))
		}
		for _, field := range []string{"goodput", "amplification", "attempts_down", "recovery_s", "peak", "refused", "p50_ms", "p99_ms", "p999_ms", "series_ok", "series_arrived", "series_open"} {
			if _, ok := results[1].(map[string]any)[field]; !ok {
				t.Errorf("no %s", field)
			}
		}
	}
	if b, err := os.ReadFile(html); err != nil || !bytes.Contains(b, []byte("zone A refuses")) {
		t.Errorf("no page: %v", err)
	} else if !bytes.Contains(b, []byte("all times x 0.2")) {
		t.Error("the page does not say how it was scaled")
	}
	if !strings.Contains(told.String(), "left") {
		t.Errorf("progress tells no time left: %q", told.String())
	}
}
