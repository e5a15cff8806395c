package node_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/wire"
)

func reportRow(endpoint string, calls uint64) wire.ReportRow {
	return wire.ReportRow{Service: "svc", Health: 255, Sample: coord.Sample{
		Endpoint: endpoint, Phi: coord.PhiFull, Timeout: time.Second,
		Totals: coord.Totals{Demand: calls, OK: calls},
	}}
}

// TestDrops: what is not heeded is counted by its reason.
func TestDrops(t *testing.T) {
	t.Run("verdict by a stranger", func(t *testing.T) {
		s := newMember(t)
		s.hear("stranger", dim)
		s.dropped(node.DropStranger, 1)
	})
	t.Run("report by a stranger", func(t *testing.T) {
		s := newSteward(t)
		s.report("stranger", reportRow("e", 1))
		s.dropped(node.DropStranger, 1)
	})
	t.Run("verdicts by a member that is no steward", func(t *testing.T) {
		s := newMember(t)
		for range 3 {
			s.hear(s.others[0], dim)
		}
		s.tick()
		s.wants(1, coord.RetryAll, 0)
		s.dropped(node.DropNotSteward, 3)
	})
	t.Run("report to a member that is no steward", func(t *testing.T) {
		s := newMember(t)
		s.report(s.others[0], reportRow("e", 1), reportRow("f", 1))
		s.dropped(node.DropNotMine, 2)
	})
	t.Run("old verdicts", func(t *testing.T) {
		s := newMember(t)
		for _, x := range s.stewards {
			o := wire.Origin{Member: x, Incarnation: 2, Seq: 7}
			s.hearAs(o, 0, dim)
			s.hearAs(o, 0, closed)
			o.Seq = 6
			s.hearAs(o, 0, closed)
			s.hearAs(wire.Origin{Member: x, Incarnation: 1, Seq: 8}, 0, closed)
		}
		s.wants(.25, coord.RetryNone, 3)
		s.dropped(node.DropStale, 9)
	})
	t.Run("own words", func(t *testing.T) {
		s := newMember(t)
		s.hear(s.self, dim)
		s.report(s.self, reportRow("e", 1))
		s.dropped(node.DropStale, 2)
	})
	t.Run("noise", func(t *testing.T) {
		s := newMember(t)
		for _, data := range [][]byte{nil, {}, {0}, {1, 1}, []byte("hello, world"), make([]byte, 5000)} {
			s.node.Deliver(s.now, data)
		}
		n := uint64(0)
		for _, k := range s.node.Stats().Malformed {
			n += k
		}
		if n != 6 || s.node.Stats().Received != 6 {
			t.Errorf("%+v", s.node.Stats())
		}
	})
	t.Run("names", func(t *testing.T) {
		for d, want := range []string{"stale", "stranger", "not-steward", "not-mine", "full"} {
			if got := node.Drop(d).String(); got != want {
				t.Errorf("%d is %q, want %q", d, got, want)
			}
		}
	})
}

// TestEchoIsOutranked: if this member's own name is on a later verdict than its
// own last, its next ones are later still.
func TestEchoIsOutranked(t *testing.T) {
	s := newSteward(t)
	s.hearAs(wire.Origin{Member: s.self, Incarnation: 1, Seq: 1 << 40}, 0, dim)
	s.report(s.others[0], reportRow("e", 1))
	s.tick()
	for _, x := range s.out.Sends {
		m, err := wire.Decode(x.Data)
		if err != nil || m.Verdicts.Origin.Seq <= 1<<40 {
			t.Errorf("%+v, %v", m.Verdicts, err)
		}
	}
	if len(s.out.Sends) == 0 {
		t.Error("no verdicts")
	}
}

