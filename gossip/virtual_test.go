package gossip

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/race"
)

// Members that miss somebody's arrival, by a lost packet, learn of it from the
// next exchange of whole lists, within a minute or two.

// size is how many members the tests in virtual time have.
func size(t *testing.T) int {
	if race.Enabled {
		t.Skip("many timers in one bubble trouble the race detector; members on real sockets are tested under it")
	}
	if testing.Short() {
		return 10
	}
	return 50
}

// A fleet dims an endpoint that fails slowly, within a few seconds and all
// alike, lets about three probes a second through while it is down, and comes
// back to full when it has recovered.
func TestFleetDimsAndRecovers(t *testing.T) {
	n := size(t)
	synctest.Test(t, func(t *testing.T) {
		const seed = 1
		f := launch(t, n, seed)
		f.until(t, "complete lists", 3*time.Minute, f.complete(n))
		rng := rand.New(rand.NewPCG(seed, 2))
		healthy := true
		let, wanted := 0, 0
		load := func() { // each member wants 40 first tries a second
			for _, ep := range f.eps {
				for range 2 {
					wanted++
					adv := ep.Advice()
					spread := rng.Uint32()
					ep.Wanted(spread)
					if coord.Phi(rng.Uint32N(65536)) > adv.Phi {
						continue
					}
					let++
					at := ep.Send(adv, 200*time.Millisecond, false, spread)
					if healthy {
						at.End(coord.Success, 5*time.Millisecond)
					} else {
						at.End(coord.Slow, 200*time.Millisecond)
					}
				}
			}
		}
		count := func(ok func(*coord.Advice) bool) (n int) {
			for _, ep := range f.eps {
				if ok(ep.Advice()) {
					n++
				}
			}
			return n
		}
		f.until(t, "verdicts everywhere", 20*time.Second, func() bool {
			load()
			return count((*coord.Advice).Coordinated) == n
		})
		for range 100 {
			load()
			time.Sleep(tick / 5)
		}
		if k := count((*coord.Advice).InForce); k > 0 {
			t.Fatalf("%d members restrict a healthy endpoint", k)
		}
		wellInformed := func(oldest time.Duration) {
			for _, m := range f.members {
				if h := m.Health(); h.Disagree > 0 || h.VerdictAgeP50 <= 0 || h.VerdictAgeP99 < h.VerdictAgeP50 || h.VerdictAgeP99 > oldest {
					t.Errorf("verdicts are %v and %v old; disagreements: %+v", h.VerdictAgeP50, h.VerdictAgeP99, h.Disagreements)
				}
			}
		}
		wellInformed(7 * time.Second)

		healthy = false
		f.until(t, "dimmed everywhere", 5*time.Second, func() bool {
			load()
			return count(func(a *coord.Advice) bool { return a.Phi < coord.PhiFull && a.Mode == coord.RetryNone }) == n
		})
		f.until(t, "probes only", 20*time.Second, func() bool {
			load()
			return count(func(a *coord.Advice) bool { return a.Phi.Float() < .02 }) == n
		})
		let, wanted = 0, 0
		for range 400 { // 20 s
			load()
			time.Sleep(tick / 5)
		}
		wellInformed(3 * time.Second)
		t.Logf("%.1f probes a second of %d wanted", float64(let)/20, wanted/20)
		if rate := float64(let) / 20; rate < 1 || rate > 6 {
			t.Errorf("%.1f probes a second, want about 3", rate)
		}

		healthy = true
		f.until(t, "full again everywhere", 2*time.Minute, func() bool {
			load()
			return count(func(a *coord.Advice) bool { return !a.InForce() }) == n
		})
		for _, m := range f.members {
			if h := m.Health(); h.Mode != ModeCoordinated || h.Coverage < .99 || h.Endpoints != 1 || h.LateTicks > 0 {
				t.Errorf("health %+v", h)
			}
		}
	})
}

