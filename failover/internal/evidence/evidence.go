// Package evidence lets the tests of the HTTP and gRPC adapters see what the
// breakers make of their attempts.
package evidence

import (
	"slices"
	"sync"
	"testing"

	"github.com/murmuration-go/murmuration/breaker"
)

// Recorder keeps what the breakers counted, in the order of counting. Its zero
// value is ready, and it may be used from many goroutines.
type Recorder struct {
	mu   sync.Mutex
	seen []breaker.Outcome
	errs []error
}

// Classify is a breaker's Config.Classify that records and changes nothing.
func (e *Recorder) Classify(err error) breaker.Outcome {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen = append(e.seen, breaker.DefaultClassify(err))
	e.errs = append(e.errs, err)
	return breaker.OutcomeDefault
}

// Seen returns what was recorded so far.
func (e *Recorder) Seen() []breaker.Outcome {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.seen)
}

// Want reports an error unless just these outcomes were recorded, in this order.
func (e *Recorder) Want(t *testing.T, want ...breaker.Outcome) {
	t.Helper()
	if seen := e.Seen(); !slices.Equal(seen, want) {
		t.Errorf("evidence is %v, want %v (1 success, 2 failure, 3 neutral); errors %v", seen, want, e.errs)
	}
}
