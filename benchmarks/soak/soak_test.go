package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/murmuration-go/murmuration/breaker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestSoak is a slice of the soak.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 40 seconds or so")
	}
	var out, log strings.Builder
	err := run(t.Context(), strings.Fields("-for 20s -members 5 -seed 4 -json"), &out, &log)
	t.Log(log.String())
	if err != nil {
		t.Fatal(err)
	}
	var s summary
	if err := json.Unmarshal([]byte(out.String()), &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Faults) == 0 || s.Calls < 500 || 2*s.Good < s.Calls || s.Services["web"].First == 0 || s.Services["rpc"].First == 0 || len(s.Checkpoints) < 2 {
		t.Errorf("%+v", s)
	}
}

func TestFlags(t *testing.T) {
	err := run(t.Context(), strings.Fields("-for 1s -members 2 -rate 0 more"), io.Discard, io.Discard)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{"-for", "-members", "-rate", `"more"`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s is not named in: %v", part, err)
		}
	}
	if err := run(t.Context(), []string{"-h"}, io.Discard, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
}

// TestInterrupted: whoever has enough gets it over with at once, and nothing is left.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var out strings.Builder
	if err := run(ctx, nil, &out, io.Discard); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("%v", err)
	}
	if !strings.Contains(out.String(), "violations: 0") {
		t.Errorf("no summary: %s", out.String())
	}
}

// TestSameSeedSameFaults: the seed fixes what happens.
func TestSameSeedSameFaults(t *testing.T) {
	draw := func(seed uint64) (l []string) {
		f := &fleet{settings: settings{members: 6, seed: seed}, zones: []*zone{{name: "a"}, {name: "b"}}}
		for range f.settings.members {
			f.add("a")
		}
		rng := rand.New(rand.NewPCG(seed, 3))
		for range 5 {
			for _, k := range some(rng, kinds, len(kinds)) {
				what, _ := k.draw(f, rng)
				l = append(l, what)
			}
		}
		return l
	}
	if a := draw(1); !slices.Equal(a, draw(1)) || slices.Equal(a, draw(2)) {
		t.Errorf("%q", a)
	}
}

// TestBook: the book lets pass what the budget lets, in whatever window, and finds what is
// beyond.
func TestBook(t *testing.T) {
	over := 0.
	b := newBook(time.Now(), func(by float64) { over = by })
	b.joins()
	call := func(retries int, paid bool) {
		_, e := b.begin(t.Context())
		defer e.end()
		e.attempt()
		for range retries {
			if paid {
				e.wait()
			}
			e.attempt()
		}
	}
	for range 10 {
		for range 9 {
			call(0, false)
		}
		call(1, false) // what was earned
	}
	call(holds+slack-1, false) // the reserve, of which the first of those ten took one
	if over != 0 {
		t.Fatalf("%v over", over)
	}
	for range 100 { // what is earned meanwhile is not kept
		call(0, false)
	}
	call(holds+slack+1, false)
	if over <= 0 || over > 1.01 {
		t.Errorf("%v over", over)
	}

	over = 0
	b = newBook(time.Now(), func(by float64) { over = by })
	b.joins()
	var waiting []*entry
	for range 50 {
		_, e := b.begin(t.Context())
		e.attempt()
		e.wait()
		waiting = append(waiting, e)
	}
	b.change(func() { b.low = b.x() + holds + float64(b.waiting) }) // a window that begins here
	for _, e := range waiting {
		e.attempt() // was paid for before
		e.end()
	}
	if over != 0 || b.waiting != 0 {
		t.Errorf("%v over, %d waiting", over, b.waiting)
	}
	_, e := b.begin(t.Context())
	e.diverts()
	e.attempt()
	if c := b.counts(); c.Diverted != 1 || c.First != 50 || c.Retries != 50 {
		t.Errorf("%+v", c)
	}
}

