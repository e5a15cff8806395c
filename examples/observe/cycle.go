package main

import (
	"context"
	"time"
)

// step is a part of the cycle.
type step struct {
	lasts   time.Duration
	backend string // which misbehaves; empty: all are well
	what    string // it does
	stall   bool
	refuse  float64 // the share of requests that it refuses
	slow    float64 // how many times as long a request takes
}

// misbehaviour is the cycle, a minute and a half long. There is time in between for all
// to recover.
var misbehaviour = []step{
	{lasts: 20 * time.Second},
	{lasts: 10 * time.Second, backend: "payments-a", what: "stalls", stall: true},
	{lasts: 20 * time.Second},
	{lasts: 10 * time.Second, backend: "search-a", what: "answers a third of its requests with 503", refuse: 1. / 3},
	{lasts: 15 * time.Second},
	{lasts: 8 * time.Second, backend: "payments-b", what: "takes four times as long", slow: 4},
	{lasts: 12 * time.Second},
}

// misbehave goes through the cycle over and over, and tells of it.
func (f *fleet) misbehave(ctx context.Context) {
	for {
		for _, s := range f.steps {
			f.begin(s)
			select {
			case <-time.After(s.lasts):
			case <-ctx.Done():
				return
			}
			f.tally.tell(f.note)
			if b := f.backend(s.backend); b != nil {
				b.behave(0, 0)
			}
		}
	}
}

func (f *fleet) begin(s step) {
	b := f.backend(s.backend)
	if b == nil {
		f.note("all is well for %v", s.lasts)
		return
	}
	f.note("%s %s for %v", s.backend, s.what, s.lasts)
	b.behave(s.refuse, s.slow)
	if s.stall {
		b.stall(time.Now(), s.lasts)
	}
}

// backend returns the one of that name, or nil.
func (f *fleet) backend(name string) *backend {
	for _, b := range f.backends {
		if b.name() == name {
			return b
		}
	}
	return nil
}