// TestRelay: a change is passed on by everybody who hears it for the first time,
// once; what is no change is not, and its writer and age stay what they are.
func TestRelay(t *testing.T) {
	s := newMember(t)
	from := s.stewards[0]
	casts := func(o wire.Origin, age time.Duration, row wire.VerdictRow) int {
		t.Helper()
		out := s.hearAs(o, age, row)
		for _, c := range out.Casts {
			m, err := wire.Decode(c.Data)
			if err != nil || m.Verdicts == nil || m.Verdicts.Origin != o || m.Verdicts.Age != age || len(m.Verdicts.Rows) != 1 || !reflect.DeepEqual(m.Verdicts.Rows[0], row) {
				t.Errorf("relayed %+v, %v", m.Verdicts, err)
			}
		}
		return len(out.Casts)
	}
	for i, c := range []struct {
		row  wire.VerdictRow
		want int
	}{
		{closed, 0}, {closed, 0}, {dim, 1}, {dim, 0},
		{verdict(.5, coord.RetryNone, wire.Dim), 1},
		{verdict(1, coord.RetryNone, wire.Dim), 1},
		{verdict(1, coord.RetryNone, wire.NotLoad), 1},
		{notLoad, 1}, {closed, 1}, {closed, 0},
	} {
		o := wire.Origin{Member: from, Seq: uint64(i + 1)}
		if n := casts(o, time.Second, c.row); n != c.want {
			t.Errorf("verdict %d: %d casts, want %d", i, n, c.want)
		}
		if n := casts(o, time.Second, c.row); n != 0 {
			t.Errorf("verdict %d again: %d casts", i, n)
		}
	}
	// The first word of a steward that there is trouble is a change as well.
	if n := casts(wire.Origin{Member: s.stewards[1], Seq: 1}, 0, notLoad); n != 1 {
		t.Errorf("%d casts", n)
	}
}

// TestCastKeys: a cast replaces only what the same steward said of the same
// endpoint, whatever bytes the names are made of.
func TestCastKeys(t *testing.T) {
	keys := map[string]string{}
	for _, service := range []string{"a", "a\x00b", "a\x00", "ab", "aa"} {
		for _, endpoint := range []string{"b\x00c", "c", "\x00c", "bc", "a"} {
			for _, steward := range []string{"b", "b\x00", "ba"} {
				n := node.New("self", 1)
				n.SetMembers(node.NewRoster([]string{"self", steward}))
				row := dim
				row.Service, row.Endpoint = service, endpoint
				data, err := wire.AppendVerdicts(nil, &wire.Verdicts{Origin: wire.Origin{Member: steward, Seq: 1}, Rows: []wire.VerdictRow{row}})
				if err != nil {
					t.Fatal(err)
				}
				out := n.Deliver(time.Hour, data)
				if len(out.Casts) != 1 {
					t.Fatalf("%d casts", len(out.Casts))
				}
				what := fmt.Sprintf("%q of %q by %q", endpoint, service, steward)
				if other, ok := keys[out.Casts[0].Key]; ok {
					t.Errorf("%s has the key of %s", what, other)
				}
				keys[out.Casts[0].Key] = what
			}
		}
	}
}

// TestFellowsAreTold: stewards that do not use a service hear of each other what
// is not CLOSED, on every change and each second.
func TestFellowsAreTold(t *testing.T) {
	s := newSteward(t)
	trouble := s.now + 10*time.Second
	told := func() (rows int) {
		for _, x := range s.out.Sends {
			if x.To == s.stewards[0] || x.To == s.stewards[1] {
				m, err := wire.Decode(x.Data)
				if err != nil {
					t.Fatal(err)
				}
				for _, row := range m.Verdicts.Rows {
					if row.Endpoint == "e" || s.now < trouble { // in trouble others tell what they take
						rows++
					}
				}
			}
		}
		return rows
	}
	feed := func(seconds int, fail bool) (rows int) {
		for range 4 * seconds {
			for i, from := range s.others[:2] {
				row := reportRow("e", uint64(s.now/time.Millisecond))
				row.Service = "svc"
				if fail {
					row.Totals.OK, row.Totals.FailFast = uint64(time.Hour/time.Millisecond), row.Totals.Demand-uint64(time.Hour/time.Millisecond)
				}
				s.report(from, row, reportRow(fmt.Sprint("well-", i), uint64(s.now/time.Millisecond)))
				rows += told()
			}
			s.tick()
			rows += told()
		}
		return rows
	}
	if n := feed(10, false); n != 0 {
		t.Errorf("told %d rows while all is well", n)
	}
	// The change at once, then each second, to two of them, about one endpoint.
	if n := feed(10, true); n < 2*9 || n > 2*12 {
		t.Errorf("told %d rows in 10 s of trouble, want about 20", n)
	}
}
