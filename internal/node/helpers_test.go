package node_test

import (
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/law"
	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/rendezvous"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// tester is what testing.TB and rapid.T have in common.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// single is one node with a member's or a steward's part for service "svc",
// among members that exist in name only.
type single struct {
	t        tester
	node     *node.Node
	now      time.Duration
	seq      uint64
	self     string
	stewards []string // of svc, without the node itself
	others   []string // members that are no stewards of svc
	samples  []node.Samples
	idle     bool         // no calls
	out      *node.Output // of the last call
	advice   coord.Advice // on endpoint e, as published last
	all      []coord.Advice
}

func newSingle(t tester, steward bool) *single { return newAmong(t, names(6), steward) }

// names are a, b and so on, and then longer ones.
func names(count int) (names []string) {
	for i := range count {
		name := string(rune('a' + i%26))
		for range i / 26 {
			name += "z"
		}
		names = append(names, name)
	}
	return names
}

func newAmong(t tester, names []string, steward bool) *single {
	top := rendezvous.Top(rendezvous.List(names), "svc")
	self := top[0]
	s := &single{t: t, now: time.Hour, advice: coord.Advice{Phi: coord.PhiFull}}
	for _, name := range names {
		if name == top[0] || name == top[1] || name == top[2] {
			continue
		}
		s.others = append(s.others, name)
	}
	s.stewards = top
	if steward {
		s.stewards = top[1:]
	} else {
		self, s.others = s.others[0], s.others[1:]
	}
	s.self = self
	s.node = node.New(self, 1)
	s.node.SetMembers(node.NewRoster(names))
	s.samples = []node.Samples{{Service: "svc", Endpoints: []coord.Sample{{Endpoint: "e", Phi: coord.PhiFull}}}}
	return s
}

// newMember returns a node that uses svc and is no steward of it. It has had
// traffic for a while.
func newMember(t tester) *single {
	s := newSingle(t, false)
	for range 8 {
		s.tick()
	}
	return s
}

// newSteward returns a node that is a steward of svc and does not use it.
func newSteward(t tester) *single {
	s := newSingle(t, true)
	s.samples = nil
	return s
}

// tick lets the node tick, with one more call to every endpoint in use unless
// it is idle.
func (s *single) tick() *node.Output {
	s.now += law.Tick
	for i := range s.samples {
		for j := range s.samples[i].Endpoints {
			if s.idle {
				break
			}
			e := &s.samples[i].Endpoints[j]
			e.Totals.Demand++
			e.Totals.OK++
		}
	}
	return s.take(s.node.Tick(s.now, s.samples, 255))
}

func (s *single) take(out *node.Output) *node.Output {
	s.out = out
	for _, a := range out.Advice {
		if a.Service == "svc" && a.Endpoint == "e" {
			s.advice = a.Advice
			s.all = append(s.all, a.Advice)
		}
	}
	return out
}

func (s *single) wait(d time.Duration) {
	for end := s.now + d; s.now < end; {
		s.tick()
	}
}

// verdict is one by several reporters.
func verdict(phi float64, mode coord.Mode, state wire.State) wire.VerdictRow {
	return wire.VerdictRow{
		Service: "svc", Endpoint: "e", Phi: coord.PhiOf(phi), Mode: mode, State: state, Reporters: 5,
		L0: 10 * time.Millisecond, Thr: 110 * time.Millisecond,
	}
}

var (
	dim     = verdict(.25, coord.RetryNone, wire.Dim)
	notLoad = verdict(1, coord.RetryRatio, wire.NotLoad)
	closed  = verdict(1, coord.RetryAll, wire.Closed)
)

func (s *single) hear(from string, rows ...wire.VerdictRow) *node.Output {
	s.seq++
	return s.hearAs(wire.Origin{Member: from, Incarnation: 1, Seq: s.seq}, 0, rows...)
}

func (s *single) hearAs(o wire.Origin, age time.Duration, rows ...wire.VerdictRow) *node.Output {
	s.t.Helper()
	data, err := wire.AppendVerdicts(nil, &wire.Verdicts{Origin: o, Age: age, Rows: rows})
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	return s.take(s.node.Deliver(s.now, data))
}

func (s *single) report(from string, rows ...wire.ReportRow) *node.Output {
	s.t.Helper()
	s.seq++
	data, err := wire.AppendReport(nil, &wire.Report{Origin: wire.Origin{Member: from, Incarnation: 1, Seq: s.seq}, Rows: rows})
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	return s.take(s.node.Deliver(s.now, data))
}

// wants checks phi, the retry mode and how many stewards are fresh.
func (s *single) wants(phi float64, mode coord.Mode, fresh int) {
	s.t.Helper()
	a := s.advice
	if a.Phi != coord.PhiOf(phi) || a.Mode != mode || a.Fresh != fresh {
		s.t.Fatalf("at %v: phi %.4f, retries %v, %d fresh; want %.4f, %v, %d", s.now-time.Hour, a.Phi.Float(), a.Mode, a.Fresh, phi, mode, fresh)
	}
	source := coord.SourceLocal
	if phi < 1 || mode != coord.RetryAll {
		source = coord.SourceCluster
	}
	if a.Source != source || a.InForce() != (source == coord.SourceCluster) {
		s.t.Fatalf("decided by %v", a.Source)
	}
}

// dropped checks that a reason was counted n times, and no other at all.
func (s *single) dropped(d node.Drop, n uint64) {
	s.t.Helper()
	var want [node.NumDrops]uint64
	want[d] = n
	if got := s.node.Stats().Dropped; got != want {
		s.t.Errorf("dropped %v, want %d for being %v", got, n, d)
	}
}

func TestSingles(t *testing.T) {
	m, s := newMember(t), newSteward(t)
	if len(m.stewards) != 3 || len(m.others) != 2 || len(s.stewards) != 2 || len(s.others) != 3 {
		t.Fatalf("%+v, %+v", m, s)
	}
	for _, x := range m.out.Sends {
		r, err := wire.Decode(x.Data)
		if err != nil || r.Report == nil {
			t.Errorf("a member sends %+v, %v", r, err)
		}
	}
	if len(m.out.Sends) != 3 {
		t.Errorf("%d reports, want one a steward", len(m.out.Sends))
	}
}
