package scenario

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// requests is how many virtual requests the tests of steady states take each:
// REQUESTS, say 1e8, or enough for a quick look.
func requests(t *testing.T, otherwise int) int {
	s := os.Getenv("REQUESTS")
	if s == "" {
		if testing.Short() {
			return otherwise / 10
		}
		return otherwise
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || n < 1 || n > 1e10 {
		t.Fatalf("REQUESTS is %q; it must be a number, such as 1e8", s)
	}
	return int(n)
}

// shows reports progress of a long run.
func shows(name string) func(float64) {
	if os.Getenv("REQUESTS") == "" {
		return nil
	}
	began, told := time.Now(), time.Now()
	return func(done float64) {
		if time.Since(told) > 20*time.Second {
			told = time.Now()
			left := time.Duration(float64(time.Since(began)) * (1 - done) / done)
			fmt.Fprintf(os.Stderr, "%s: %.0f %%, about %v left\n", name, 100*done, left.Round(time.Second))
		}
	}
}

// TestFewErrorsNeverTrip is S7 at length: a service with 5 % errors, fast or
// slow, is neither dimmed nor refused a retry.
func TestFewErrorsNeverTrip(t *testing.T) {
	n := requests(t, 1_000_000)
	for _, members := range []int{10, 100, 1000} {
		for _, how := range []sim.Fate{sim.Rejected, sim.Swallowed} {
			name := fmt.Sprintf("%d members, %v", members, how)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := Steady{N: members, Seed: 7, Load: 100 * float64(members), Share: .05, How: how, Requests: n / 2, Progress: shows(name)}
				r := s.Run()
				t.Logf("%d requests in %v: %d trips, %d times not-load, goodput %.3f", r.Requests, r.Virtual.Round(time.Second), r.Trips, r.NotLoad, r.Goodput)
				if r.Trips > 0 || r.NotLoad > 0 {
					t.Errorf("dimmed %d times, retries limited %d times", r.Trips, r.NotLoad)
				}
			})
		}
	}
}

// TestErrorFloor: a steady 15 % of errors never dims, and limits retries for at
// most 1 % of the time, down to a call a second and member and less.
func TestErrorFloor(t *testing.T) {
	n := requests(t, 200_000)
	for _, members := range []int{3, 10, 100, 1000} {
		for _, each := range []float64{100, 1, .1} {
			for _, how := range []sim.Fate{sim.Rejected, sim.Swallowed} {
				name := fmt.Sprintf("%d members, %g a second each, %v", members, each, how)
				t.Run(name, func(t *testing.T) {
					if each < 1 && (testing.Short() || members > 100) {
						t.Skip("takes long: little happens in much time")
					}
					t.Parallel()
					few := n
					if each <= 1 {
						few = min(n, 200_000)
						if os.Getenv("REQUESTS") == "" {
							few = min(n, 20_000)
						}
					}
					s := Steady{N: members, Seed: 15, Load: each * float64(members), Share: .15, How: how, Requests: few, Progress: shows(name)}
					r := s.Run()
					t.Logf("%d requests in %v: %d trips, limited for %.4f of the time", r.Requests, r.Virtual.Round(time.Second), r.Trips, r.Restricted)
					// With little traffic a look this short sees a handful of
					// episodes, of a hundred requests or so each: the share is
					// known only with REQUESTS=1e6.
					most := .01
					if each <= 1 && os.Getenv("REQUESTS") == "" {
						most = .03
					}
					if r.Trips > 0 || r.Restricted > most {
						t.Errorf("dimmed %d times, limited for %.4f of the time", r.Trips, r.Restricted)
					}
				})
			}
		}
	}
}
