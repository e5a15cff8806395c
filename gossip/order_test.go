package gossip

import (
	"errors"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// Health tells what has become of the coordination before any call can be refused by
// what follows from it: that verdicts differ from what is in force, and that the
// stewards are heard no more.
func TestHealthTellsBeforeAdviceIsFollowed(t *testing.T) {
	const one, other = "one", "other"
	d := bench(t, one, other)
	svc := d.c.CoordService("payments")
	ep := svc.Endpoint("eu")
	var told []Health
	svc.RefuseWith(func(string, string, *coord.Advice) error { // each time before advice that dims is published
		told = append(told, d.c.Health())
		return errors.New("refused")
	})
	start := coord.Now()
	tickAt := func(at time.Duration) {
		for range 10 {
			call(ep, true)
		}
		d.tick(start + at)
	}
	verdicts := func(at time.Duration, seq uint64, row wire.VerdictRow) {
		row.Service, row.Endpoint = "payments", "eu"
		for _, m := range []string{one, other} {
			d.handle(start+at, verdictsBy(t, m, seq, row))
		}
	}
	at := time.Duration(0)
	for ; at < 3*time.Second; at += tick {
		verdicts(at, uint64(at)+1, wire.VerdictRow{Phi: coord.PhiFull})
		tickAt(at)
	}
	if h := d.c.Health(); h.Mode != ModeCoordinated || h.Coverage != 1 || h.Disagree != 0 {
		t.Fatalf("before the trouble: %+v", h)
	}

	verdicts(at, uint64(at)+1, wire.VerdictRow{Phi: coord.PhiOf(.2), Mode: coord.RetryNone, State: wire.Dim, Reporters: 3})
	if len(told) != 1 || told[0].Disagree != 1 {
		t.Fatalf("this member's own verdict lets everything go; told before the first call was dimmed: %+v", told)
	}
	for ; ep.Advice().Fresh > 1; at += tick {
		if at > 20*time.Second {
			t.Fatal("verdicts count for ever")
		}
		tickAt(at)
	}
	if last := told[len(told)-1]; ep.Advice().Phi == coord.PhiFull || last.Coverage > .34 {
		t.Errorf("two of three are heard no more; told before calls were refused for it: coverage %v", last.Coverage)
	}
}
