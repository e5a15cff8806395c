package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/murmuration-go/murmuration/internal/links/virtual"
	"github.com/murmuration-go/murmuration/internal/race"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFlags(t *testing.T) {
	err := run(t.Context(), strings.Fields("-n 3,x -window 0s -settle 1h -runs -1 -joins -1 -rate 0 more"), io.Discard, io.Discard)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{`"3"`, `"x"`, "-window", "-settle", "-runs", "-joins", "-rate", `"more"`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s is not named in: %v", part, err)
		}
	}
	if err := run(t.Context(), []string{"-h"}, io.Discard, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
}

// TestReal measures a small fleet over sockets.
func TestReal(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), strings.Fields("-n 4 -window 1s -settle 2s -runs 0 -joins 1 -json"), &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal([]byte(out.String()), &r); err != nil {
		t.Fatal(err)
	}
	loads := map[string]cost{}
	for _, c := range r.Costs {
		loads[c.Load] = c
		if c.Virtual || c.Members != 4 || c.Packets <= 0 || c.CPU == nil || *c.CPU <= 0 {
			t.Errorf("%+v", c)
		}
	}
	if quiet, busy := loads[idle], loads[five]; len(loads) != 5 || busy.Bytes < 2*quiet.Bytes || loads[alone].Bytes > busy.Bytes/2 {
		t.Errorf("%+v", loads)
	}
	if j := r.Joins[0]; len(j.Join) != 1 || len(j.Missed) != 1 || j.Missed[0] < 1 || j.Known[0] < j.Join[0] {
		t.Errorf("%+v", j)
	}
	cut, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(cut, []string{"-n", "4"}, io.Discard, io.Discard); err == nil {
		t.Error("went on though interrupted")
	}
}

// TestVirtual measures in virtual time, where a fleet may be larger than one machine
// can run:
//
//	MEMBERS=300,1000 go test -timeout 0 -run Virtual -v ./gossipcost
//
// The members are real, memberlist included, and so are their messages; the network is
// channels that lose 1 % of the packets.
func TestVirtual(t *testing.T) {
	if race.Enabled {
		t.Skip("many timers in one bubble trouble the race detector")
	}
	sizes, ok := os.LookupEnv("MEMBERS")
	s := settings{settle: 8 * time.Second, window: 10 * time.Second, runs: 3, joins: 2, rate: 4}
	if !ok {
		sizes = "16"
	}
	var r report
	for part := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(part)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			l := lab{settings: s, open: virtual.New(1).Open, addr: func(i int) string { return fmt.Sprintf("10.0.%d.%d:7960", i/250, i%250+1) }}
			l.note = func(format string, args ...any) {
				t.Logf("%d members, %v: %s", n, time.Since(began).Round(time.Second), fmt.Sprintf(format, args...))
			}
			err := l.measure(t.Context(), n, &r)
			time.Sleep(time.Minute) // memberlist's own goroutines end by their timeouts
			if err != nil {
				t.Fatal(err)
			}
		})
	}
	var out strings.Builder
	if err := r.table(&out); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + out.String())
	base := 0.
	for _, c := range r.Costs {
		if c.Load == idle {
			base = c.Bytes
		}
		if limit := map[string]float64{five: 16e3, amiss: 24e3}[c.Load]; limit > 0 && (c.Bytes-base > limit || c.Bytes <= base) {
			t.Errorf("%d members, %s: %.0f B/s over memberlist's %.0f; at most %.0f are due", c.Members, c.Load, c.Bytes-base, base, limit)
		}
	}
}
