package failoverhttp_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failoverhttp"
	"github.com/murmuration-go/murmuration/gossip"
	"github.com/murmuration-go/murmuration/internal/race"
	"github.com/murmuration-go/murmuration/retry"
)

// zone is a server of one zone, which counts what arrives.
type zone struct {
	name     string
	capacity float64 // as configured
	demand   float64 // first tries a second, of all members in it
	members  int
	server   *httptest.Server
	down     atomic.Bool

	mu   sync.Mutex
	seen []time.Time
}

func (z *zone) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	z.mu.Lock()
	z.seen = append(z.seen, time.Now())
	z.mu.Unlock()
	work := time.NewTimer(5 * time.Millisecond) // or a busy machine would look like a strained server
	defer work.Stop()
	<-work.C
	if z.down.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// rate is the requests a second of a span.
func (z *zone) rate(from, to time.Time) float64 {
	z.mu.Lock()
	defer z.mu.Unlock()
	n := 0
	for _, t := range z.seen {
		if !t.Before(from) && t.Before(to) {
			n++
		}
	}
	return float64(n) / to.Sub(from).Seconds()
}

// told is what became of the calls of one zone's members.
type told struct {
	mu       sync.Mutex
	ok, lost int
	strange  error // that is neither the server's word nor says who refused
}

func (o *told) add(err error) {
	if errors.Is(err, context.Canceled) { // the test is over
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil {
		o.ok++
		return
	}
	o.lost++
	if open := new(breaker.OpenError); !errors.Is(err, errUnavailable) && !errors.As(err, &open) {
		o.strange = err
	}
}

var errUnavailable = errors.New("unavailable")

// Zone a dies. What of its traffic fits beside zone b's own goes there within
// twelve seconds, and not more; b's users lose nothing; and when a is back it has
// all of its traffic again.
func TestZoneDies(t *testing.T) {
	if testing.Short() || race.Enabled {
		t.Skip("sixteen members and half a minute, and latencies that matter")
	}
	zones := []*zone{{name: "a", capacity: 150, demand: 120, members: 11}, {name: "b", capacity: 100, demand: 50, members: 5}}
	var endpoints []failover.Endpoint
	for _, z := range zones {
		z.server = httptest.NewServer(z)
		t.Cleanup(z.server.Close)
		endpoints = append(endpoints, failover.Endpoint{Name: z.name, URL: z.server.URL, Zone: z.name, Capacity: z.capacity})
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	t.Cleanup(cancel)
	outcomes := map[string]*told{"a": {}, "b": {}}
	var clusters []*gossip.Cluster
	var seeds []string
	for _, z := range zones {
		for range z.members {
			c, err := gossip.Join(ctx, gossip.Config{Cluster: "zones", Bind: "127.0.0.1:0", Seeds: seeds, Zone: z.name, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			if clusters = append(clusters, c); len(seeds) < 3 {
				seeds = append(seeds, c.Addr())
			}
			g, err := failover.New("svc", failover.Config{Endpoints: endpoints, Cluster: c, Retry: retry.Policy{AttemptTimeout: time.Second}})
			if err != nil {
				t.Fatal(err)
			}
			base := http.DefaultTransport.(*http.Transport).Clone()
			t.Cleanup(base.CloseIdleConnections)
			client := &http.Client{Transport: failoverhttp.NewTransport(g, base)}
			running.Go(func() { calls(ctx, client, z.demand/float64(z.members), outcomes[z.name]) })
		}
	}
	awhile := func(d time.Duration) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		<-timer.C
	}
	late := time.Now().Add(time.Minute)
	for _, c := range clusters {
		for c.Health().Members < len(clusters) || c.Health().Mode != gossip.ModeCoordinated {
			if awhile(50 * time.Millisecond); time.Now().After(late) {
				t.Fatalf("the members do not find each other: %+v", c.Health())
			}
		}
	}
	awhile(8 * time.Second)
	a, b := zones[0], zones[1]
	before := b.rate(time.Now().Add(-5*time.Second), time.Now())
	died := time.Now()
	a.down.Store(true)
	awhile(20 * time.Second)
	back := time.Now()
	a.down.Store(false)
	awhile(5 * time.Second)

	room := .75*b.capacity - b.demand
	shifted := b.rate(died.Add(12*time.Second), back) - before
	var peak []float64
	for s := died; s.Before(back); s = s.Add(time.Second) {
		peak = append(peak, b.rate(s, s.Add(5*time.Second))/b.capacity)
	}
	own, others := outcomes["b"], outcomes["a"]
	own.mu.Lock()
	defer own.mu.Unlock()
	others.mu.Lock()
	defer others.mu.Unlock()
	t.Logf("b had %.0f a second; from 12 s on %.0f of a's besides, where there was room for %.0f; in 5 s at most %.2f of its capacity", before, shifted, room, slices.Max(peak))
	t.Logf("of b's own calls %d of %d failed, of a's %d of %d; a has %.0f a second since it is back", own.lost, own.ok+own.lost, others.lost, others.ok+others.lost, a.rate(back.Add(2*time.Second), time.Now()))
	if shifted < .4*room || shifted > 1.5*room {
		t.Errorf("%.0f a second were diverted, where there was room for %.0f", shifted, room)
	}
	if most := slices.Max(peak); most > .9 {
		t.Errorf("b had up to %.2f of its capacity", most)
	}
	if own.lost > (own.ok+own.lost)/100 {
		t.Errorf("b's own lost %d of %d", own.lost, own.ok+own.lost)
	}
	if others.strange != nil {
		t.Errorf("a call failed with %v", others.strange)
	}
	if got := a.rate(back.Add(2*time.Second), time.Now()); got < .8*a.demand {
		t.Errorf("back again, a has %.0f a second of %.0f", got, a.demand)
	}
}

// calls makes calls at a rate, as they come by chance.
func calls(ctx context.Context, client *http.Client, rate float64, o *told) {
	var under sync.WaitGroup
	defer under.Wait()
	for {
		timer := time.NewTimer(time.Duration(rand.ExpFloat64() / rate * float64(time.Second)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		under.Go(func() {
			o.add(get(ctx, client))
		})
	}
}

func get(ctx context.Context, client *http.Client) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://svc/", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errUnavailable
	}
	return nil
}
