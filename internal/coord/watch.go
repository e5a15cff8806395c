package coord

import (
	"slices"
	"sync"
)

// watchers are functions that are told of something.
type watchers struct {
	mu  sync.Mutex
	all []*func()
}

// WatchRouting calls f after each change of an operator's orders about the way of first
// tries to the service's endpoints, on the goroutine that publishes advice, until stop is
// called. On a nil Service there are none.
func (s *Service) WatchRouting(f func()) (stop func()) {
	if s == nil {
		return func() {}
	}
	w := &s.routing
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, &f)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.all = slices.DeleteFunc(w.all, func(o *func()) bool { return o == &f })
	}
}

func (s *Service) rerouted() {
	s.routing.mu.Lock()
	all := slices.Clone(s.routing.all)
	s.routing.mu.Unlock()
	for _, f := range all {
		(*f)()
	}
}
