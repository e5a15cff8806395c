package law

import "slices"

// clampAt is how much one reporter may say: four times what the median reporter
// with traffic says, and at least four.
func clampAt(v []float64) float64 {
	if len(v) == 0 {
		return 4
	}
	return max(4, 4*median(v))
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
