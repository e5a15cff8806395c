package gossip

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// call is one first try that times out, or that succeeds.
func call(e *coord.Endpoint, ok bool) {
	const timeout = 100 * time.Millisecond
	spread := rand.Uint32()
	e.Wanted(spread)
	at := e.Send(e.Advice(), timeout, false, spread)
	if ok {
		at.End(coord.Success, 5*time.Millisecond)
	} else {
		at.End(coord.Slow, timeout)
	}
}

// Members that each see a part of an endpoint's failures must act as one: all
// dim it, none an endpoint that is well, and Close ends the advice.
func TestMembersActAsOne(t *testing.T) {
	a := join(t, Config{})
	all := []*cluster{a}
	for range 2 {
		all = append(all, join(t, Config{Seeds: []string{a.Addr()}, RequireSeeds: true}))
	}
	var bad, good []*coord.Endpoint
	for _, m := range all {
		m.waitMembers(t, len(all))
		svc := m.CoordService("payments")
		bad = append(bad, svc.Endpoint("eu"))
		good = append(good, svc.Endpoint("us"))
	}
	poll(t, "all members to dim", func() bool {
		dimmed := 0
		for i := range all {
			for range 4 {
				call(bad[i], false)
				call(good[i], true)
			}
			if bad[i].Advice().Phi < coord.PhiFull {
				dimmed++
			}
		}
		return dimmed == len(all)
	})
	for i, m := range all {
		switch adv := bad[i].Advice(); {
		case adv.Mode != coord.RetryNone || adv.Source != coord.SourceCluster || adv.Fresh < 2 || adv.Evidence.Reporters < 2:
			t.Errorf("advice %+v", adv)
		case coord.Now()-adv.AsOf > 5*time.Second || adv.AsOf > coord.Now():
			t.Errorf("advice is of %v, now is %v", adv.AsOf, coord.Now())
		}
		if adv := good[i].Advice(); adv.InForce() {
			t.Errorf("advice on the other endpoint: %+v", adv)
		}
		// The rate that retry budgets go by.
		poll(t, "the load", func() bool {
			call(good[i], true)
			return m.CoordService("payments").Load() > 0
		})
	}
	m := all[2]
	poll(t, "full coverage", func() bool {
		for i := range all {
			call(good[i], true)
			call(bad[i], false)
		}
		h := m.Health()
		return h.Endpoints == 2 && h.Coverage == 1 && h.Mode == ModeCoordinated
	})
	h := m.Health()
	if h.Sent == 0 || h.Received == 0 || h.Cast == 0 || h.SendErrors > 0 || h.PacketsIn == 0 || h.PacketsOut == 0 {
		t.Errorf("health %+v", h)
	}
	for kind, n := range h.Malformed {
		if n > 0 {
			t.Errorf("%d messages are malformed: %s", n, kind)
		}
	}

	was := bad[2].Advice()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if adv := bad[2].Advice(); adv.InForce() || adv.Fresh != 0 || adv.Era != was.Era+1 || adv.Tag == was.Tag {
		t.Errorf("advice after close %+v", adv)
	}
}