// A split that lasts for so long that both sides have forgotten each other
// heals by the rejoin loop.
func TestSplitHeals(t *testing.T) {
	n := size(t)
	synctest.Test(t, func(t *testing.T) {
		f := launch(t, n, 2)
		f.until(t, "complete lists", 3*time.Minute, f.complete(n))
		var away []string
		for _, m := range f.members[n/2:] { // the seeds are on the other side
			away = append(away, m.Addr())
		}
		f.net.Split(away...)
		f.until(t, "two halves", 3*time.Minute, f.complete(n/2))
		time.Sleep(time.Second)
		for _, m := range f.members {
			if h := m.Health(); !h.SplitSuspected || h.Missing != n-n/2 && h.Missing != n/2 {
				t.Errorf("in two halves: split suspected %v, %d missing", h.SplitSuspected, h.Missing)
			}
		}
		time.Sleep(5 * time.Minute)
		if h := f.members[0].Health(); h.SplitSuspected || h.Missing != 0 {
			t.Errorf("after five minutes: split suspected %v, %d missing", h.SplitSuspected, h.Missing)
		}
		f.net.Split()
		f.until(t, "complete lists again", 3*time.Minute, f.complete(n))
	})
}

// A member that loses everybody works alone and says so; it comes back by
// itself. Its advice meanwhile is held, fades, and ends.
func TestLostMemberFadesToLocalRules(t *testing.T) {
	n := min(size(t), 6)
	synctest.Test(t, func(t *testing.T) {
		f := launch(t, n, 3)
		f.until(t, "complete lists", 3*time.Minute, f.complete(n))
		lost, ep := f.members[n-1], f.eps[n-1]
		f.until(t, "dimmed", 10*time.Second, func() bool {
			for _, ep := range f.eps {
				call(ep, false)
			}
			return ep.Advice().Phi.Float() <= .25
		})
		for range 60 { // 3 s: a steward that had not tripped yet would still count as "closed" for 15 s
			for _, ep := range f.eps {
				call(ep, false)
			}
			time.Sleep(tick / 5)
		}
		f.net.Split(lost.Addr())
		phi := ep.Advice().Phi
		cut := time.Now()
		f.until(t, "local rules", 40*time.Second, func() bool {
			call(ep, false)
			now := ep.Advice()
			if now.Phi < phi && now.Fresh < 2 {
				t.Fatalf("phi fell from %v to %v with %d fresh verdicts", phi, now.Phi, now.Fresh)
			}
			phi = now.Phi
			return !now.InForce()
		})
		if took := time.Since(cut); took < 10*time.Second {
			t.Errorf("local rules %v after the loss, want it held 10 s", took)
		}
		f.until(t, "solitude", 2*time.Minute, func() bool { return lost.Health().Mode == ModeAlone })
		f.net.Split()
		f.until(t, "return", 2*time.Minute, func() bool { return lost.Health().Members == n })
	})
}

// A member that crashes is missed within a few seconds, and its stewardship
// goes to others without the endpoint being let go.
func TestStewardsCrash(t *testing.T) {
	n := size(t)
	synctest.Test(t, func(t *testing.T) {
		f := launch(t, n, 4)
		f.until(t, "complete lists", 3*time.Minute, f.complete(n))
		var alive []*coord.Endpoint
		var dead int
		load := func() {
			for i, ep := range f.eps {
				if i != dead || alive == nil {
					call(ep, false)
				}
			}
		}
		f.until(t, "dimmed everywhere", 10*time.Second, func() bool {
			load()
			for _, ep := range f.eps {
				if !ep.Advice().InForce() {
					return false
				}
			}
			return true
		})
		steward := f.eps[0].Advice().Evidence.Steward
		for i, m := range f.members {
			if m.name == steward {
				dead = i
				continue
			}
			alive = append(alive, f.eps[i])
		}
		if err := f.members[dead].transport.Shutdown(); err != nil { // no goodbye
			t.Fatal(err)
		}
		f.until(t, "loss noticed", time.Minute, func() bool {
			load()
			for i, m := range f.members {
				if i != dead && len(m.Members()) != n-1 {
					return false
				}
			}
			return true
		})
		for range 20 * 4 * 5 { // 20 s
			load()
			time.Sleep(tick / 5)
			for _, ep := range alive {
				if a := ep.Advice(); !a.InForce() || a.Fresh > 0 && a.Fresh < 2 && a.Phi == coord.PhiFull {
					t.Fatalf("let go with the steward gone: %+v", a)
				}
			}
		}
		for _, ep := range alive {
			if a := ep.Advice(); a.Evidence.Steward == steward || a.Fresh != 3 {
				t.Errorf("advice %+v", a)
			}
		}
	})
}
