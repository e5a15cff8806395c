package node

import (
	"fmt"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/law"
	"github.com/murmuration-go/murmuration/internal/rendezvous"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// flooded is a node that hears a lot of names.
type flooded struct {
	t    *testing.T
	n    *Node
	now  time.Duration
	seq  uint64
	last *Output
}

// flood returns node "self" among two others, so that all are stewards of all.
func flood(t *testing.T) *flooded {
	f := &flooded{t: t, n: New("self", 1), now: time.Hour}
	f.n.SetMembers(NewRoster([]string{"self", "honest", "liar"}))
	return f
}

func (f *flooded) origin(from string) wire.Origin {
	f.seq++
	return wire.Origin{Member: from, Seq: f.seq}
}

func (f *flooded) deliver(data []byte, err error) *Output {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
	return f.n.Deliver(f.now, data)
}

func (f *flooded) report(from, service, endpoint string) *Output {
	f.t.Helper()
	row := wire.ReportRow{Service: service, Health: 255, Sample: coord.Sample{Endpoint: endpoint, Phi: coord.PhiFull, Timeout: time.Second}}
	row.Totals = coord.Totals{Demand: f.seq, OK: f.seq}
	return f.deliver(wire.AppendReport(nil, &wire.Report{Origin: f.origin(from), Rows: []wire.ReportRow{row}}))
}

func (f *flooded) verdict(from, service, endpoint string, phi float64, state wire.State) *Output {
	f.t.Helper()
	row := wire.VerdictRow{Service: service, Endpoint: endpoint, Phi: coord.PhiOf(phi), State: state, Reporters: 2}
	if state == wire.Dim {
		row.Mode = coord.RetryNone
	}
	return f.deliver(wire.AppendVerdicts(nil, &wire.Verdicts{Origin: f.origin(from), Rows: []wire.VerdictRow{row}}))
}

func (f *flooded) tick(samples ...Samples) *Output {
	f.now += law.Tick
	for _, s := range samples {
		for i := range s.Endpoints {
			s.Endpoints[i].Totals.Demand++
		}
	}
	f.last = f.n.Tick(f.now, samples, 255)
	f.bounded()
	return f.last
}

// bounded checks the documented caps.
func (f *flooded) bounded() {
	f.t.Helper()
	if len(f.n.services) > MaxKnown || len(f.n.order) != len(f.n.services) || f.n.used > MaxUsed || len(f.n.sole) > 3 {
		f.t.Fatalf("%d services, %d in order, %d used, %d speakers", len(f.n.services), len(f.n.order), f.n.used, len(f.n.sole))
	}
	for _, s := range f.n.services {
		if len(s.views) > maxHeard+coord.MaxEndpoints || len(s.names) != len(s.views) || len(s.duties) > coord.MaxEndpoints || len(s.dutyOrder) != len(s.duties) {
			f.t.Fatalf("%d views, %d names, %d duties, %d in order", len(s.views), len(s.names), len(s.duties), len(s.dutyOrder))
		}
		for _, v := range s.views {
			if len(v.held) > rendezvous.Stewards {
				f.t.Fatalf("verdicts of %d stewards", len(v.held))
			}
		}
		for _, c := range s.callers {
			if len(c.endpoints) > len(s.duties) {
				f.t.Fatalf("a caller about %d endpoints of %d", len(c.endpoints), len(s.duties))
			}
		}
	}
}

func use(endpoints ...string) Samples {
	u := Samples{Service: "svc"}
	for _, e := range endpoints {
		u.Endpoints = append(u.Endpoints, coord.Sample{Endpoint: e, Phi: coord.PhiFull, Timeout: time.Second})
	}
	return u
}

const invented = 100_000

// TestInventedNames: 1e5 names of each kind fill no more than their share.
func TestInventedNames(t *testing.T) {
	for name, say := range map[string]func(f *flooded, i int){
		"services in reports":   func(f *flooded, i int) { f.report("liar", fmt.Sprint("s", i), "e") },
		"services in verdicts":  func(f *flooded, i int) { f.verdict("liar", fmt.Sprint("s", i), "e", .1, wire.Dim) },
		"endpoints in reports":  func(f *flooded, i int) { f.report("liar", "svc", fmt.Sprint("e", i)) },
		"endpoints in verdicts": func(f *flooded, i int) { f.verdict("liar", "svc", fmt.Sprint("e", i), .1, wire.Dim) },
		"members":               func(f *flooded, i int) { f.report(fmt.Sprint("m", i), "svc", "e") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := invented
			if testing.Short() {
				n /= 10
			}
			f := flood(t)
			for i := range n {
				say(f, i)
				if i%5000 == 0 {
					f.tick()
				}
			}
			f.tick()
			d := f.n.Stats().Dropped
			if d[DropFull]+d[DropStranger] < uint64(n-MaxUsed) {
				t.Errorf("dropped %v of %d", d, n)
			}
			if got := len(f.n.services); got > MaxUsed {
				t.Errorf("one member has made up %d services", got)
			}
		})
	}
}

