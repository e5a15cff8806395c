package sim_test

import (
	"slices"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// steadily is a value for n seconds.
func steadily(n, v int) []int { return slices.Repeat([]int{v}, n) }

func TestGoodput(t *testing.T) {
	t.Parallel()
	c := sim.Counts{Wanted: []int{10, 0, 20, 10, 10}, OK: []int{10, 0, 5, 9}} // nothing ok in the last second
	for _, x := range []struct {
		from, to int
		want     float64
	}{
		{0, 1, 1}, {1, 2, 1}, {0, 2, 1}, {2, 3, .25}, {0, 3, .5}, {3, 4, .9}, {4, 5, 0}, {0, 5, .48},
		{0, 100, .48}, {-3, 1, 1}, {5, 10, 1}, {3, 3, 1},
	} {
		if got := c.Goodput(x.from, x.to); got != x.want {
			t.Errorf("seconds %d to %d: %v, want %v", x.from, x.to, got, x.want)
		}
	}
}

func TestAmplification(t *testing.T) {
	t.Parallel()
	c := sim.Counts{Wanted: []int{10, 10, 0, 20}, Sent: []int{10, 30, 5}}
	for _, x := range []struct {
		from, to int
		want     float64
	}{{0, 1, 1}, {0, 2, 2}, {1, 2, 3}, {2, 3, 5}, {3, 4, 0}, {0, 4, 45. / 40}} {
		if got := c.Amplification(x.from, x.to); got != x.want {
			t.Errorf("seconds %d to %d: %v, want %v", x.from, x.to, got, x.want)
		}
	}
}

func TestRecovery(t *testing.T) {
	t.Parallel()
	join := slices.Concat[[]int]
	for _, x := range []struct {
		name       string
		wanted, ok []int
		from, to   int
		want       int
	}{
		{"at once", steadily(20, 100), steadily(20, 100), 10, 20, 0},
		{"after three seconds", steadily(20, 100), join(steadily(13, 0), steadily(7, 100)), 10, 20, 3},
		{"97 % are enough", steadily(20, 100), join(steadily(13, 0), steadily(7, 97)), 10, 20, 3},
		{"96 % are not", steadily(20, 100), join(steadily(13, 0), steadily(7, 96)), 10, 20, -1},
		{"over the five seconds together", steadily(20, 100), join(steadily(13, 0), []int{85}, steadily(6, 100)), 10, 20, 3},
		{"not for four seconds", steadily(20, 100), join(steadily(10, 0), steadily(4, 100), steadily(2, 0), steadily(4, 100)), 10, 20, -1},
		{"only what counts counts", steadily(30, 100), join(steadily(13, 0), steadily(17, 100)), 10, 17, -1},
		{"not while nobody calls", join(steadily(10, 100), steadily(10, 0)), steadily(10, 0), 10, 20, -1},
		{"nothing yet", nil, nil, 0, 20, -1},
	} {
		c := sim.Counts{Wanted: x.wanted, OK: x.ok}
		if got := c.Recovery(x.from, x.to); got != x.want {
			t.Errorf("%s: %d, want %d", x.name, got, x.want)
		}
	}
}

// TestArrivals: attempts are counted in the second in which they arrive, and the
// peak is over the capacity of that second.
func TestArrivals(t *testing.T) {
	t.Parallel()
	w := sim.New(sim.Config{Members: 1, Services: quiet(sim.ServerConfig{}), Strategy: sim.NoRetries()})
	for second, n := range []int{3, 0, 7, 4} {
		for i := range n {
			w.After(time.Duration(second)*time.Second+time.Duration(i)*ms, func() { w.Begin(0, w.Members()[0]) })
		}
	}
	w.Run(time.Minute)
	s := w.Service(0).Servers[0]
	capacity := func(second int) float64 { return []float64{10, 0, 10, 2}[second] }
	if a, b := s.Arrived(0, 4), s.Arrived(1, 3); a != 14 || b != 7 {
		t.Errorf("%d arrived, 7 of them in seconds 1 and 2; want 14 and %d", a, b)
	}
	if a, b := s.Peak(0, 3, capacity), s.Peak(0, 9, capacity); a != .7 || b != 2 {
		t.Errorf("peaks %v and %v, want .7 and 2", a, b)
	}
	if c := w.Service(0).Count; c.Firsts != 14 || c.Attempts != 14 || c.Retries != 0 || c.Refused != 0 || !slices.Equal(c.OK, []int{3, 0, 7, 4}) {
		t.Errorf("%+v", c)
	}
}

// TestOKCountsWhereItBegan: a call that succeeds does so in the second in which
// it arrived, for it is of these calls that goodput speaks.
func TestOKCountsWhereItBegan(t *testing.T) {
	t.Parallel()
	w := sim.New(sim.Config{Members: 1, Services: quiet(sim.ServerConfig{}), Strategy: retrying(2, nil)})
	s := w.Service(0).Servers[0]
	s.Stall()
	w.After(500*ms, func() { w.Begin(0, w.Members()[0]) })
	w.After(2700*ms, func() { s.Resume(w) }) // in the third attempt
	w.Run(10 * time.Second)
	c := w.Service(0).Count
	if !slices.Equal(c.Wanted, []int{1}) || !slices.Equal(c.OK, []int{1}) || !slices.Equal(c.Sent, []int{1, 1, 1}) || c.Retries != 2 {
		t.Errorf("%+v", c)
	}
}