// TestExplained: each reason that lacks something is found.
func TestExplained(t *testing.T) {
	whole := breaker.Evidence{Steward: "s", Reporters: 2, Failures: 5, Outcomes: 9}
	order := &breaker.Override{Author: "ada", Reason: "the deploy"}
	if err := errors.Join(explained(breaker.SourceLocal, 0, &whole, nil), explained(breaker.SourceCluster, time.Second, &whole, nil),
		explained(breaker.SourceOperator, time.Hour, &breaker.Evidence{}, order)); err != nil {
		t.Error(err)
	}
	for i, err := range []error{
		explained(breaker.SourceLocal, -1, &whole, nil),
		explained(breaker.SourceLocal, 0, &breaker.Evidence{Reporters: 1}, nil),
		explained(breaker.SourceCluster, 0, &breaker.Evidence{Reporters: 2, Outcomes: 9}, nil),
		explained(breaker.SourceCluster, time.Minute, &whole, nil),
		explained(breaker.SourceOperator, 0, &whole, nil),
		explained(breaker.SourceOperator, 0, &whole, &breaker.Override{Author: "ada"}),
	} {
		if err == nil {
			t.Errorf("%d passes", i)
		}
	}
}

// TestTrend: growth is told from noise.
func TestTrend(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	points := func(slope float64) (l []checkpoint) {
		for i := range 20 {
			l = append(l, checkpoint{At: float64(i), HeapMB: 10 + slope*float64(i) + rng.Float64()})
		}
		return l
	}
	heap := func(c checkpoint) float64 { return c.HeapMB }
	if flatly, ok := fit(points(0), heap); !ok || flatly.grows() {
		t.Errorf("flat: %+v", flatly)
	}
	if steep, ok := fit(points(.3), heap); !ok || !steep.grows() {
		t.Errorf("grows: %+v", steep)
	}
	if _, ok := fit(points(0)[:enough], heap); ok {
		t.Error("too few points are taken for enough")
	}
}

// TestProxy: what goes through, and what does not, under each trouble.
func TestProxy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); _, _ = io.Copy(c, c) }()
		}
	}()
	p, err := newProxy(l.Addr().String(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", p.addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	echo := func(c net.Conn, within time.Duration) error {
		_ = c.SetDeadline(time.Now().Add(within))
		if _, err := c.Write([]byte("x")); err != nil {
			return err
		}
		_, err := io.ReadFull(c, make([]byte, 1))
		return err
	}
	late := func(err error) bool { var n net.Error; return errors.As(err, &n) && n.Timeout() }
	const ample = 10 * time.Second

	c := dial()
	if err := echo(c, ample); err != nil {
		t.Fatal(err)
	}
	p.set(trouble{delay: 50 * time.Millisecond})
	began := time.Now()
	if err := echo(c, ample); err != nil || time.Since(began) < 100*time.Millisecond {
		t.Errorf("late: %v after %v", err, time.Since(began))
	}
	p.set(trouble{stall: true})
	if err := echo(c, 100*time.Millisecond); !late(err) {
		t.Errorf("stalled: %v", err)
	}
	p.set(trouble{})
	_ = c.SetDeadline(time.Now().Add(ample))
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Errorf("after the stall: %v", err)
	}
	p.set(trouble{reset: 1})
	if err := echo(c, ample); err == nil || late(err) {
		t.Errorf("reset: %v", err)
	}
	p.set(trouble{})
	c = dial()
	if err := echo(c, ample); err != nil {
		t.Fatal(err)
	}
	p.set(trouble{refuse: true})
	if err := echo(c, ample); err == nil || late(err) {
		t.Errorf("refused, an old connection: %v", err)
	}
	if c, err := net.Dial("tcp", p.addr()); err == nil { // or even that fails
		if err := echo(c, ample); err == nil || late(err) {
			t.Errorf("refused, a new connection: %v", err)
		}
		c.Close()
	}
	p.set(trouble{stall: true})
	_ = echo(dial(), 10*time.Millisecond) // what is stalled does not hold up the closing
}
