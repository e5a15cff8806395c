package gossip

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// The coordination tells that it changes no later than the first request fails for it:
// over real sockets, in incidents of every kind. What is asserted is the order of what
// is told, and no time.

// S1: the server stalls.
func TestSignalsOfAStall(t *testing.T) {
	t.Parallel()
	s := newScene(t, 5)
	s.serve("payments")
	s.stall()
	s.waitRefused(20)
	s.recover()
	s.check()
}

// S8: the gossip splits 60 to 40 while the server stalls. Of the stewards one is cut off
// with the smaller side, which has to appoint others.
func TestSignalsOfASplit(t *testing.T) {
	t.Parallel()
	s := newScene(t, 5)
	s.serve("payments")
	s.stall()
	s.waitRefused(5)
	stewards := s.stewarded
	far := []*patient{s.find(stewards[2])}
	for _, p := range s.patients {
		if len(far) < 2 && !slices.Contains(stewards, p.cluster.name) {
			far = append(far, p)
		}
	}
	var ports []int
	for _, p := range far {
		ports = append(ports, int(netip.MustParseAddrPort(p.cluster.Addr()).Port()))
	}
	s.network.Split(ports...)
	s.waitFor("the sides to miss each other", func(p *patient) bool { return p.cluster.Health().Missing > 0 })
	s.waitRefused(5)
	s.recover()
	s.check()
}

// A steward crashes while the server stalls, and then another one: those that are left
// hear one only, until they have appointed others.
func TestSignalsOfStewardsThatCrash(t *testing.T) {
	for crashes := 1; crashes <= 2; crashes++ {
		t.Run(fmt.Sprint(crashes), func(t *testing.T) {
			t.Parallel()
			s := newScene(t, 5)
			s.serve("payments")
			s.stall()
			s.waitRefused(5)
			for _, name := range s.stewarded[:crashes] {
				s.crash(s.find(name))
			}
			s.waitFor("the crash to be noticed", func(p *patient) bool { return p.cluster.Health().Missing == crashes })
			s.waitRefused(20)
			s.recover()
			s.check()
		})
	}
}

// S9: one steward lies. While all is well nobody is refused for it; and that it says
// something else than the others is told before anybody is.
func TestSignalsOfALiar(t *testing.T) {
	for name, lie := range map[string]wire.VerdictRow{
		"closed to all": {Phi: coord.PhiOf(.001), Mode: coord.RetryNone, State: wire.Dim, Reporters: 5, Failures: 90, Outcomes: 90, Window: time.Second},
		"all is well":   {Phi: coord.PhiFull, Reporters: 5, Outcomes: 90, Window: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, 4)
			liar := s.lies(lie)
			disagrees := func(h *Health) bool {
				return slices.ContainsFunc(h.Disagreements, func(d Disagreement) bool { return d.Steward == liar })
			}
			if lie.Phi < coord.PhiFull {
				s.waitFor("the lie to be noticed", func(p *patient) bool { h := p.cluster.Health(); return disagrees(&h) })
				if n := s.log.count(-1, func(l line) bool { return l.what == "failure" }); n > 0 {
					t.Errorf("%d requests failed for what one steward says", n)
				}
			}
			s.stall()
			s.waitRefused(20)
			s.recover()
			s.check()
			for _, p := range s.patients {
				lines := s.log.of(p.id)
				told := slices.IndexFunc(lines, func(l line) bool { return l.what == "health" && disagrees(&l.health) })
				failed := slices.IndexFunc(lines, func(l line) bool { return l.what == "failure" })
				if told < 0 || told > failed {
					t.Errorf("member %d: the first failure is line %d, that somebody disagrees is line %d", p.id, failed, told)
				}
			}
		})
	}
}

// lies lets another member be a steward of the service, and say the same to everybody
// for ever. It returns its name.
func (s *scene) lies(row wire.VerdictRow) string {
	s.t.Helper()
	d := bench(s.t)
	if _, err := d.c.ml.Join([]string{s.patients[0].cluster.Addr()}); err != nil {
		s.t.Fatal(err)
	}
	s.waitFor("the liar to be known", func(p *patient) bool { return p.cluster.Health().Members == len(s.patients)+1 })
	service := "svc"
	for i := 0; !slices.Contains(s.patients[0].top(service), d.c.name); i++ {
		service = fmt.Sprint("svc-", i)
	}
	row.Service, row.Endpoint = service, "a"
	s.background(func(stop <-chan struct{}) {
		every := time.NewTicker(tick)
		defer every.Stop()
		for seq := uint64(1); ; seq++ {
			for _, p := range s.patients {
				_ = d.c.send(memberlist.Address{Addr: p.cluster.Addr(), Name: p.cluster.name}, verdictsBy(s.t, d.c.name, seq, row))
			}
			select {
			case <-stop:
				return
			case <-every.C:
			}
		}
	})
	s.serve(service)
	return d.c.name
}
