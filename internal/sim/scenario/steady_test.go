package scenario

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

func TestSteadyQ(t *testing.T) {
	req, _ := strconv.Atoi(os.Getenv("REQ"))
	if req == 0 {
		t.Skip()
	}
	per, _ := strconv.ParseFloat(os.Getenv("PER"), 64)
	share, _ := strconv.ParseFloat(os.Getenv("SHARE"), 64)
	for _, n := range []int{3, 10, 100, 1000} {
		for _, how := range []sim.Fate{sim.Rejected, sim.Swallowed} {
			start := time.Now()
			s := Steady{N: n, Seed: 1, Load: per * float64(n), Share: share, How: how, Requests: req}
			r := s.Run()
			t.Logf("n=%d how %d %+v  %.1fs", n, how, r, time.Since(start).Seconds())
		}
	}
}
