package coord

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// MaxEndpoints is the largest number of endpoints of a service.
const MaxEndpoints = 64

// MaxName is the longest name of a service or an endpoint, in bytes.
const MaxName = 64

// Service is a member's shared state for one upstream: its endpoints and their
// advice. It is safe for concurrent use.
type Service struct {
	name  string
	burns atomic.Uint64 // times that advice emptied the retry budget
	rate  atomic.Uint64 // first tries of the last second
	width width
	loans loans
	log   Log

	routing  watchers
	policies policies

	initial atomic.Pointer[func(e *Endpoint) Advice]
	refusal atomic.Pointer[func(service, endpoint string, a *Advice) error]
	budget  atomic.Pointer[func() BudgetStats]

	mu        sync.Mutex
	endpoints atomic.Pointer[[]*Endpoint] // copied on write
	attached  map[any]any
}

// NewService returns the state of a service that nothing is known of yet.
func NewService(name string) *Service {
	s := &Service{name: name, attached: map[any]any{}}
	s.endpoints.Store(&[]*Endpoint{})
	return s
}

// Name returns the service's name.
func (s *Service) Name() string { return s.name }

// Log returns the last decisions about the service's endpoints; nil on a nil Service.
func (s *Service) Log() *Log {
	if s == nil {
		return nil
	}
	return &s.log
}

// CheckName reports why a name cannot stand for a service or an endpoint.
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("must not be empty")
	case len(name) > MaxName:
		return fmt.Errorf("%q is %d bytes long; the limit is %d", name, len(name), MaxName)
	case !utf8.ValidString(name):
		return fmt.Errorf("%q is not valid UTF-8", name)
	}
	return nil
}

// Endpoint returns the endpoint of that name, the same pointer for the same
// name. It returns nil, which counts nothing, on a nil Service, for a bad name,
// and when the service has MaxEndpoints others.
func (s *Service) Endpoint(name string) *Endpoint {
	if s == nil || CheckName(name) != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	have := *s.endpoints.Load()
	for _, e := range have {
		if e.name == name {
			return e
		}
	}
	if len(have) >= MaxEndpoints {
		return nil
	}
	e := newEndpoint(s, name)
	if f := s.initial.Load(); f != nil {
		a := (*f)(e)
		e.publish(&a) // nobody watches it yet
	}
	grown := append(slices.Clip(have), e)
	s.endpoints.Store(&grown)
	return e
}

// BeginWith sets what makes the advice that an endpoint begins with; it must not use the
// Service.
func (s *Service) BeginWith(f func(e *Endpoint) Advice) { s.initial.Store(&f) }

// Endpoints returns all endpoints; the slice must not be changed.
func (s *Service) Endpoints() []*Endpoint { return *s.endpoints.Load() }

// Mode returns which retries may go to the endpoint of the service that is
// restricted least: where the caller does not say which one it turns to, a retry
// is worth its while as long as one takes it.
func (s *Service) Mode() Mode {
	if s == nil {
		return RetryAll
	}
	list := *s.endpoints.Load()
	if len(list) == 0 {
		return RetryAll
	}
	least := RetryNone
	for _, e := range list {
		a := e.advice.Load()
		if a.Phi == PhiFull {
			least = min(least, a.RetryMode())
		}
	}
	return least
}

// RefuseWith sets what makes the error for a dimmed first try. The first call
// wins: all users of a service in one process share its advice.
func (s *Service) RefuseWith(f func(service, endpoint string, a *Advice) error) {
	if s != nil {
		s.refusal.CompareAndSwap(nil, &f)
	}
}

// Attach returns what is kept under key, making it by create the first time.
// create must not use the Service's endpoints or attachments. Attach lets several users in one process share what must exist once per member
// and service, such as the retry budget.
func (s *Service) Attach(key any, create func() any) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.attached[key]
	if !ok {
		v = create()
		s.attached[key] = v
	}
	return v
}

// Burns counts how often advice has asked for the retry budget to be emptied.
func (s *Service) Burns() uint64 {
	if s == nil {
		return 0
	}
	return s.burns.Load()
}

// SetLoad tells the first tries of the last second, and the number of live
// members, this one included.
func (s *Service) SetLoad(now time.Duration, rate uint64, members int) {
	s.rate.Store(rate)
	s.width.see(now, members)
}

// Load returns the first tries of the last second.
func (s *Service) Load() (rate uint64) { return s.rate.Load() }

// Width returns the largest membership of the last ten minutes or so, or 0 for
// a member that has not been in company for five seconds yet.
func (s *Service) Width(now time.Duration) int {
	s.width.mu.Lock()
	defer s.width.mu.Unlock()
	if !s.width.joined || now-s.width.joinedAt < 5*time.Second {
		return 0
	}
	return max(s.width.now, s.width.before)
}

// width remembers the largest membership in two spans of ten minutes, the one
// under way and the one before. Being alone is not a membership: a member that
// lost its cluster keeps its last share of the stipend, never a larger one.
type width struct {
	mu          sync.Mutex
	now, before int
	began       time.Duration
	joined      bool
	joinedAt    time.Duration
}

func (w *width) see(now time.Duration, members int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if members < 2 {
		return
	}
	if !w.joined {
		w.joined, w.joinedAt, w.began = true, now, now
	}
	if now-w.began > 10*time.Minute {
		w.before, w.now, w.began = w.now, 0, now
	}
	w.now = max(w.now, members)
}
