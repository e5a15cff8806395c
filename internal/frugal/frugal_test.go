package frugal

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

func TestMedianSettlesNearTheTruth(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, truth := range []time.Duration{50 * time.Microsecond, 20 * time.Millisecond, 3 * time.Second} {
		var m Median
		if m.Value() != 0 || m.Warm() {
			t.Fatal("the zero Median knows something")
		}
		for range 3000 {
			m.Add(time.Duration(r.ExpFloat64() * float64(truth) / .693))
		}
		if got := m.Value(); !m.Warm() || got < truth*3/4 || got > truth*4/3 {
			t.Errorf("the median of %v is estimated as %v", truth, got)
		}
	}
}

func TestMedianFollowsAChange(t *testing.T) {
	var m Median
	for range 100 {
		m.Add(time.Millisecond)
	}
	for range 400 {
		m.Add(100 * time.Millisecond)
	}
	if got := m.Value(); got != 100*time.Millisecond {
		t.Errorf("estimate is %v, want 100ms", got)
	}
	m.Add(-time.Second) // clocks are not trusted
	if m.Value() <= 0 {
		t.Error("a negative duration spoilt the estimate")
	}
}

func TestMedianIsSafeForConcurrentUse(t *testing.T) {
	var m Median
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				m.Add(time.Millisecond)
			}
		})
	}
	wg.Wait()
	if m.Value() != time.Millisecond {
		t.Errorf("estimate is %v, want 1ms", m.Value())
	}
}

// latencies are distributions with a 95th percentile of one second.
var latencies = []struct {
	name string
	draw func(r *rand.Rand) float64
}{
	{"constant", func(*rand.Rand) float64 { return 1 }},
	{"uniform", func(r *rand.Rand) float64 { return r.Float64() / .95 }},
	{"exponential", func(r *rand.Rand) float64 { return r.ExpFloat64() / 2.9957 }},
	{"log-normal", func(r *rand.Rand) float64 { return math.Exp(r.NormFloat64() - 1.6449) }},
	{"Pareto", func(r *rand.Rand) float64 { return math.Pow(.05/(1-r.Float64()), 1/1.5) }},
	{"2 % stall", func(r *rand.Rand) float64 {
		if r.Float64() < .02 {
			return 100
		}
		return r.Float64() / (.95 / .98)
	}},
}

// The estimate is within a quarter of the truth nine times out of ten, and about
// one sample in twenty lies above it.
func TestP95SettlesNearTheTruth(t *testing.T) {
	for _, l := range latencies {
		for _, unit := range []time.Duration{time.Millisecond, time.Second} {
			r := rand.New(rand.NewPCG(1, 2))
			const runs, samples = 200, 1000
			near, above := 0, 0
			for range runs {
				var p P95
				if p.Value() != 0 || p.Warm() {
					t.Fatal("the zero P95 knows something")
				}
				for i := range 2 * samples {
					d := time.Duration(l.draw(r) * float64(unit))
					if i >= samples && d > p.Value() {
						above++
					}
					p.Add(d)
				}
				if got := p.Value(); got > unit*3/4 && got < unit*5/4 {
					near++
				}
			}
			if share := float64(above) / (runs * samples); near < runs*9/10 || share > .07 {
				t.Errorf("%s, %v: %d of %d estimates are near, and %.3f of the samples are above", l.name, unit, near, runs, share)
			}
		}
	}
}

// A rise is followed several times as fast as a fall.
func TestP95FollowsAShift(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, step := range []struct {
		factor  float64
		samples int
	}{{10, 250}, {.1, 1600}} {
		late := 0
		for range 100 {
			var p P95
			for range 2000 {
				p.Add(time.Duration(r.ExpFloat64() * 1e9 / 2.9957))
			}
			want := time.Duration(step.factor * 1e9)
			for range step.samples {
				p.Add(time.Duration(r.ExpFloat64() * float64(want) / 2.9957))
			}
			if got := p.Value(); got < want/2 || got > want*3/2 {
				late++
			}
		}
		if late > 5 {
			t.Errorf("%d of 100 estimates are not within a half of %v times the old one after %d samples", late, step.factor, step.samples)
		}
	}
}

// Samples cut off at some time above the estimate do not bend it.
func TestP95OfWhatIsCutOff(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var p P95
	var sum time.Duration
	for i := range 40_000 {
		d := time.Duration(r.ExpFloat64() * 1e9 / 2.9957)
		if p.Warm() {
			d = min(d, p.Value()+50*time.Millisecond)
		}
		if p.Add(d); i >= 20_000 {
			sum += p.Value()
		}
	}
	if got := sum / 20_000; got < 850*time.Millisecond || got > 1150*time.Millisecond {
		t.Errorf("the estimate is %v on average, want about 1s", got)
	}
}

func TestAddDoesNotAllocate(t *testing.T) {
	var p P95
	if n := testing.AllocsPerRun(100, func() { p.Add(time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
