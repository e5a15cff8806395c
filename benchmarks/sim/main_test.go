package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
)

func output1(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(append(args, "-quiet"), &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestJSON: an object a run, with the fields that programs rely on.
func TestJSON(t *testing.T) {
	out := output1(t, "-json", "-scenario", "S1", "-n", "5,10", "-seeds", "2", "-policy", "murmuration,no retries,backoff")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 2*2*3 {
		t.Fatalf("%d lines, want 12", len(lines))
	}
	never := false
	for _, l := range lines {
		var o map[string]any
		if err := json.Unmarshal([]byte(l), &o); err != nil {
			t.Fatal(err)
		}
		for _, field := range []string{"scenario", "n", "seed", "policy", "amplification", "peak", "goodput", "recovery_s", "attempts_down", "trips"} {
			if _, ok := o[field]; !ok {
				t.Errorf("no %s in %s", field, l)
			}
		}
		never = never || o["policy"] == "backoff" && o["recovery_s"] == nil
	}
	if !never {
		t.Error("retries without a budget recover from S1; they are not to")
	}
}

// TestSameSeedSameOutput: whatever runs beside it.
func TestSameSeedSameOutput(t *testing.T) {
	args := []string{"-json", "-scenario", "S3,S9-well", "-n", "10", "-seeds", "2", "-policy", "all", "-fault", "none,loss+churn"}
	one := output1(t, append(args, "-workers", "1")...)
	if many := output1(t, append(args, "-workers", "4")...); one != many {
		t.Error("the same flags give different results with four workers")
	}
}

func TestTables(t *testing.T) {
	args := []string{"-scenario", "S1", "-n", "5", "-seeds", "1", "-policy", "murmuration/0.3,local,grpc a6", "-rho", "0.5,0.8", "-timeout", "500ms"}
	if out := output1(t, args...); !strings.Contains(out, "S1, 5 members, load 0.5 of 1000/s, timeout 0.5s") || !strings.Contains(out, "murmuration/0.3") {
		t.Errorf("the table is\n%s", out)
	}
	if out := output1(t, append(args, "-markdown")...); !strings.Contains(out, "| scenario, members | murmuration/0.3 | local | grpc a6 |") {
		t.Errorf("the table is\n%s", out)
	}
	if out := output1(t, "-list"); !strings.Contains(out, "S11r") || !strings.Contains(out, "crash-steward") {
		t.Errorf("the list is\n%s", out)
	}
	if out := output1(t, "-trace", "-scenario", "S1", "-n", "5", "-seeds", "1", "-policy", "murmuration"); !strings.Contains(out, "decides on svc/a: dim") {
		t.Error("the trace tells of no decision")
	}
}

func TestBadFlags(t *testing.T) {
	for _, args := range [][]string{
		{"-scenario", "S99"}, {"-policy", "prayer"}, {"-fault", "gremlins"}, {"-n", "0"}, {"-n", "ten"}, {"-rho", "0"},
		{"-timeout", "1"}, {"-capacity", "-3"}, {"-seeds", "0"}, {"S1"}, {"-trace", "-n", "1,2"}, {"-policy", "murmuration/x"},
	} {
		if err := run(append(args, "-quiet"), io.Discard, io.Discard); err == nil {
			t.Errorf("%v are taken", args)
		}
	}
}
