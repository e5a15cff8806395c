package main

import (
	"context"
	"math"
	"sync"
	"time"
)

// The budget's numbers, which are the library's defaults.
const (
	ratio   = .1 // retries that a first try earns
	stipend = 10 // a second, of a service in the whole cluster
	holds   = 3  // of a member: two tokens, and one of debt
	slack   = 2  // counted here a moment later than there
)

// book counts the attempts at a service where they are sent, and holds them against
// guarantee G1: in any window of time
//
//	retries <= ratio * first tries + stipend * time + members * (cap + 1)
//
// Retries that were waiting when the window began had been paid for before. So with
//
//	x = retries - ratio * first tries - stipend * time - holds * members ever started
//
// it must never be above the lowest that x + holds * members at work + waiting has been.
type book struct {
	mu                       sync.Mutex
	began                    time.Time
	first, retries, diverted uint64
	started, working         int
	waiting                  int
	low                      float64
	nearest                  float64 // how near to its bound it has been
	over                     func(by float64)
}

func newBook(began time.Time, over func(by float64)) *book {
	return &book{began: began, low: math.Inf(1), nearest: math.Inf(1), over: over}
}

func (b *book) x() float64 {
	return float64(b.retries) - ratio*float64(b.first) - stipend*time.Since(b.began).Seconds() - holds*float64(b.started)
}

// check looks how far it is to the bound, the caller having the lock.
func (b *book) check() {
	room := b.low + slack - b.x()
	if b.nearest = min(b.nearest, room); room < 0 {
		b.over(-room)
	}
}

func (b *book) lower() {
	b.low = min(b.low, b.x()+holds*float64(b.working)+float64(b.waiting))
}

func (b *book) joins() { b.change(func() { b.started++; b.working++ }) }
func (b *book) ends()  { b.change(func() { b.working-- }) }

// change makes a change, before and after which a window may begin or end.
func (b *book) change(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lower()
	f()
	b.lower()
}

// counts is what a book has counted.
type counts struct {
	First    uint64  `json:"first_tries"`
	Retries  uint64  `json:"retries"`
	Diverted uint64  `json:"diverted"`
	Room     float64 `json:"least_room"` // retries by which G1 would have let more
}

func (b *book) counts() counts {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := counts{First: b.first, Retries: b.retries, Diverted: b.diverted}
	if b.retries > 0 {
		c.Room = math.Round(b.nearest*10) / 10
	}
	return c
}

// entry is a call's.
type entry struct {
	book              *book
	sent              int
	waiting, diverted bool
}

type entryKey struct{}

func (b *book) begin(ctx context.Context) (context.Context, *entry) {
	e := &entry{book: b}
	return context.WithValue(ctx, entryKey{}, e), e
}

func entryOf(ctx context.Context) *entry {
	e, _ := ctx.Value(entryKey{}).(*entry)
	return e
}

// attempt counts one that is about to be sent.
func (e *entry) attempt() {
	e.book.change(func() {
		e.noWait()
		switch e.sent++; {
		case e.diverted:
			e.book.diverted++
		case e.sent == 1:
			e.book.first++
		default:
			e.book.retries++
			e.book.check()
		}
	})
}

// diverts tells that what follows is no retry.
func (e *entry) diverts() { e.book.change(func() { e.diverted = true }) }

// wait tells that a retry may follow, which is paid for.
func (e *entry) wait() {
	e.book.change(func() { e.waiting = true; e.book.waiting++ })
}

func (e *entry) end() { e.book.change(e.noWait) }

func (e *entry) noWait() {
	if e.waiting {
		e.waiting = false
		e.book.waiting--
	}
}
