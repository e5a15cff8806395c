package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sum adds up what has all of these words in it.
func sum(counts map[string]int, words ...string) int {
	n := 0
	for what, k := range counts {
		fits := true
		for _, w := range words {
			fits = fits && strings.Contains(what, w)
		}
		if fits {
			n += k
		}
	}
	return n
}

// TestShow: with one of two servers stopped calls and streams go on at the other,
// and where there is none every error says so by its type.
func TestShow(t *testing.T) {
	var out strings.Builder
	got, err := show(t.Context(), io.Writer(&out), 20, 1500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(out.String())
	up, stopped, both := got.counts["both are up"], got.counts["one is stopped"], got.counts["both are stopped"]
	if sum(up, "calls answered by one") == 0 || sum(up, "calls answered by two") == 0 {
		t.Errorf("both up: %v", up)
	}
	if ok, failed := sum(stopped, "calls answered"), sum(stopped, "calls failed"); ok < 20 || failed > ok/5 {
		t.Errorf("one stopped: %d calls were answered, %d failed", ok, failed)
	}
	if sum(stopped, "sent whole by two") == 0 {
		t.Errorf("one stopped: no stream was sent whole: %v", stopped)
	}
	typed := sum(both, "calls failed: *retry.Error") + sum(both, "calls failed: *breaker.OpenError")
	if typed == 0 || typed != sum(both, "calls failed") {
		t.Errorf("both stopped: %v", both)
	}
}

func TestRate(t *testing.T) {
	if _, err := show(t.Context(), io.Discard, 0, time.Second); err == nil || !strings.Contains(err.Error(), "-rate") {
		t.Errorf("got %v", err)
	}
}
