package standin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/internal/coord"
)

// trace is a history to be played on two machines: data, so that rapid can draw
// and shrink it, and so that the same one can be played on a wrong machine.
type trace struct {
	Config  Config
	Born    time.Duration  // the stand-in's time when both are made
	Alone   bool           // no cluster
	Watched bool           // State is compared after every step
	Before  []coord.Advice // published before either is made
	Steps   []step
}

// step is one thing that happens; only the fields of its Do are used.
type step struct {
	Do      what
	Result  result        // of call and land
	Times   int           // of call
	Attempt int           // of call and begin: its number
	Once    bool          // of call and begin: by Allow, where the machine has a choice
	Which   int           // of land
	Wait    time.Duration // of wait; of edge, from it
	Advice  coord.Advice  // of publish; Tag and Era follow from what was before,
	Back    bool          // and this makes the Era one less, which no cluster does
}

func (s step) String() string {
	switch s.Do {
	case call:
		return fmt.Sprintf("call %d times, attempt %d, ending in %v", s.Times, s.Attempt, s.Result.Err)
	case begin:
		return fmt.Sprintf("begin attempt %d", s.Attempt)
	case land:
		return fmt.Sprintf("land %d, ending in %v", s.Which, s.Result.Err)
	case wait:
		return fmt.Sprintf("wait %v", s.Wait)
	case edge:
		return fmt.Sprintf("wait for edge %d and %v", s.Which, s.Wait)
	case publish:
		return fmt.Sprintf("publish phi %.3g, retries %v, by %v, lately %v, era back %v", s.Advice.Phi.Float(), s.Advice.Mode, s.Advice.Source, s.Advice.Lately, s.Back)
	default:
		return "look"
	}
}

type what uint8

const (
	call    what = iota // attempts that take no time
	begin               // an attempt that ends by land
	land                // ends one that has begun
	wait                // lets time pass
	edge                // lets time pass until something is due
	publish             // changes the advice
	look                // compares State
)

// result is how an attempt ends: what the guarded function does, and what that
// is as an outcome.
type result struct {
	Err     error
	Outcome coord.Outcome
}

var (
	errDown  = errors.New("down")
	errPanic = errors.New("panic")
)

var (
	success = result{nil, coord.Success}
	failure = result{errDown, coord.Failure}
	results = []result{
		success, success, failure, failure, failure, failure,
		{context.DeadlineExceeded, coord.Slow},
		{errPanic, coord.Failure},
		{breaker.Neutral(errDown), coord.Neutral},
	}
)

// advices are what a cluster may publish; how many stewards are fresh is drawn.
var advices = []coord.Advice{
	{Phi: coord.PhiFull}, {Phi: coord.PhiFull}, {Phi: coord.PhiFull}, {Phi: coord.PhiFull},
	{Phi: coord.PhiFull, Mode: coord.RetryRatio, Source: coord.SourceCluster},
	{Phi: coord.PhiFull, Mode: coord.RetryNone, Source: coord.SourceCluster},
	{Phi: coord.PhiFull, Source: coord.SourceOperator},
	{Phi: coord.PhiOf(.6), Mode: coord.RetryNone, Source: coord.SourceCluster},
	{Phi: coord.PhiOf(.05), Mode: coord.RetryNone, Source: coord.SourceCluster},
	{Phi: 0, Mode: coord.RetryNone, Source: coord.SourceOperator},
}

func drawConfig(t *rapid.T, openTimes []time.Duration) Config {
	return Config{
		// The last three have an eleventh bucket.
		Window: rapid.SampledFrom([]time.Duration{
			0, time.Second, 10 * time.Millisecond, 3300 * time.Millisecond,
			time.Second + 7, 10*time.Second - 1, 10*time.Millisecond + 9,
		}).Draw(t, "window"),
		OpenTimeout:         rapid.SampledFrom(openTimes).Draw(t, "open timeout"),
		MinRequests:         rapid.SampledFrom([]int{3, 1, 2, 5, 12, 0, -1}).Draw(t, "min requests"),
		FailureRatio:        rapid.SampledFrom([]float64{.5, .2, 1. / 3, 1, 0}).Draw(t, "ratio"),
		ConsecutiveFailures: rapid.SampledFrom([]int{2, 1, 3, 4, 6, 0, -1}).Draw(t, "in a row"),
	}
}

func drawTrace(t *rapid.T, sub subject) trace {
	tr := trace{
		Config:  drawConfig(t, sub.openTime),
		Born:    rapid.SampledFrom([]time.Duration{0, 0, 123456789, -time.Second, time.Hour}).Draw(t, "born"),
		Alone:   rapid.IntRange(0, 4).Draw(t, "alone") == 4,
		Watched: rapid.IntRange(0, 2).Draw(t, "watched") == 2,
	}
	if tr.Config.MinRequests < 0 && tr.Config.ConsecutiveFailures < 0 {
		tr.Alone = false // else it would not be a config
	}
	tr.Alone = tr.Alone || sub.jitter == jitterNone
	kinds := []what{call, call, call, begin, begin, begin, land, land, land, wait, wait, edge, edge, edge, look, publish, publish}
	if tr.Alone {
		kinds = kinds[:len(kinds)-2]
	}
	if !tr.Alone {
		for range rapid.IntRange(0, sub.before).Draw(t, "before") {
			tr.Before = append(tr.Before, drawAdvice(t))
		}
	}
	most := rapid.SampledFrom([]int{8, 60, 250}).Draw(t, "most") // a plain range draws mostly short ones
	for range rapid.IntRange(most/2, most).Draw(t, "steps") {
		tr.Steps = append(tr.Steps, drawStep(t, rapid.SampledFrom(kinds).Draw(t, "do")))
	}
	return tr
}

func drawStep(t *rapid.T, do what) step {
	s := step{Do: do}
	switch do {
	case call:
		s.Times = rapid.SampledFrom([]int{1, 1, 1, 2, 3, 9, 21}).Draw(t, "times")
	case land:
		s.Which = rapid.IntRange(0, 5).Draw(t, "which")
	case wait:
		s.Wait = rapid.SampledFrom([]time.Duration{
			time.Millisecond, 1, 3, 12, time.Second / 10, 330 * time.Millisecond, time.Second,
			1900 * time.Millisecond, 2 * time.Second, 7 * time.Second, 11 * time.Second, 40 * time.Second,
		}).Draw(t, "wait")
	case edge:
		s.Wait = time.Duration(rapid.IntRange(-1, 1).Draw(t, "off"))
		s.Which = rapid.IntRange(0, 2).Draw(t, "which")
	case publish:
		s.Advice = drawAdvice(t)
		s.Back = rapid.IntRange(0, 7).Draw(t, "back") == 7
	}
	if do == call || do == land {
		s.Result = rapid.SampledFrom(results).Draw(t, "result")
	}
	if do == call || do == begin {
		s.Attempt = rapid.SampledFrom([]int{1, 1, 2}).Draw(t, "attempt")
		s.Once = rapid.Bool().Draw(t, "once")
	}
	return s
}

func drawAdvice(t *rapid.T) coord.Advice {
	a := rapid.SampledFrom(advices).Draw(t, "advice")
	a.Lately = rapid.Bool().Draw(t, "lately")
	return a
}
