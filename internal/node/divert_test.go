package node_test

import (
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
	at := newMember(t) // at home
	for i, row := range shared(.5, .5, .5) {
		at.hear(at.stewards[i], row)
	}
	if at.advice.Sigma != 0 {
		t.Error("what fails at home is to be sent home")
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
	slow         map[string]uint64
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
				row.Totals.OK, row.Totals.OKLatency = p.sent[k], time.Duration(p.sent[k])*time.Millisecond
				row.Flow = coord.Flow{Sent: p.sent[k], Strained: p.slow[k]}
				p.report(p.others[i], row)
			}
		}
		out := p.tick()
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
	p := &planning{newSteward(t), map[string]uint64{}, map[string]uint64{}, map[string]uint64{}}
	var last wire.ZoneShare
	sigma := func(rows []wire.VerdictRow) (told bool) {
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
		return told
	}
	if !sigma(p.run(20*time.Second, 0, false)) || last.Sigma == 0 || last.Memory != 0 {
		t.Fatalf("zone a is told %+v of b", last)
	}
	for p.now%(5*time.Second) != time.Second { // not when it is told anyhow
		p.run(law.Tick, 2, false)
	}
	if !sigma(p.run(1500*time.Millisecond, 2, true)) || last.Sigma != 0 {
		t.Errorf("b is strained; zone a is told %+v", last)
	}
	if s := p.node.Stats(); s.Dropped[node.DropFull] > 0 {
		t.Errorf("%+v", s)
	}
}
