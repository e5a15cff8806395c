package law

import (
	"slices"
	"time"

	"github.com/murmuration-go/murmuration/internal/wire"
)

// clampAt is how much one reporter may say: four times what the median reporter
// with traffic says, and at least four.
func clampAt(v []float64) float64 {
	if len(v) == 0 {
		return 4
	}
	return max(4, 4*median(v))
}

// clampDemand is clampAt for first tries, which are often those of one or two members
// in a tick: no reporter is then measured by its own word while others are present.
// It is by what they want on average.
func clampDemand(v []float64, present int, usual float64) float64 {
	if len(v) > 2 || len(v) >= present {
		return clampAt(v)
	}
	limit := 4 * usual / float64(present)
	if len(v) == 2 {
		limit = max(limit, 4*min(v[0], v[1]))
	}
	return max(4, limit)
}

// median returns the middle value, the upper one of two. It sorts v.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return v[len(v)/2]
}

// mean is a number of successes and their summed latency, in seconds.
type mean struct{ n, sum float64 }

func (m mean) value() float64 {
	if m.n <= 0 {
		return 0
	}
	return m.sum / m.n
}

// pool adds up means; with five or more it leaves out the highest and the
// lowest tenth, at least one each. It sorts v.
func pool(v []mean) (m mean) {
	if len(v) >= 5 {
		slices.SortFunc(v, func(a, b mean) int {
			switch av, bv := a.value(), b.value(); {
			case av < bv:
				return -1
			case av > bv:
				return 1
			case a.n < b.n: // a total order, so that the trace is the same whatever the input order
				return -1
			case a.n > b.n:
				return 1
			}
			return 0
		})
		cut := max(1, len(v)/10)
		v = v[cut : len(v)-cut]
	}
	for _, x := range v {
		m.n += x.n
		m.sum += x.sum
	}
	return m
}

// count and seconds convert what may be beyond what a report can say.
func count(n float64) uint64 { return uint64(min(n, wire.MaxCount)) }

func seconds(s float64) time.Duration {
	return time.Duration(min(s*float64(time.Second), float64(wire.MaxSpan)))
}

// ewma weighs each tick .15; its first 7 ticks are a plain average.
type ewma struct {
	value float64
	n     int
}

func (e *ewma) add(x float64) {
	e.n = min(e.n+1, 8)
	w := .15
	if e.n <= 7 {
		w = 1 / float64(e.n)
	}
	e.value += w * (x - e.value)
}

// baseline learns the healthy mean latency: slowly, and at most twice its value
// a tick counts, so that trouble cannot teach it that trouble is normal. It is
// at least a microsecond, since 0 would stay 0.
type baseline struct {
	value float64
	n     int
}

func (b *baseline) add(x float64) {
	x = max(x, 1e-6)
	b.n = min(b.n+1, 41)
	if b.n <= 40 {
		b.value += (x - b.value) / float64(b.n)
		return
	}
	b.value += .01 * (min(x, 2*b.value) - b.value)
}
