package node_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/law"
	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// manySamples are services with endpoints of long names, all with traffic.
func manySamples(services, endpoints int) (all []node.Samples) {
	for i := range services {
		u := node.Samples{Service: fmt.Sprintf("service-%050d", i)}
		for j := range endpoints {
			u.Endpoints = append(u.Endpoints, coord.Sample{
				Endpoint: fmt.Sprintf("endpoint-%050d", j), Phi: coord.PhiFull, Timeout: time.Second,
				Totals: coord.Totals{Demand: uint64(100*i + j + 1), OK: 1 << 40, OKLatency: time.Duration(1<<52) * time.Microsecond},
			})
		}
		all = append(all, u)
	}
	return all
}

// TestSplitReports: a member that uses a lot reports all of it, each row to the
// three stewards of its service, in messages that are small enough.
func TestSplitReports(t *testing.T) {
	const services, endpoints = 40, 20
	names := []string{"self", "a", "b", "c", "d", "e", "f", "g"}
	n := node.New("self", 1)
	roster := node.NewRoster(names)
	n.SetMembers(roster)
	peers := map[string]*node.Node{}
	for _, name := range names[1:] {
		peers[name] = node.New(name, 1)
		peers[name].SetMembers(roster)
	}
	samples := manySamples(services, endpoints)
	now := time.Hour
	out := n.Tick(now, samples, 255)
	rows := map[string]int{}
	seqs := map[uint64]bool{}
	var total uint64
	for _, s := range out.Sends {
		if len(s.Data) > wire.MaxMessage {
			t.Errorf("a message of %d bytes", len(s.Data))
		}
		m, err := wire.Decode(s.Data)
		if err != nil {
			t.Fatal(err)
		}
		if seqs[m.Report.Origin.Seq] {
			t.Errorf("two messages have number %d", m.Report.Origin.Seq)
		}
		seqs[m.Report.Origin.Seq] = true
		for _, r := range m.Report.Rows {
			rows[r.Service+"/"+r.Endpoint]++
		}
		peers[s.To].Deliver(now, s.Data)
	}
	for _, p := range peers {
		st := p.Stats()
		total += st.Reports
		if st.Dropped != [node.NumDrops]uint64{} {
			t.Errorf("dropped %v", st.Dropped)
		}
	}
	total += n.Stats().Reports
	if len(rows) < services*endpoints*2/3 || total != 3*services*endpoints {
		t.Errorf("%d endpoints and %d rows reported, want %d rows", len(rows), total, 3*services*endpoints)
	}
	// The answers come back the same way.
	for name, p := range peers {
		for _, s := range p.Tick(now+law.Tick, nil, 255).Sends {
			if s.To != "self" || len(s.Data) > wire.MaxMessage {
				t.Errorf("%s sends %d bytes to %s", name, len(s.Data), s.To)
			}
			n.Deliver(now, s.Data)
		}
	}
	if got, want := n.Stats().Verdicts, total-n.Stats().Reports; got != want {
		t.Errorf("%d verdicts were heard, want %d", got, want)
	}
}

// TestConstantWork: what is sent depends on there being traffic, and not on what
// became of it; it stops soon after the traffic does.
func TestConstantWork(t *testing.T) {
	counts := map[string][]int{}
	for _, c := range []struct {
		name string
		see  func(*coord.Totals)
	}{
		{"ok", func(t *coord.Totals) { t.OK++ }},
		{"slow", func(t *coord.Totals) { t.FailSlow++ }},
		{"refused", func(t *coord.Totals) { t.FailFast++ }},
		{"nothing yet", func(t *coord.Totals) {}},
	} {
		s := newMember(t)
		for tick := range 60 {
			if tick < 20 {
				e := &s.samples[0].Endpoints[0]
				e.Totals.Demand++
				c.see(&e.Totals)
			}
			s.now += law.Tick
			out := s.take(s.node.Tick(s.now, s.samples, 255))
			counts[c.name] = append(counts[c.name], len(out.Sends))
		}
		if fmt.Sprint(counts[c.name]) != fmt.Sprint(counts["ok"]) {
			t.Errorf("%s: %v messages, otherwise %v", c.name, counts[c.name], counts["ok"])
		}
	}
	for tick, n := range counts["ok"] {
		want := 3
		if tick >= 28 { // 2 s after the last call
			want = 0
		}
		if n != want {
			t.Errorf("tick %d: %d messages, want %d", tick, n, want)
		}
	}
}

// TestUnusedIsNotReported: an endpoint that never had traffic costs nothing.
func TestUnusedIsNotReported(t *testing.T) {
	s := newMember(t)
	s.samples = append(s.samples, node.Samples{Service: "other", Endpoints: []coord.Sample{{Endpoint: "e", Phi: coord.PhiFull}}})
	s.idle = true
	s.wait(5 * time.Second)
	if n := len(s.tick().Sends); n != 0 {
		t.Errorf("%d messages about nothing", n)
	}
}

// TestIdleElsewhereIsReported: while a member calls the endpoint that it is at home
// at, it tells now and then how it stands to others, so that the stewards know who
// is at home where; of one at home it tells nothing while it does not call it.
func TestIdleElsewhereIsReported(t *testing.T) {
	for _, away := range []bool{false, true} {
		s := newMember(t)
		s.samples[0].Endpoints = append(s.samples[0].Endpoints, coord.Sample{Endpoint: "idle", Phi: coord.PhiFull, Place: coord.Place{Zone: "z", Away: away}})
		told := func(d time.Duration) (n int) {
			for end := s.now + d; s.now < end; {
				for i := range s.samples[0].Endpoints {
					s.samples[0].Endpoints[i].Totals.Demand += uint64(1 - i)
				}
				s.now += law.Tick
				if s.idle {
					s.samples[0].Endpoints[0].Totals.Demand--
				}
				for _, x := range s.node.Tick(s.now, s.samples, 255).Sends {
					m, err := wire.Decode(x.Data)
					if err != nil || x.To != s.stewards[0] {
						continue
					}
					for _, row := range m.Report.Rows {
						if row.Endpoint == "idle" {
							n++
						}
					}
				}
			}
			return n
		}
		want := 0
		if away {
			want = 6
		}
		if got := told(time.Minute); got != want {
			t.Errorf("away %v: reported %d times in a minute, want %d", away, got, want)
		}
		s.idle = true
		told(3 * time.Second) // the end of the traffic
		if got := told(time.Minute); got != 0 {
			t.Errorf("away %v: reported %d times though nothing is called", away, got)
		}
	}
}

// TestReportCarriesWhatIsApplied: phi, tag, timeout, health and the baseline heard
// last go along.
func TestReportCarriesWhatIsApplied(t *testing.T) {
	s := newMember(t)
	for _, x := range s.stewards {
		s.hear(x, dim)
	}
	e := &s.samples[0].Endpoints[0]
	e.Phi, e.Tag, e.Timeout = s.advice.Phi, s.advice.Tag, 3*time.Second
	e.Totals.Demand++
	s.now += law.Tick
	out := s.node.Tick(s.now, s.samples, 77)
	m, err := wire.Decode(out.Sends[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	want := wire.ReportRow{Service: "svc", Health: 77, L0: dim.L0, Sample: *e}
	if got := m.Report.Rows[0]; got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