// TestRoomForOthers: however many names one member has made up, what others
// speak of and what this member uses finds room, and is advised on.
func TestRoomForOthers(t *testing.T) {
	f := flood(t)
	for i := range 3000 {
		f.report("liar", "svc", fmt.Sprint("reported-", i))
		f.verdict("liar", "svc", fmt.Sprint("decided-", i), .1, wire.Dim)
		f.report("liar", fmt.Sprint("s", i), "e")
	}
	mine := use("mine-0", "mine-1")
	var names []string
	for i := range coord.MaxEndpoints {
		names = append(names, fmt.Sprint("real-", i))
	}
	lie := 3000
	var advised int
	for range 10 {
		for i, e := range names {
			if i < coord.MaxEndpoints/2 { // the rest of the room is left to this member's own
				f.report("honest", "svc", e)
			}
			f.verdict("honest", "svc", e, .5, wire.Dim)
			f.report("liar", "svc", fmt.Sprint("reported-", lie))
			f.verdict("liar", "svc", fmt.Sprint("decided-", lie), .1, wire.Dim)
			lie++
		}
		for _, from := range []string{"honest", "liar"} { // two agree
			f.verdict(from, "svc", "mine-0", .5, wire.Dim)
		}
		f.report("honest", "real", "e")
		f.tick(mine)
		for _, a := range f.last.Advice {
			if a.Endpoint == "mine-0" && a.Phi == coord.PhiOf(.5) {
				advised++
			}
		}
	}
	s := f.n.services["svc"]
	watched := 0
	for i, e := range names {
		if s.duties[e] != nil {
			watched++
		}
		if i < coord.MaxEndpoints/2 && s.views[e] == nil {
			t.Errorf("nothing is known of %s", e)
		}
	}
	if least := coord.MaxEndpoints/2 - 1; watched < least {
		t.Errorf("%d of %d real endpoints are watched over", watched, least)
	}
	if s.duties["mine-0"] == nil || s.duties["mine-1"] == nil || s.views["mine-1"] == nil {
		t.Error("there is no room for this member's own endpoints")
	}
	if advised == 0 {
		t.Error("no advice on this member's own endpoint")
	}
	if r := f.n.services["real"]; r == nil || r.duties["e"] == nil {
		t.Error("there is no room for another service")
	}
}

// TestAgreedNamesStay: a name that two members speak of yields to no other.
func TestAgreedNamesStay(t *testing.T) {
	f := flood(t)
	f.n.SetMembers(NewRoster([]string{"self", "honest", "liar", "other"}))
	if !f.n.add("svc").mine {
		t.Fatal("self is no steward of svc: choose other names")
	}
	for i := range coord.MaxEndpoints {
		f.report("honest", "svc", fmt.Sprint("e", i))
		f.report("other", "svc", fmt.Sprint("e", i))
	}
	for i := range 1000 {
		f.report("liar", "svc", fmt.Sprint("lie-", i))
	}
	for i := range coord.MaxEndpoints {
		if f.n.services["svc"].duties[fmt.Sprint("e", i)] == nil {
			t.Errorf("e%d has given way", i)
		}
	}
	// A minute after the last word of it anything gives way.
	f.now += time.Minute
	f.report("liar", "svc", "late")
	if f.n.services["svc"].duties["late"] == nil {
		t.Error("no room a minute after")
	}
	f.tick()
}

// TestForget: names that nobody speaks of any more are forgotten.
func TestForget(t *testing.T) {
	f := flood(t)
	f.report("honest", "others", "e")
	f.verdict("honest", "elsewhere", "e", .1, wire.Dim)
	f.tick(use("e"))
	if got := len(f.n.services); got != 3 {
		t.Fatalf("%d services, want 3", got)
	}
	for range 5 * 60 {
		f.tick(use("e"))
	}
	if got := len(f.n.services); got != 1 || f.n.services["svc"] == nil {
		t.Errorf("%d services after 75 s, want this member's own one", got)
	}
}

// TestTooManyOwn: of services in excess nothing is kept, and room for others' is
// not taken.
func TestTooManyOwn(t *testing.T) {
	f := flood(t)
	var all []Samples
	for i := range MaxUsed + 50 {
		u := use("e")
		u.Service = fmt.Sprint("own-", i)
		all = append(all, u)
	}
	for range 3 {
		f.tick(all...)
	}
	if len(f.n.services) != MaxUsed || f.n.Stats().Dropped[DropFull] != 150 {
		t.Errorf("%d services, dropped %v", len(f.n.services), f.n.Stats().Dropped)
	}
}

// TestForgottenAdviceIsTakenBack: when an endpoint that others use has to make
// room, no advice on it stays behind.
func TestForgottenAdviceIsTakenBack(t *testing.T) {
	f := flood(t)
	inForce := map[string]bool{}
	note := func(out *Output) {
		for _, a := range out.Advice {
			inForce[a.Endpoint] = a.InForce()
			if !a.InForce() {
				delete(inForce, a.Endpoint)
			}
		}
	}
	for i := range 400 {
		note(f.tick(use("mine")))
		for j := range 10 {
			name := fmt.Sprint("e", 10*i+j)
			note(f.verdict("liar", "svc", name, .1, wire.Dim))
			note(f.verdict("honest", "svc", name, .1, wire.Dim))
		}
		if i%40 == 39 {
			f.now += time.Minute // all may give way
		}
	}
	if len(inForce) > maxHeard {
		t.Errorf("advice on %d endpoints is in force", len(inForce))
	}
}
