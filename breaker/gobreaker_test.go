package breaker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sony/gobreaker/v2"
	"pgregory.net/rapid"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// silent is a cluster that this member hears nothing of.
type silent struct{ service *coord.Service }

func (c silent) CoordService(string) *coord.Service { return c.service }

// settings are what a plain gobreaker is given to match a Config.
func settings(c Config, openFor time.Duration) gobreaker.Settings {
	return gobreaker.Settings{
		Interval: c.Window, BucketPeriod: c.Window / 10, Timeout: openFor,
		IsExcluded: func(err error) bool { return errors.Is(err, errAside) },
		ReadyToTrip: func(n gobreaker.Counts) bool {
			if n.ConsecutiveFailures >= uint32(c.ConsecutiveFailures) {
				return true
			}
			all := n.TotalFailures + n.TotalSuccesses
			return all >= uint32(c.MinRequests) && float64(n.TotalFailures)/float64(all) >= c.FailureRatio
		},
	}
}

var (
	errAside = errors.New("neither")
	errBad   = errors.New("bad")
)

// results are how a call may end; the last one is a panic.
var results = []error{nil, nil, errBad, errBad, errBad, Neutral(errAside), errors.New("panic")}

func end(err error) error {
	if err == results[len(results)-1] {
		panic(err)
	}
	return err
}

// swallow runs a call that may panic.
func swallow(call func()) {
	defer func() { _ = recover() }()
	call()
}

// inFlight is a call that both machines let in and that has not ended.
type inFlight struct {
	since time.Duration
	end   func(error)
}

// twins runs the same trace on a Breaker and a plain gobreaker. begin starts a
// call on each that ends when told; it returns nil for a call that was refused.
type twins struct {
	t       *rapid.T
	config  Config
	state   func() (ours, theirs string)
	call    func(result error) (ours, theirs bool)
	begin   func() (ours, theirs func(error))
	flying  []inFlight
	openFor time.Duration
}

// property checks a property in virtual time, each case in a bubble of its own.
func property(t *testing.T, prop func(*rapid.T)) {
	rapid.Check(t, func(r *rapid.T) {
		var failure any
		synctest.Test(t, func(*testing.T) {
			defer func() { failure = recover() }()
			prop(r)
		})
		if failure != nil {
			panic(failure)
		}
	})
}

func drawConfig(t *rapid.T) Config {
	c := Config{
		Window:              rapid.SampledFrom([]time.Duration{time.Second, 10 * time.Second}).Draw(t, "window"),
		OpenTimeout:         2 * time.Second,
		MinRequests:         rapid.IntRange(1, 12).Draw(t, "min requests"),
		FailureRatio:        rapid.SampledFrom([]float64{.2, .5, 1}).Draw(t, "ratio"),
		ConsecutiveFailures: rapid.IntRange(1, 6).Draw(t, "in a row"),
		Service:             "svc",
	}
	if rapid.Bool().Draw(t, "in a silent cluster") { // G2: decides as alone
		c.Cluster = silent{coord.NewService("svc")}
	}
	return c
}

func (w *twins) same(what string, ours, theirs any) {
	if ours != theirs {
		w.t.Fatalf("%s: ours %v, gobreaker's %v", what, ours, theirs)
	}
}

func (w *twins) run() {
	defer func() { // after a failure, nobody may be left waiting
		for _, f := range w.flying {
			f.end(nil)
		}
	}()
	for range rapid.IntRange(1, 80).Draw(w.t, "steps") {
		switch rapid.IntRange(0, 9).Draw(w.t, "action") {
		case 0, 1, 2, 3:
			ours, theirs := w.call(rapid.SampledFrom(results).Draw(w.t, "result"))
			w.same("admitted", ours, theirs)
		case 4, 5:
			ours, theirs := w.begin()
			w.same("admitted", ours != nil, theirs != nil)
			if ours != nil {
				w.flying = append(w.flying, inFlight{coord.Now(), func(err error) { ours(err); theirs(err) }})
			}
		case 6:
			if n := len(w.flying); n > 0 {
				w.land(rapid.IntRange(0, n-1).Draw(w.t, "which"))
			}
		case 7, 8:
			w.step(rapid.SampledFrom([]time.Duration{
				time.Millisecond, w.config.Window / 10, w.config.Window / 3, w.openFor - 1, w.openFor, w.openFor + 1, w.config.Window,
			}).Draw(w.t, "step"))
		case 9:
			ours, theirs := w.state()
			w.same("state", ours, theirs)
		}
	}
	for len(w.flying) > 0 {
		w.land(0)
	}
	ours, theirs := w.state()
	w.same("state at the end", ours, theirs)
}

