package gossip

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

func TestHistoryKeepsTheLast(t *testing.T) {
	var p past
	start := time.UnixMilli(1_000_000)
	for i := range 2*maxPoints + 7 {
		p.add(point{at: start.Add(time.Duration(i) * time.Second).UnixMilli(), phi: 1, wanted: float32(i)}, nil)
		kept := p.since(0)
		first := max(i+1-maxPoints, 0)
		if len(kept) != i+1-first || kept[0].Wanted != float64(first) || kept[len(kept)-1].Wanted != float64(i) {
			t.Fatalf("after %d: %d from %v to %v", i+1, len(kept), kept[0].Wanted, kept[len(kept)-1].Wanted)
		}
	}
	last := start.Add((2*maxPoints + 6) * time.Second)
	if got := p.since(last.UnixMilli()); len(got) != 0 {
		t.Errorf("%d points after the last", len(got))
	}
	if got := p.since(last.Add(-3 * time.Second).UnixMilli()); len(got) != 3 || !got[2].At.Equal(last) {
		t.Errorf("the last three are %+v", got)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	var h history
	for i := range maxPasts {
		if h.open("svc", fmt.Sprint(i), coord.Totals{}) == nil {
			t.Fatalf("no room for endpoint %d", i)
		}
	}
	if h.open("svc", "more", coord.Totals{}) != nil {
		t.Error("room for one too many")
	}
	h.note(1, nil)
	if got := h.read("", 0); len(got.Series) != maxPasts || got.Without != 1 {
		t.Errorf("%d series, %d without", len(got.Series), got.Without)
	}
	if got := h.read("other", 0); len(got.Series) != 0 {
		t.Errorf("%d series of a service that there is not", len(got.Series))
	}
}

// The history begins with the first call, has a point a second, and knows the load of
// this member and of all.
func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 3
		f := launch(t, n, 7)
		f.until(t, "complete lists", 3*time.Minute, f.complete(n))
		load := func(span time.Duration) { // each member: 20 first tries a second, a quarter of which fails
			for i := range int(span / (tick / 5)) {
				for _, ep := range f.eps {
					call(ep, i%4 > 0)
				}
				time.Sleep(tick / 5)
			}
		}
		m := f.members[0]
		load(10 * time.Second)
		if pasts := m.history.pasts; pasts != nil {
			t.Errorf("recorded unasked: %d", len(pasts))
		}
		if h := m.History("", time.Time{}); len(h.Series) != 0 || h.Without != 0 {
			t.Errorf("at first: %+v", h)
		}
		began := time.Now()
		load(21 * time.Second)
		h := m.History("payments", time.Time{})
		if len(h.Series) != 1 || h.Series[0].Service != "payments" || h.Series[0].Endpoint != "eu" {
			t.Fatalf("history %+v", h)
		}
		points := h.Series[0].Points
		if len(points) < 18 || len(points) > 21 {
			t.Fatalf("%d points in 21 s", len(points))
		}
		for i, p := range points {
			if i > 0 && (p.At.Sub(points[i-1].At) < 900*time.Millisecond || p.At.Sub(points[i-1].At) > 1100*time.Millisecond) || !p.At.After(began) {
				t.Errorf("point %d at %v", i, p.At.Sub(began))
			}
			if p.Phi < 0 || p.Phi > 1 || p.Wanted < 15 || p.Wanted > 25 || p.OK+p.Failed < 15 || p.Failed < 3 || p.Retries != 0 {
				t.Errorf("point %d: %+v", i, p)
			}
		}
		if d := points[len(points)-1].Demand; d < 45 || d > 75 {
			t.Errorf("the cluster's demand is %v, want about 60", d)
		}
		if got := m.History("", points[len(points)-2].At).Series[0].Points; len(got) != 1 || got[0] != points[len(points)-1] {
			t.Errorf("since the last but one: %+v", got)
		}
	})
	if h := (*Cluster)(nil).History("", time.Time{}); h.Series != nil || h.Without != 0 {
		t.Errorf("of no cluster: %+v", h)
	}
}
