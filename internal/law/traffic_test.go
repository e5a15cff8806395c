package law_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/law"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// TestTraffic: what comes from whom is told apart by where members are at home,
// and one who exaggerates is clamped.
func TestTraffic(t *testing.T) {
	b := newBench(t, 6)
	for i, m := range b.members {
		m.row.Place = coord.Place{Zone: "a", Capacity: 100}
		if i >= 4 {
			m.row.Place = coord.Place{Zone: "b", Away: true, Capacity: 300}
		}
	}
	b.ticks(4, well)
	for i, m := range b.members {
		n := uint64(10)
		if i == 3 {
			n = 1_000_000
		}
		m.see(load{ok: int(n), latency: healthy})
		m.row.Flow.Sent += n
		m.row.Flow.Need += n / 2
		m.row.Flow.Strained += n / 5
	}
	b.tick()
	got := *b.s.Traffic()
	if got.Attempts < 60 || got.Attempts > 120 || got.Foreign != 20 || got.OK < 60 || got.OK > 120 || got.Strained < 12 || got.Strained > 30 || got.Capacity != 100 {
		t.Errorf("%+v", got)
	}
	if len(got.Zones) != 2 || !got.Zones[0].Home || got.Zones[1].Home {
		t.Fatalf("%+v", got.Zones)
	}
	if a := got.Zones[0]; a.Zone != "a" || a.Demand < 40 || a.Demand > 100 || a.Need < 15 || a.Need > 80 {
		t.Errorf("%+v", a)
	}
	if z := got.Zones[1]; z.Zone != "b" || z.Demand != 0 || z.Need != 0 {
		t.Errorf("%+v", z)
	}
}

// TestDivertersClampNobody: many members that divert a little to an endpoint do not make
// what the few want who are at home there look exaggerated; nor do the few at home,
// who want much, let those who divert say what they like.
func TestDivertersClampNobody(t *testing.T) {
	for _, home := range []int{1, 2, 6} {
		b := newBench(t, home+14)
		for i, m := range b.members {
			m.row.Place = coord.Place{Zone: "b"}
			if i >= home {
				m.row.Place = coord.Place{Zone: "a", Away: true}
			}
		}
		for range 40 {
			for i, m := range b.members {
				n := uint64(1)
				switch {
				case i < home:
					n = 20
					m.see(load{ok: int(n), latency: healthy})
				case i == home:
					n = 1_000
				}
				m.row.Flow.Sent += n
			}
			b.tick()
		}
		x := b.s.Traffic()
		wants := 0.
		for _, z := range x.Zones {
			wants += z.Demand
		}
		if n := float64(20 * home); wants != n || x.Attempts < n+13 || x.Attempts > n+13+4 {
			t.Errorf("%d at home want %v and send %v with those who divert; want %v and up to %v", home, wants, x.Attempts, n, n+17)
		}
	}
}

// TestReportsThatWereLost: what members have counted while the network was split does
// not happen at once when it is whole again. Who calls seldom is counted in full.
func TestReportsThatWereLost(t *testing.T) {
	b := newBench(t, 6)
	see := func(m *member, n int) {
		m.see(load{ok: n, latency: healthy})
		m.row.Flow.Sent += uint64(n)
		m.row.Flow.Need += uint64(n)
	}
	for i := range 200 {
		b.now += law.Tick
		for k, m := range b.members {
			see(m, 10)
			if k >= 3 || i < 100 || i >= 180 { // three are not heard for 20 s
				b.report(m)
			}
		}
		b.d = b.s.Step(b.now)
		x := b.s.Traffic()
		if z := x.Zones[0]; i >= 180 && (z.Demand > 90 || z.Need > 90 || x.Attempts > 90 || x.OK > 90) {
			t.Fatalf("%d ticks after the split %v are wanted, %v needed, %v sent, %v well; 60 are usual", i-180, z.Demand, z.Need, x.Attempts, x.OK)
		}
	}

	seldom, n := newBench(t, 3), 0.
	for i := range 400 {
		seldom.now += law.Tick
		for k, m := range seldom.members {
			if i%20 == k { // each 5 s; what has seen no call is not reported
				see(m, 2)
				seldom.report(m)
			}
		}
		seldom.s.Step(seldom.now)
		n += seldom.s.Traffic().Attempts
	}
	if n != 3*20*2 {
		t.Errorf("%v attempts are counted", n)
	}
}

// TestHomeByVoices: where a zone is at home is said by half of those who speak for
// it, or by two.
func TestHomeByVoices(t *testing.T) {
	for _, c := range []struct {
		home, away int
		want       bool
	}{{1, 0, true}, {0, 1, false}, {1, 1, true}, {1, 2, false}, {1, 9, false}, {2, 9, true}, {5, 0, true}} {
		b := newBench(t, c.home+c.away)
		for i, m := range b.members {
			m.row.Place = coord.Place{Zone: "z", Away: i >= c.home}
		}
		b.ticks(2, well)
		z := b.s.Traffic().Zones
		if len(z) != 1 || z[0].Home != c.want || (z[0].Demand > 0) != c.want {
			t.Errorf("%d at home, %d not: %+v", c.home, c.away, z)
		}
	}
}

// TestZonesAreFew: names of zones take no more room than there is.
func TestZonesAreFew(t *testing.T) {
	b := newBench(t, 3*wire.MaxZones)
	for i, m := range b.members {
		m.row.Place.Zone = fmt.Sprint("zone ", i)
	}
	b.ticks(2, well)
	if got := len(b.s.Traffic().Zones); got != wire.MaxZones {
		t.Errorf("%d zones", got)
	}
}

// TestTalkedOfAndNotCalled: a state in the way of an endpoint that members only talk
// of is worth nothing after two minutes; where it is in nobody's way it is kept.
func TestTalkedOfAndNotCalled(t *testing.T) {
	for _, dimmed := range []bool{false, true} {
		b := newBench(t, 3)
		b.ticks(4, well)
		if dimmed {
			b.ticks(12, load{slow: 100})
		}
		if (b.d.State == wire.Dim) != dimmed {
			t.Fatalf("%v", b.d.State)
		}
		b.ticks(int(119 * time.Second / law.Tick))
		if b.s.Idle(b.now) {
			t.Fatal("idle before two minutes are over")
		}
		b.ticks(8)
		if b.s.Idle(b.now) != dimmed {
			t.Errorf("dimmed %v: idle %v", dimmed, b.s.Idle(b.now))
		}
	}
}

// TestClockJumps: two minutes by a clock that has jumped are none.
func TestClockJumps(t *testing.T) {
	b := newBench(t, 3)
	b.ticks(250, well)
	b.ticks(12, load{slow: 100})
	b.now += time.Hour
	if b.tick(); b.d.State != wire.Dim || b.s.Idle(b.now) {
		t.Errorf("%v, idle %v", b.d.State, b.s.Idle(b.now))
	}
}