// land ends a call in flight.
func (w *twins) land(i int) {
	w.flying[i].end(rapid.SampledFrom(results).Draw(w.t, "result"))
	w.flying = append(w.flying[:i:i], w.flying[i+1:]...)
}

// step lets time pass. Calls that could be probes end before they are taken for
// stuck, which is where the two machines differ on purpose.
func (w *twins) step(d time.Duration) {
	for i := len(w.flying) - 1; i >= 0; i-- {
		if coord.Now()+d-w.flying[i].since > stuckAfter {
			w.land(i)
		}
	}
	time.Sleep(d)
}

// With no cluster, or with one that is silent, a Breaker follows gobreaker's own
// state machine on every trace of Do.
func TestDoFollowsGobreaker(t *testing.T) {
	property(t, func(t *rapid.T) {
		b := New("a", drawConfig(t))
		openFor := b.life.Load().openFor
		g := gobreaker.NewCircuitBreaker[any](settings(b.config, openFor))
		our := func(fn func() error) (ran bool) {
			swallow(func() {
				_ = b.Do(context.Background(), func(context.Context) error { ran = true; return fn() })
			})
			return ran
		}
		their := func(fn func() error) (ran bool) {
			swallow(func() { _, _ = g.Execute(func() (any, error) { ran = true; return nil, fn() }) })
			return ran
		}
		w := twins{t: t, config: b.config, openFor: openFor,
			state: func() (string, string) { return b.State().String(), g.State().String() },
			call: func(result error) (bool, bool) {
				fn := func() error { return end(result) }
				return our(fn), their(fn)
			},
			begin: func() (func(error), func(error)) { return fly(our), fly(their) },
		}
		w.run()
		if b.life.Load().openFor != openFor {
			t.Fatal("the machine was replaced on the way")
		}
	})
}

// fly starts a call on a goroutine of its own.
func fly(do func(fn func() error) bool) func(error) {
	result, done := make(chan error), make(chan bool, 1)
	go func() { done <- do(func() error { return end(<-result) }) }()
	synctest.Wait()
	select {
	case <-done:
		return nil
	default:
		return func(err error) { result <- err; <-done }
	}
}

// The same for Allow, whose calls overlap without goroutines.
func TestAllowFollowsGobreaker(t *testing.T) {
	property(t, func(t *rapid.T) {
		b := New("a", drawConfig(t))
		openFor := b.twoStepMachine(b.shared.Advice(), coord.Now()).openFor
		g := gobreaker.NewTwoStepCircuitBreaker[any](settings(b.config, openFor))
		begin := func() (func(error), func(error)) {
			ours, err := b.Allow()
			theirs, refusal := g.Allow()
			if (err == nil) != (ours != nil) || (refusal == nil) != (theirs != nil) {
				t.Fatalf("done and an error, or neither: %v, %v", err, refusal)
			}
			return ours, theirs
		}
		w := twins{t: t, config: b.config, openFor: openFor, begin: begin,
			state: func() (string, string) { return b.State().String(), g.State().String() },
			call: func(result error) (bool, bool) {
				ours, theirs := begin()
				if ours != nil && theirs != nil {
					ours(result)
					ours(errBad) // a second report changes nothing
					theirs(result)
				}
				return ours != nil, theirs != nil
			},
		}
		w.run()
	})
}
