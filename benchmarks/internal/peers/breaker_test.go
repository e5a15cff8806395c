package peers

import (
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	upstream "github.com/sony/gobreaker/v2"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// goes reports whether an attempt may be sent; it then ends as told.
func goes(c sim.Client, now time.Duration, o sim.Outcome) bool {
	a := &sim.Attempt{N: 1}
	if !c.Admit(now, a) {
		return false
	}
	c.End(now, a, o, 0)
	return true
}

func TestGobreakerTimeline(t *testing.T) {
	c := newGobreaker(sim.Start, env(1))
	now := sim.Start
	check := func(what string, want bool, o sim.Outcome) {
		t.Helper()
		if got := goes(c, now, o); got != want {
			t.Errorf("%s: goes is %v", what, got)
		}
	}
	times(5, func() { check("closed", true, sim.Failed) })
	check("five failures are not six", true, sim.OK)
	for range 5 {
		now += time.Hour // a row has no age
		check("closed", true, sim.TimedOut)
	}
	check("the sixth in a row opens", true, sim.Failed)
	check("open", false, sim.OK)
	now += 60 * time.Second
	check("open for 60 s", false, sim.OK)
	now++
	probe := &sim.Attempt{N: 1}
	if !c.Admit(now, probe) {
		t.Fatal("there is no probe")
	}
	check("one probe at a time", false, sim.OK)
	now += time.Second
	c.End(now, probe, sim.Failed, 0)
	check("a failed probe opens again", false, sim.OK)
	now += 60*time.Second + 1
	check("the next probe", true, sim.OK)
	times(5, func() { check("closed, nothing counted", true, sim.Failed) })

	// Results that come too late are dropped: of two attempts in flight when
	// it opens, neither closes it nor counts.
	late := []*sim.Attempt{{N: 1}, {N: 1}}
	c.Admit(now, late[0])
	c.Admit(now, late[1])
	check("opens", true, sim.Failed)
	c.End(now, late[0], sim.OK, 0)
	check("open", false, sim.OK)
	now += 60*time.Second + 1
	c.Admit(now, probe)
	c.End(now, late[1], sim.Failed, 0)
	c.End(now, probe, sim.OK, 0)
	check("closed", true, sim.OK)
}

// TestRefusalEndsCall: the breaker opens at the second call's third attempt, and
// that is the call's last.
func TestRefusalEndsCall(t *testing.T) {
	c := newGobreaker(sim.Start, env(1))
	if _, _, sent := call(c, sim.Start, 0, sim.Failed); sent != 4 {
		t.Errorf("the first call made %d attempts", sent)
	}
	if _, waits, sent := call(c, sim.Start+time.Second, 0, sim.Failed); sent != 2 || len(waits) != 2 {
		t.Errorf("the second call made %d attempts", sent)
	}
}

// TestGobreakerIsGobreaker runs both on the same random traces.
func TestGobreakerIsGobreaker(t *testing.T) {
	opened, seeds := 0, uint64(300)
	if testing.Short() {
		seeds = 50
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) { opened += twins(t, seed) })
	}
	if opened < int(seeds) {
		t.Errorf("%d openings in %d traces: they do not test much", opened, seeds)
	}
}

type twin struct {
	a    *sim.Attempt
	done func(error)
}

