package main

import (
	"context"
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/links"
	"github.com/murmuration-go/murmuration/internal/links/faulty"
)

// TestGossipSplits: zone a dies, and at that moment the gossip splits, six members
// of both zones to ten. Each side makes a plan of its own; zone b stays within what
// it can take all the same, and when the sides find together nothing moves abruptly.
func TestGossipSplits(t *testing.T) {
	if testing.Short() {
		t.Skip("takes most of a minute")
	}
	s := defaults()
	s.capacity, s.demand = [2]float64{600, 400}, [2]float64{480, 200} // enough for chance to matter little
	// Members hear of endpoints that they do not call once in ten seconds: whoever is cut off
	// before knows too little of what b's own users want.
	s.warm, s.down, s.cold, s.after = 16*time.Second, 35*time.Second, time.Second, time.Second
	const splitFor = 16 * time.Second

	network := faulty.New(1)
	f, err := newFleet(links.With(t.Context(), network.Open), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	ctx, stop := context.WithCancel(t.Context())
	seen := make(chan sightings)
	go func() { seen <- f.split(ctx, network, splitFor) }()
	r, err := f.run(ctx, nil)
	stop()
	saw := <-seen
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", text)
	t.Logf("members that knew of the split when it ended: %d; of its end after %v; spill to b at most %.3f, %.3f after the split, where it rose by %.3f a second at most",
		saw.knew, saw.whole, saw.most, saw.after, saw.rose)
	if r.LateMS > starved {
		t.Skipf("calls were made up to %.0f ms late: this machine is too busy", r.LateMS)
	}
	if saw.knew < s.members || saw.whole == 0 {
		t.Fatal("the members did not split, or did not find together again")
	}
	if r.Phases[1].A.Diverted < int(.5*s.room()*s.down.Seconds()) {
		t.Errorf("%d calls went to b; there is room for %.0f a second", r.Phases[1].A.Diverted, s.room())
	}
	for _, p := range r.Phases[1:] {
		if p.LoadB5 > .84 || p.LoadB1 > .95 || p.B.Goodput < .99 {
			t.Errorf("%s: b had up to %.2f of its capacity in 5 s, %.2f in 1 s, and of its own users' calls %.3f succeeded", p.Name, p.LoadB5, p.LoadB1, p.B.Goodput)
		}
	}
	// What a member that was late has had to wait with shows all at once.
	if most := .1 * 1.2 * (1 + 2*saw.late.Seconds()); saw.rose > most {
		t.Errorf("above what all of a's demand may use of b's spare, the spill rose by %.3f a second, with ticks up to %v late; it may by %.3f", saw.rose, saw.late, most)
	}
}

// sightings are what is seen of a split.
type sightings struct {
	knew  int           // members that knew of it when it ended
	whole time.Duration // from its end until all members knew of all
	most  float64       // of the chances of a's members to spill to b
	after float64       // the same after the split
	late  time.Duration // the latest tick of a's members then
	rose  float64       // the most that one rose in a second, then, above what all demand may use
}

// split splits the gossip when zone a dies, heals it after d, and looks on until ctx
// ends.
func (f *fleet) split(ctx context.Context, network *faulty.Network, d time.Duration) (x sightings) {
	var far []int
	for i, m := range f.members {
		if i%8 == 1 || i%8 == 4 || i%8 == 7 {
			far = append(far, int(netip.MustParseAddrPort(m.cluster.Addr()).Port()))
		}
	}
	// Each member holds to the second largest of three verdicts, so it takes a
	// second for what it sees to be as smooth as what each of them says.
	const step, window = 100 * time.Millisecond, 10
	all := f.room() / f.demand[0]
	type sample struct {
		at    time.Duration // on a machine that is busy they come late
		spill float64
	}
	past := make([][]sample, len(f.members))
	tick := time.NewTicker(step)
	defer tick.Stop()
	split, healed := false, false
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return x
		}
		now := time.Since(f.book.start)
		switch {
		case now >= f.warm && !split:
			network.Split(far...)
			split = true
		case now >= f.warm+d && !healed:
			for _, m := range f.members {
				if m.cluster.Health().Members < len(f.members) {
					x.knew++
				}
			}
			network.Split()
			healed = true
		}
		whole := true
		for i, m := range f.members {
			whole = whole && m.cluster.Health().Members == len(f.members)
			if m.zone != 0 {
				continue
			}
			spill := m.group.Explain().Endpoints[1].Spill
			x.most = max(x.most, spill)
			if !healed {
				continue
			}
			x.after, x.late = max(x.after, spill), max(x.late, m.cluster.Health().TickDelay)
			past[i] = append(past[i], sample{now, spill})
			if n := len(past[i]); n > window {
				was := past[i][n-1-window]
				x.rose = max(x.rose, (spill-max(was.spill, all))/(now-was.at).Seconds())
			}
		}
		if healed && whole && x.whole == 0 {
			x.whole = now - f.warm - d
		}
	}
}
