package standin

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/internal/coord"
)

// subject says which original a trace is played on, and what is done about the
// jitter of its open time, which it draws from a source that cannot be set.
type subject struct {
	original func(breaker.Config) original
	jitter   jitter
	openTime []time.Duration
	before   int // how often advice may be published before the original is made
}

type jitter uint8

const (
	// The original's refusals tell how long it stays open, and the stand-in's
	// open time is set to that. Then both must agree to the nanosecond.
	jitterRead jitter = iota
	// Each keeps its own, and no step ends where they may differ: from
	// OpenTimeout to 1.1 OpenTimeout after an opening. So that this is the
	// only such place, a probe must be given up after 10 s in any case.
	jitterSkipped
	// The original has none, and gives up no probe; so each ends in time.
	jitterNone
)

var (
	byDo = subject{
		original: func(c breaker.Config) original { return doer{breaker.New("a", c)} },
		openTime: []time.Duration{2 * time.Second, 9, 1, 30 * time.Millisecond, 0, 12 * time.Second},
		before:   2,
	}
	byAllow = subject{
		original: func(c breaker.Config) original { return newAllower(breaker.New("a", c)) },
		openTime: byDo.openTime,
	}
	byDoUntouched = subject{
		original: byDo.original, jitter: jitterSkipped,
		openTime: []time.Duration{2 * time.Second, 9, 9 * time.Second, 30 * time.Millisecond},
		before:   2,
	}
	byGobreaker = subject{
		original: newPlain, jitter: jitterNone,
		openTime: byDo.openTime,
	}
)

// follows checks that the stand-in follows a subject on every trace.
func follows(t *testing.T, s subject) {
	t.Helper()
	rapid.Check(t, func(r *rapid.T) {
		if err := play(t, s, drawTrace(r, s), nil); err != nil {
			r.Fatal(err)
		}
	})
}

func TestFollowsDo(t *testing.T)               { follows(t, byDo) }
func TestFollowsAllow(t *testing.T)            { follows(t, byAllow) }
func TestFollowsWithItsOwnJitter(t *testing.T) { follows(t, byDoUntouched) }
func TestFollowsGobreaker(t *testing.T)        { follows(t, byGobreaker) }

// machine is what a stand-in is for its users.
type machine interface {
	Allow(now time.Duration, a *coord.Advice) (Ticket, bool)
	Done(now time.Duration, t Ticket, o coord.Outcome, a *coord.Advice)
	State(now time.Duration) State
}

// play plays a trace on a subject and on a stand-in, in virtual time, and
// reports the first difference. wrong, if not nil, makes another machine of the
// stand-in.
func play(t *testing.T, s subject, tr trace, wrong func(*Breaker) machine) (difference error) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		w := &twins{jitter: s.jitter, began: time.Now(), born: tr.Born}
		c := breaker.Config{
			Service: "svc", Window: tr.Config.Window, OpenTimeout: tr.Config.OpenTimeout, MinRequests: tr.Config.MinRequests,
			FailureRatio: tr.Config.FailureRatio, ConsecutiveFailures: tr.Config.ConsecutiveFailures,
		}
		if !tr.Alone {
			cl := &cluster{coord.NewService("svc")}
			c.Cluster, w.cluster, w.advice = cl, cl, cl.endpoint().Advice()
		}
		for _, a := range tr.Before {
			w.publish(a, false)
		}
		w.original = s.original(c)
		var random *rand.Rand
		if s.jitter != jitterNone {
			random = rand.New(rand.NewPCG(1, 2))
		}
		if tr.Born == 0 {
			w.standIn = New(tr.Config, random, w.advice)
		} else {
			w.standIn = NewAt(tr.Born, tr.Config, random, w.advice)
		}
		w.machine = w.standIn
		if wrong != nil {
			w.machine = wrong(w.standIn)
		}
		difference = w.run(tr)
	})
	return difference
}

// cluster is one that advises what a trace publishes.
type cluster struct{ service *coord.Service }

func (c *cluster) CoordService(string) *coord.Service { return c.service }
func (c *cluster) endpoint() *coord.Endpoint          { return c.service.Endpoint("a") }