// twins runs one trace, and returns how often the breaker was seen to open.
func twins(t *testing.T, seed uint64) (opened int) {
	r := rand.New(rand.NewPCG(seed, 0))
	begin := time.Now()
	ours := newGobreaker(0, env(1)).(*gobreaker)
	theirs := upstream.NewTwoStepCircuitBreaker[struct{}](upstream.Settings{})
	bad := r.Float64()
	pauses := []time.Duration{0, 0, 0, time.Millisecond, time.Second, 59 * time.Second, 60 * time.Second, 60*time.Second + 1, time.Hour}
	var flying []twin
	was := theirs.State()
	for i := range 400 {
		if len(flying) == 0 || r.IntN(2) == 0 {
			a := &sim.Attempt{N: 1}
			went := ours.Admit(time.Since(begin), a)
			done, err := theirs.Allow()
			if went != (err == nil) {
				t.Fatalf("seed %d, step %d: ours lets it go: %v, gobreaker says %v", seed, i, went, err)
			}
			if went {
				flying = append(flying, twin{a, done})
			}
		} else {
			k := r.IntN(len(flying))
			f := flying[k]
			flying = append(flying[:k], flying[k+1:]...)
			var err error
			o := sim.OK
			if r.Float64() < bad {
				err, o = errors.New("bad"), sim.Failed
			}
			ours.End(time.Since(begin), f.a, o, 0)
			f.done(err)
		}
		ours.advance(time.Since(begin))
		state, n := theirs.State(), theirs.Counts()
		if ours.state.String() != state.String() {
			t.Fatalf("seed %d, step %d: ours is %v, gobreaker %v", seed, i, ours.state, state)
		}
		if int(n.ConsecutiveFailures) != ours.present.inRow || int(n.Requests) != ours.present.requests {
			t.Fatalf("seed %d, step %d: ours counts %+v, gobreaker %+v", seed, i, *ours.present, n)
		}
		if state == upstream.StateOpen && was != state {
			opened++
		}
		was = state
		time.Sleep(pauses[r.IntN(len(pauses))]) // in the bubble's time
	}
	return opened
}

func TestBreaker10s(t *testing.T) {
	now := sim.Start
	for _, c := range []struct {
		name string
		ends []sim.Outcome // from the first on, a tenth of a second apart
		open bool
	}{
		{"nine in a row", repeat(9, sim.Failed), false},
		{"ten in a row", repeat(10, sim.TimedOut), true},
		{"19 requests", repeat(6, sim.Failed, sim.OK, sim.Failed), false},
		{"20 requests, half of them failed", append(repeat(9, sim.OK, sim.Failed), sim.OK, sim.Failed), true},
		{"20 requests, nine failed", append(repeat(9, sim.OK, sim.Failed), sim.OK, sim.OK), false},
	} {
		b := newBreaker10s(now, env(1))
		for i, o := range c.ends {
			if !goes(b, now+time.Duration(i)*100*time.Millisecond, o) {
				t.Errorf("%s: opened before attempt %d", c.name, i+1)
			}
		}
		end := now + time.Duration(len(c.ends)-1)*100*time.Millisecond
		if got := !goes(b, end, sim.OK); got != c.open {
			t.Errorf("%s: open is %v", c.name, got)
		}
		if !c.open {
			continue
		}
		if goes(b, end+10*time.Second, sim.OK) {
			t.Errorf("%s: there is a probe within 10 s", c.name)
		}
		probe := &sim.Attempt{N: 1}
		if !b.Admit(end+11*time.Second+1, probe) || b.Admit(end+11*time.Second+2, &sim.Attempt{N: 1}) {
			t.Errorf("%s: there is not one probe after 11 s", c.name)
		}
		b.End(end+12*time.Second, probe, sim.OK, 0)
		if !goes(b, end+12*time.Second, sim.OK) {
			t.Errorf("%s: a good probe does not close it", c.name)
		}
	}
}

func repeat(n int, o ...sim.Outcome) (all []sim.Outcome) {
	for range n {
		all = append(all, o...)
	}
	return all
}

// TestBreaker10sSpreadsProbes: the breakers of a fleet that opened together do
// not probe together.
func TestBreaker10sSpreadsProbes(t *testing.T) {
	e := env(1)
	early := 0
	for range 1000 {
		b := newBreaker10s(sim.Start, e)
		for range 10 {
			goes(b, sim.Start, sim.Failed)
		}
		if goes(b, sim.Start+10500*time.Millisecond, sim.OK) {
			early++
		}
	}
	if early < 400 || early > 600 {
		t.Errorf("%d of 1000 probe within 10.5 s, want half", early)
	}
}
