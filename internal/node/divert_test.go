package node_test

import (
	"math"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/law"
	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// away is a member of zone "z" that is at home elsewhere than at endpoint e.
func away(t tester) *single {
	s := newMember(t)
	s.samples[0].Endpoints[0].Place = coord.Place{Zone: "z", Away: true}
	s.tick()
	return s
}

func shared(sigma ...float64) (rows []wire.VerdictRow) {
	for _, x := range sigma {
		row := closed
		row.Good, row.Zones = 100, []wire.ZoneShare{{Name: "y", Sigma: 255}, {Name: "z", Sigma: coord.ShareOf(x)}}
		rows = append(rows, row)
	}
	return rows
}

// No steward alone says how much may go elsewhere, and none that is old.
func TestSigmaIsTheSecondLargest(t *testing.T) {
	for _, tc := range []struct {
		sigma []float64
		want  float64
	}{
		{[]float64{.8}, 0},
		{[]float64{.8, .2}, .2},
		{[]float64{.8, .2, .4}, .4},
		{[]float64{0, 0, 1}, 0},
	} {
		s := away(t)
		for i, row := range shared(tc.sigma...) {
			s.hear(s.stewards[i], row)
		}
		s.wait(10 * time.Second) // it rises slowly
		if got := s.advice.Sigma; got != coord.ShareOf(tc.want) {
			t.Errorf("of %v sigma is %v, want %v", tc.sigma, got.Float(), tc.want)
		}
	}
	s := away(t)
	for i, row := range shared(.5, .5, .5) {
		s.hear(s.stewards[i], row)
	}
	s.wait(14 * time.Second) // while all is well it counts for 15 s
	if s.advice.Sigma == 0 {
		t.Error("forgotten too soon")
	}
	if s.wait(2 * time.Second); s.advice.Sigma != 0 {
		t.Errorf("sigma is still %v", s.advice.Sigma.Float())
	}
	other := newMember(t) // of a zone that nobody speaks of
	for i, row := range shared(.5, .5, .5) {
		other.hear(other.stewards[i], row)
	}
	if other.advice.Sigma != 0 {
		t.Error("what is another zone's is taken for its own")
	}
}

// TestSigmaRisesSlowly: whatever stewards say from one moment to the next, a member's
// share grows by a tenth a second, above what all that its zone wants may use; it falls
// at once.
func TestSigmaRisesSlowly(t *testing.T) {
	s := away(t)
	say := func(x float64) {
		for i, row := range shared(x, x, x) {
			s.hear(s.stewards[i], row)
		}
	}
	say(.1)
	s.wait(5 * time.Second)
	from, was := s.now, s.advice.Sigma.Float()
	say(.9)
	for range 20 {
		s.tick()
		if most := was + .1*(s.now-from).Seconds() + .004; s.advice.Sigma.Float() > most {
			t.Fatalf("sigma is %.3f after %v; it was %.3f", s.advice.Sigma.Float(), s.now-from, was)
		}
	}
	if got := s.advice.Sigma.Float(); got < .58 || got > .61 {
		t.Errorf("after five seconds sigma is %.3f", got)
	}
	if say(.2); s.advice.Sigma != coord.ShareOf(.2) {
		t.Errorf("sigma falls to %.3f only", s.advice.Sigma.Float())
	}
}

// TestPlanOutlivesStewards: a member that hears its stewards no more follows their plan
// for a while, by what it remembers of it; and then nothing.
func TestPlanOutlivesStewards(t *testing.T) {
	for _, tc := range []struct {
		capacity, good, own float64
		want                float64
	}{
		{400, 150, 200, 102. / 480}, // usable are 302 of 400
		{0, 250, 200, 50. / 480},    // what has been borne
		{0, 150, 200, 0},
		{4000, 250, 200, 1},
	} {
		s := newMember(t)
		s.samples[0].Endpoints[0].Place = coord.Place{Zone: "z"}
		s.samples[0].Endpoints = append(s.samples[0].Endpoints, coord.Sample{
			Endpoint: "f", Phi: coord.PhiFull, Place: coord.Place{Zone: "z", Away: true, Capacity: tc.capacity},
		})
		s.tick()
		var there coord.Advice // at f
		look := func() {
			for _, a := range s.out.Advice {
				if a.Endpoint == "f" {
					there = a.Advice
				}
			}
		}
		home, away := closed, closed
		home.Zones = []wire.ZoneShare{{Name: "z", Memory: 480}}
		away.Endpoint, away.Good, away.Zones = "f", tc.good, []wire.ZoneShare{{Name: "y", Memory: tc.own}, {Name: "z", Sigma: 3}}
		for _, name := range s.stewards {
			s.hear(name, home, away)
			look()
		}
		pass := func(d time.Duration) {
			for end := s.now + d; s.now < end; {
				s.tick()
				look()
			}
		}
		if pass(14 * time.Second); there.Sigma != 3 || !there.Planned {
			t.Errorf("%+v: what stewards say is not followed: %+v", tc, there)
		}
		pass(2 * time.Second)
		if got := there.Sigma.Float(); math.Abs(got-tc.want) > .004 || !there.Planned || there.Fresh > 0 {
			t.Errorf("%+v: sigma is %.3f, want %.3f: %+v", tc, got, tc.want, there)
		}
		if pass(40 * time.Second); !there.Planned {
			t.Errorf("%+v: the plan is forgotten too soon", tc)
		}
		if pass(5 * time.Second); there.Planned || there.Sigma != 0 {
			t.Errorf("%+v: the plan is still followed: %+v", tc, there)
		}
	}
}

// While something is amiss, what the stewards have said counts for five seconds.
func TestSigmaExpiresSoonerInTrouble(t *testing.T) {
	s := away(t)
	s.samples[0].Endpoints = append(s.samples[0].Endpoints, coord.Sample{Endpoint: "home", Phi: coord.PhiFull})
	s.tick()
	for i, row := range shared(.5, .5, .5) {
		s.hear(s.stewards[i], row)
	}
	trouble := notLoad
	trouble.Endpoint = "home"
	for end := s.now + 4*time.Second; s.now < end; {
		for _, x := range s.stewards {
			s.hear(x, trouble)
		}
		s.tick()
	}
	if s.advice.Sigma == 0 {
		t.Error("forgotten too soon")
	}
	for end := s.now + 2*time.Second; s.now < end; {
		for _, x := range s.stewards {
			s.hear(x, trouble)
		}
		s.tick()
	}
	if s.advice.Sigma != 0 {
		t.Errorf("sigma is still %v", s.advice.Sigma.Float())
	}
}

// planning is a steward that hears members of two zones, each at home at the
// endpoint of its name.
type planning struct {
	*single
	demand, sent map[string]uint64 // by zone and by endpoint, so far
	slow, failed map[string]uint64
	fails        string // the endpoint where everything fails
	cast         []wire.VerdictRow
}

func newPlanning(t tester) *planning {
	return &planning{newSteward(t), map[string]uint64{}, map[string]uint64{}, map[string]uint64{}, map[string]uint64{}, "", nil}
}

// sigma is what rows say that zone a may divert to b, if they speak of b.
func sigma(rows []wire.VerdictRow) (last wire.ZoneShare, told bool) {
	for _, row := range rows {
		if row.Endpoint != "b" {
			continue
		}
		told, last = true, wire.ZoneShare{}
		for _, z := range row.Zones {
			if z.Name == "a" {
				last = z
			}
		}
	}
	return last, told
}

func (p *planning) run(d time.Duration, diverted uint64, slow bool) (told []wire.VerdictRow) {
	for end := p.now + d; p.now < end; {
		for i, zone := range []string{"a", "b"} {
			for j, e := range []string{"a", "b"} {
				row := wire.ReportRow{Service: "svc", Health: 255, Sample: coord.Sample{
					Endpoint: e, Phi: coord.PhiFull, Timeout: time.Second,
					Place: coord.Place{Zone: zone, Away: i != j, Capacity: 400},
				}}
				n := diverted
				if i == j {
					n = 25
					p.demand[zone] += n
					row.Totals.Demand = p.demand[zone]
				} else if e == "a" {
					n = 0
				}
				k := zone + e
				p.sent[k] += n
				if slow && e == "b" {
					p.slow[k] += n
				}
				if e == p.fails {
					p.failed[k] += n
				}
				row.Totals.FailSlow = p.failed[k]
				row.Totals.OK, row.Totals.OKLatency = p.sent[k]-p.failed[k], time.Duration(p.sent[k])*time.Millisecond
				row.Flow = coord.Flow{Sent: p.sent[k], Strained: p.slow[k]}
				p.report(p.others[i], row)
			}
		}
		out := p.tick()
		for _, x := range out.Casts {
			if m, err := wire.Decode(x.Data); err == nil && m.Verdicts != nil {
				p.cast = append(p.cast, m.Verdicts.Rows...)
			}
		}
		for _, x := range out.Sends {
			if m, err := wire.Decode(x.Data); err == nil && m.Verdicts != nil && x.To == p.others[0] {
				told = append(told, m.Verdicts.Rows...)
			}
		}
	}
	return told
}

// A steward tells how much may go elsewhere, and at once when that comes to
// nothing.
func TestStewardTellsShares(t *testing.T) {
	p := newPlanning(t)
	if last, told := sigma(p.run(20*time.Second, 0, false)); !told || last.Sigma == 0 || last.Memory != 0 {
		t.Fatalf("zone a is told %+v of b", last)
	}
	for p.now%(5*time.Second) != time.Second { // not when it is told anyhow
		p.run(law.Tick, 2, false)
	}
	if last, told := sigma(p.run(1500*time.Millisecond, 2, true)); !told || last.Sigma != 0 {
		t.Errorf("b is strained; zone a is told %+v", last)
	}
	if s := p.node.Stats(); s.Dropped[node.DropFull] > 0 {
		t.Errorf("%+v", s)
	}
}

// What a steward says of an endpoint that it dims tells nobody to divert to it, not
// even when it says so first.
func TestNothingGoesToWhatIsDimmed(t *testing.T) {
	p := newPlanning(t)
	p.run(20*time.Second, 2, false)
	p.fails = "b"
	told := p.run(5*time.Second, 2, false)
	if last, _ := sigma(p.cast); last.Memory != 0 || len(p.cast) == 0 {
		t.Fatalf("%+v", p.cast)
	}
	for _, row := range append(told, p.cast...) {
		for _, z := range row.Zones {
			if row.Endpoint == "b" && row.State != wire.Closed && z.Sigma > 0 {
				t.Fatalf("b is %v and zone %s may divert %.2f to it", row.State, z.Name, z.Sigma.Float())
			}
		}
	}
}

// A share that has grown since it was last news, and was told with the others, is
// news again as soon as it falls.
func TestFallFromWhatWasTold(t *testing.T) {
	told := []wire.ZoneShare{{Name: "y", Sigma: 200}, {Name: "z", Sigma: 100}}
	again := node.MostShares(told, []wire.ZoneShare{{Name: "y", Sigma: 100}, {Name: "z", Sigma: 120}})
	for _, tc := range []struct {
		y, z coord.Share
		news bool
	}{{200, 120, false}, {200, 109, false}, {200, 107, true}, {179, 120, true}, {181, 120, false}, {200, 147, true}} {
		if got := node.SharesNews(again, []wire.ZoneShare{{Name: "y", Sigma: tc.y}, {Name: "z", Sigma: tc.z}}); got != tc.news {
			t.Errorf("from %+v to %d and %d: news %v, want %v", again, tc.y, tc.z, got, tc.news)
		}
	}
	if told[1].Sigma != 100 {
		t.Error("what was told has been overwritten")
	}
}

// Who comes to office knows what zones want, if two of those before have said so,
// whether it uses the service or not; and what one alone says later does not undo it.
func TestMemoryOutlivesStewards(t *testing.T) {
	for _, uses := range []bool{false, true} {
		p := newPlanning(t)
		if uses {
			p.samples = []node.Samples{{Service: "svc", Endpoints: []coord.Sample{{Endpoint: "b", Phi: coord.PhiFull}}}}
		}
		row := closed
		row.Endpoint, row.Good, row.Zones = "b", 900, []wire.ZoneShare{{Name: "b", Memory: 700}, {Name: "c", Memory: 100}}
		for _, x := range p.stewards {
			p.hear(x, row)
		}
		row.Zones = []wire.ZoneShare{{Name: "b", Memory: 3}, {Name: "d", Memory: 400}}
		p.hear(p.stewards[0], row)
		p.wait(20 * time.Second) // the one side of a partition
		var zones []wire.ZoneShare
		var good float64
		for _, row := range p.run(2*time.Second, 0, false) {
			if row.Endpoint == "b" {
				zones, good = row.Zones, row.Good
			}
		}
		wants := map[string]float64{}
		for _, z := range zones {
			wants[z.Name] = z.Memory
		}
		if good < 900 || wants["b"] < 650 || wants["c"] < 90 || wants["d"] > 0 {
			t.Errorf("uses it %v: good %v, zones %+v", uses, good, zones)
		}
	}
}
