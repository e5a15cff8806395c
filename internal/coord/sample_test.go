package coord

import (
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Readers and writers at once: totals never fall, no outcome shows before its
// send, and in the end every count is there.
func TestSampleLosesNothing(t *testing.T) {
	const writers, calls = 4, 3000
	e := NewService("svc").Endpoint("a")
	type sums struct{ demand, ok, slow, fast, retries, retriesOK, us uint64 }
	var want [writers]sums
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			r, sum := rand.New(rand.NewPCG(7, uint64(w))), &want[w]
			for range calls {
				a := e.Advice()
				spread := r.Uint32()
				retry := r.IntN(4) == 0
				if !retry {
					e.Wanted(spread)
					sum.demand++
				}
				o, took := Outcome(r.IntN(4)), time.Duration(r.IntN(900))*time.Millisecond
				e.Send(a, time.Second, retry, spread).End(o, took)
				switch {
				case o == Neutral:
					continue
				case o == Success:
					sum.ok++
					sum.us += uint64(took.Microseconds())
				case o == Slow || took > time.Second/2:
					sum.slow++
				default:
					sum.fast++
				}
				if retry {
					sum.retries++
					if o == Success {
						sum.retriesOK++
					}
				}
			}
		})
	}
	stop, read := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(read)
		var last Totals
		for tag := uint64(1); ; tag++ {
			s := e.Sample()
			if tot := s.Totals; tot.OK < last.OK || tot.OKLatency < last.OKLatency || tot.FailSlow < last.FailSlow ||
				tot.FailFast < last.FailFast || tot.Demand < last.Demand || tot.Retries < last.Retries {
				t.Errorf("totals fell from %+v to %+v", last, tot)
			}
			last = s.Totals
			if s.Tagged.Resolved() > s.Tagged.Sent {
				t.Errorf("%d outcomes of %d sent", s.Tagged.Resolved(), s.Tagged.Sent)
			}
			if tag%64 == 0 {
				e.Publish(Advice{Phi: PhiFull, Tag: tag})
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	writing.Wait()
	close(stop)
	<-read

	var sum sums
	for _, w := range want {
		sum.demand += w.demand
		sum.ok += w.ok
		sum.slow += w.slow
		sum.fast += w.fast
		sum.retries += w.retries
		sum.retriesOK += w.retriesOK
		sum.us += w.us
	}
	got := e.Sample().Totals
	if want := (Totals{
		Demand: sum.demand, OK: sum.ok, OKLatency: time.Duration(sum.us) * time.Microsecond,
		FailSlow: sum.slow, FailFast: sum.fast, Retries: sum.retries, RetriesOK: sum.retriesOK,
	}); got != want {
		t.Errorf("totals are %+v, want %+v", got, want)
	}
}

func TestTaggedCountsBelongToTheirTag(t *testing.T) {
	e := NewService("svc").Endpoint("a")
	old := e.Send(e.Advice(), 0, false, 0)
	e.Send(e.Advice(), 0, false, 0).End(Success, time.Millisecond)
	if got, want := e.Sample().Tagged, (TagCounts{Sent: 2, OK: 1, OKLatency: time.Millisecond}); got != want {
		t.Fatalf("tagged counts are %+v, want %+v", got, want)
	}

	e.Publish(Advice{Phi: PhiFull, Mode: RetryRatio}) // the same tag
	if got := e.Sample().Tagged.Sent; got != 2 {
		t.Errorf("%d sent after publishing under the same tag, want 2", got)
	}
	e.Publish(Advice{Phi: PhiOf(.5), Tag: 1})
	if got := e.Sample(); got.Tagged != (TagCounts{}) || got.Tag != 1 || got.Phi != PhiOf(.5) {
		t.Errorf("after a new tag the sample is %+v", got)
	}
	old.End(Failure, 0) // evidence from before the change
	if got := e.Sample(); got.Tagged != (TagCounts{}) || got.Totals.FailFast != 1 {
		t.Errorf("after a late outcome the sample is %+v", got)
	}
	e.Send(e.Advice(), 0, false, 0).End(Neutral, 0)
	if got := e.Sample().Tagged; got != (TagCounts{}) {
		t.Errorf("a neutral outcome left %+v", got)
	}
}

// Words near the end of their range, as they are after years: differences stay
// exact when either part wraps.
func TestPackedWordsWrap(t *testing.T) {
	for _, word := range []uint64{
		1<<okShift - 1,         // the microseconds are about to carry
		^uint64(0),             // everything is
		(1<<24 - 1) << okShift, // the count is
		^uint64(0) - 1<<okShift + 5,
	} {
		e := NewService("svc").Endpoint("a")
		e.totals[0].ok.Store(word)
		e.okAcc.last = word
		for range 3 {
			e.Send(e.Advice(), 0, false, 0).End(Success, 20*time.Hour) // counted as 2^36 us
			e.Send(e.Advice(), 0, false, 0).End(Success, 7*time.Microsecond)
		}
		got := e.Sample().Totals
		if want := 3 * (1<<36 + 7) * time.Microsecond; got.OK != 6 || got.OKLatency != want {
			t.Errorf("from word %#x: %d ok, %v; want 6, %v", word, got.OK, got.OKLatency, want)
		}
	}
}

func TestAccumulatorIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.Uint64().Draw(t, "word")
		acc := okAccumulator{last: word, us: rapid.SampledFrom([]uint64{0, LatencyWrap - 1, LatencyWrap / 2}).Draw(t, "us")}
		was := time.Duration(acc.us) * time.Microsecond
		var count uint64
		for range rapid.IntRange(1, 20).Draw(t, "readings") {
			var us time.Duration
			for range rapid.IntRange(0, 8).Draw(t, "calls") {
				d := time.Duration(rapid.Int64Range(0, 1<<36).Draw(t, "us")) * time.Microsecond
				word += okWord(d)
				us += d
				count++
			}
			n, sum := acc.advance(word)
			if n != count {
				t.Fatalf("%d successes, want %d", n, count)
			}
			if got := LatencySince(sum, was); got != us {
				t.Fatalf("latency grew by %v, want %v", got, us)
			}
			was = sum
		}
	})
}

func TestNilEndpointCountsNothing(t *testing.T) {
	var e *Endpoint
	e.Wanted(1)
	e.Send(e.Advice(), time.Second, true, 3).End(Success, time.Second)
	Attempt{}.End(Failure, 0)
	if a := e.Advice(); a.InForce() || a.Coordinated() {
		t.Errorf("the advice of no cluster is %+v", a)
	}
}

// A nil Endpoint stands for "no cluster", whatever is asked of it.
func TestNilEndpoint(t *testing.T) {
	e := reflect.ValueOf((*Endpoint)(nil))
	for i := range e.NumMethod() {
		name, method := e.Type().Method(i).Name, e.Method(i)
		var args []reflect.Value
		for j := range method.Type().NumIn() {
			args = append(args, reflect.Zero(method.Type().In(j)))
		}
		func() {
			defer func() {
				if v := recover(); v != nil {
					t.Errorf("%s panics: %v", name, v)
				}
			}()
			method.Call(args)
		}()
	}
}
