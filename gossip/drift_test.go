package gossip

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// hearing is a driver whose node hears two stewards, b and c.
type hearing struct {
	*driver
	t       *testing.T
	log     *lines
	now     time.Duration
	seq     uint64
	samples []node.Samples
}

func newHearing(t *testing.T, services int) *hearing {
	b := &hearing{t: t, log: &lines{}, now: time.Hour}
	n := node.New("a", 1)
	n.SetMembers(node.NewRoster([]string{"a", "b", "c"}))
	b.driver = &driver{c: &Cluster{cfg: Config{Logger: slog.New(slog.NewTextHandler(b.log, nil))}}, node: n, used: map[string]*usedService{}}
	for i := range services {
		name := fmt.Sprintf("svc-%02d", i)
		b.used[name] = &usedService{name: name}
		b.samples = append(b.samples, node.Samples{Service: name, Policy: 5, Endpoints: []coord.Sample{{Endpoint: "e", Phi: coord.PhiFull}}})
	}
	b.node.Tick(b.now, b.samples, 255)
	return b
}

// hear lets both stewards say which policy most members of the first services have.
func (b *hearing) hear(services int, policy uint32, drift uint64) {
	b.t.Helper()
	v := &wire.Verdicts{Origin: wire.Origin{Incarnation: 1}}
	for _, s := range b.samples[:services] {
		v.Rows = append(v.Rows, wire.VerdictRow{Service: s.Service, Endpoint: "e", Phi: coord.PhiFull, Policy: policy, Drift: drift})
	}
	for _, v.Origin.Member = range []string{"b", "c"} {
		parts, err := wire.SplitVerdicts(v, func() uint64 { b.seq++; return b.seq })
		if err != nil {
			b.t.Fatal(err)
		}
		for _, data := range parts {
			b.node.Deliver(b.now, data)
		}
	}
}

func (b *hearing) health() (h Health) {
	b.drift(b.now, &h)
	return h
}

func TestDriftIsLoggedOnce(t *testing.T) {
	b := newHearing(t, 1)
	const line = "this member's policy for a service differs from that of most"
	check := func(what string, lines, drifting int) {
		t.Helper()
		if h := b.health(); h.Drifting != drifting || len(h.PolicyDrift) != drifting || b.log.count(line) != lines {
			t.Errorf("%s: %+v after %d lines", what, h.PolicyDrift, b.log.count(line))
		}
	}
	check("nobody is heard", 0, 0)
	b.hear(1, 5, 1)
	check("somebody else is the odd one", 0, 1)
	b.hear(1, 0xabc, 1)
	check("this member is", 1, 1)
	check("still", 1, 1)
	want := Drift{Service: "svc-00", Own: true, Members: 1, Policy: "00000abc", OwnPolicy: "00000005"}
	if d := b.health().PolicyDrift[0]; d.Service != want.Service || !d.Own || d.Members != 1 || d.Odd != nil || d.Policy != want.Policy || d.OwnPolicy != want.OwnPolicy {
		t.Errorf("got %+v, want %+v", d, want)
	}
	if n := b.log.count("service=svc-00 own=00000005 most=00000abc differ=1"); n != 1 {
		t.Errorf("logged %s", b.log)
	}
	b.now += time.Minute
	check("nobody is heard any more", 1, 0)
	b.hear(1, 0xabc, 1)
	check("still the same", 1, 1)
	b.hear(1, 0, 0)
	check("it is over", 1, 0)
	b.hear(1, 0xabc, 1)
	check("and begins anew", 2, 1)
}

func TestDriftsAreBounded(t *testing.T) {
	b := newHearing(t, 80)
	b.hear(80, 5, 1)
	if h := b.health(); h.Drifting != 80 || len(h.PolicyDrift) != mostShown || h.PolicyDrift[0].Service != "svc-00" {
		t.Errorf("%d of %d", len(h.PolicyDrift), h.Drifting)
	}
	for i := range b.samples {
		if i >= 70 {
			b.samples[i].Policy = 6
		}
	}
	b.node.Tick(b.now, b.samples, 255)
	h := b.health()
	var got, want []string
	for i, d := range h.PolicyDrift {
		got = append(got, d.Service)
		if d.Own != (i < 10) {
			t.Errorf("%d: %+v", i, d)
		}
		want = append(want, fmt.Sprintf("svc-%02d", (i+70)%80))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
