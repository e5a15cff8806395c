package ledger

import "fmt"

// String tells the rules with their defaults filled in. A burst of 0 follows the
// traffic, one of -1 is none.
func (r Rules) String() string {
	burst := r.Burst
	if burst < 0 {
		burst = -1
	}
	return fmt.Sprintf("ratio %v burst %v stipend %v members %d", orDefault(r.Ratio, defaultRatio), burst, orDefault(r.Stipend, defaultStipend), r.MaxMembers)
}

// String tells the waits before the first retry and before the last, at most.
func (b Backoff) String() string {
	const many = 64 // doublings of a nanosecond are longer than any wait
	return fmt.Sprintf("%v to %v", b.Longest(1, 0), b.Longest(many, 0))
}
