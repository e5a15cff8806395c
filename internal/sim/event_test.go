package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// sorted is the agenda as somebody would keep it who had all day.
type sorted []event

func (q *sorted) push(e event) {
	*q = append(*q, e)
	slices.SortFunc(*q, func(a, b event) int {
		if a.before(&b) {
			return -1
		}
		return 1
	})
}

func (q *sorted) pop() event {
	e := (*q)[0]
	*q = (*q)[1:]
	return e
}

// TestAgenda: events come out in the order of their instants, and those of one
// instant in the order in which they were planned.
func TestAgenda(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		keep(t, rapid.SliceOfN(rapid.Int64Range(-1, 20), 0, 200).Draw(t, "instants; -1 takes one out"))
	})
	rng := rand.New(rand.NewPCG(1, 1))
	var long []int64
	for range 3000 {
		long = append(long, rng.Int64N(1000)-300) // grows to some 1,200
	}
	keep(t, long)
}

// keep puts events of the given instants into both; negative takes one out.
func keep(t interface{ Fatalf(string, ...any) }, instants []int64) {
	var heap agenda
	var list sorted
	n := uint64(0)
	pop := func() {
		if got, want := heap.pop(), list.pop(); got.at != want.at || got.n != want.n {
			t.Fatalf("event %d at %v, want %d at %v", got.n, got.at, want.n, want.at)
		}
	}
	for _, at := range instants {
		if at < 0 {
			if len(list) > 0 {
				pop()
			}
			continue
		}
		n++
		e := event{at: time.Duration(at), n: n}
		heap.push(e)
		list.push(e)
	}
	for len(list) > 0 {
		pop()
	}
	if len(heap.events) > 0 {
		t.Fatalf("%d events are left", len(heap.events))
	}
}

// step is something that happens in a test of lines.
type step struct {
	at   time.Duration
	line int // into which an outcome is put, or -1: the call moves on instead
	call int
}

// happened is an outcome that a client was told.
type happened struct {
	at   time.Duration
	call int
	o    Outcome
}

func (h happened) String() string { return fmt.Sprintf("%v: call %d %v", h.at, h.call, h.o) }

// ear is a client that writes down the outcomes that it is told.
type ear struct {
	plain
	heard []happened
}

func (e *ear) End(now time.Duration, a *Attempt, o Outcome, _ time.Duration) {
	e.heard = append(e.heard, happened{now - Start, a.N, o})
}

const testCalls = 8

// byLines lets the steps happen with two lines.
func byLines(steps []step, delays [2]time.Duration) []happened {
	e := &ear{}
	w := New(Config{
		Members: 1, Services: []ServiceConfig{{Load: -1}},
		Strategy: Strategy{New: func(time.Duration, Env) Client { return e }},
	})
	var calls [testCalls]call
	for i := range calls {
		calls[i] = call{service: w.services[0], member: w.members[0], client: e, process: 1}
		calls[i].N = i
	}
	lines := [2]line{{delay: delays[0]}, {delay: delays[1]}}
	for _, s := range steps {
		w.After(s.at, func() {
			c := &calls[s.call]
			if s.line < 0 {
				c.gen++
				return
			}
			lines[s.line].add(w, c, Outcome(s.line))
		})
	}
	w.Run(time.Hour)
	return e.heard
}

// byList lets them happen with a list of everything, sorted again each time.
func byList(steps []step, delays [2]time.Duration) (heard []happened) {
	type item struct {
		step
		n   int
		gen int
		due bool // an outcome that is due, not a step
	}
	var todo []item
	n := 0
	for _, s := range steps {
		n++
		todo = append(todo, item{step: s, n: n})
	}
	var gen [testCalls]int
	for len(todo) > 0 {
		slices.SortFunc(todo, func(a, b item) int {
			if a.at != b.at {
				return int(a.at - b.at)
			}
			return a.n - b.n
		})
		x := todo[0]
		todo = todo[1:]
		switch {
		case x.due && x.gen == gen[x.call]:
			heard = append(heard, happened{x.at, x.call, Outcome(x.line)})
			gen[x.call]++
		case x.due:
		case x.line < 0:
			gen[x.call]++
		default:
			n++
			late := item{step: x.step, n: n, gen: gen[x.call], due: true}
			late.at += delays[x.line]
			todo = append(todo, late)
		}
	}
	return heard
}

// TestLines: outcomes that wait in lines of which only the heads are in the
// agenda happen when and in the order in which they would otherwise, and those
// of attempts that are over do not happen.
func TestLines(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var delays [2]time.Duration
		for i := range delays {
			delays[i] = time.Duration(rapid.Int64Range(0, 20).Draw(t, "delay"))
		}
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			return step{
				at:   time.Duration(rapid.Int64Range(0, 60).Draw(t, "at")),
				line: rapid.IntRange(-1, 1).Draw(t, "line"),
				call: rapid.IntRange(0, testCalls-1).Draw(t, "call"),
			}
		}), 0, 100).Draw(t, "steps")
		if got, want := byLines(steps, delays), byList(steps, delays); !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

// TestLongLine: nothing is lost or comes late when a line has had its first
// thousands of items dropped.
func TestLongLine(t *testing.T) {
	t.Parallel()
	e := &ear{}
	w := New(Config{
		Members: 1, Services: []ServiceConfig{{Load: -1}},
		Strategy: Strategy{New: func(time.Duration, Env) Client { return e }},
	})
	rng := rand.New(rand.NewPCG(1, 2))
	l := line{delay: time.Second}
	var want []happened
	const n = 30000
	longest := 0
	for i := range n {
		at := time.Duration(i) * 100 * time.Microsecond // 10,000 at a time
		stale := rng.IntN(3) == 0
		if !stale {
			want = append(want, happened{at + time.Second, i, TimedOut})
		}
		w.After(at, func() {
			c := &call{service: w.services[0], member: w.members[0], client: e, process: 1}
			c.N = i
			l.add(w, c, TimedOut)
			if stale {
				c.gen++
			}
			longest = max(longest, len(l.items))
		})
	}
	w.Run(time.Hour)
	if !slices.Equal(e.heard, want) {
		t.Errorf("%d outcomes, want %d, or not in order", len(e.heard), len(want))
	}
	if len(l.items) > 0 || longest > 2*10000+1 {
		t.Errorf("%d items are left; the line was %d long", len(l.items), longest)
	}
}
