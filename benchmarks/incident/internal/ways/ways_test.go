package ways

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/murmuration-go/murmuration/benchmarks/incident/internal/world"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// member is one of a way, before servers whose fault is on.
func member(t *testing.T, w *Way, protocol, scenario string) Client {
	t.Helper()
	l, err := world.Find(scenario)
	if err != nil {
		t.Fatal(err)
	}
	p := &world.Plan{Scenario: l[0], Members: 2, Capacity: 1000, Load: .5, Seed: 1}
	e := Env{GRPC: w.OverGRPC(protocol), Zoned: p.Zoned}
	for z := range p.Zones() {
		s := world.NewServer(p, z)
		if err := s.Listen(e.GRPC); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		e.Endpoints = append(e.Endpoints, Endpoint{Name: fmt.Sprint("zone", z), URL: s.URL, Addr: s.Addr, Capacity: p.CapacityOf(z)})
	}
	c, err := w.New(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// each runs a test for every way over every protocol that it is made for.
func each(t *testing.T, f func(t *testing.T, w *Way, protocol string)) {
	for _, protocol := range []string{"http", "grpc"} {
		for _, name := range Names(protocol) {
			t.Run(protocol+"/"+name, func(t *testing.T) {
				t.Parallel()
				l, _ := Find(protocol, []string{name})
				f(t, &l[0], protocol)
			})
		}
	}
}

// TestAttempts: a call that is refused is tried as often as its configuration says.
func TestAttempts(t *testing.T) {
	each(t, func(t *testing.T, w *Way, protocol string) {
		c := member(t, w, protocol, "S2")
		if open := c.Open(); open != 1 {
			t.Errorf("before all calls %v of them may go", open)
		}
		least, most := MaxAttempts, MaxAttempts
		switch {
		case w.Name == "none":
			least, most = 1, 1
		case w.Name == Ours || w.Name == OursRPC: // the budget of a member that is alone
			least = 1
		}
		ctx, trip := NewTrip(t.Context())
		if err := c.Call(ctx); err == nil {
			t.Error("no error")
		}
		if n := len(trip.Sent()); n < least || n > most {
			t.Errorf("%d attempts", n)
		}
	})
}

// TestAttemptTimeout: a call that hangs is tried again after the attempt's timeout.
func TestAttemptTimeout(t *testing.T) {
	each(t, func(t *testing.T, w *Way, protocol string) {
		c := member(t, w, protocol, "S1")
		ctx, cancel := context.WithTimeout(t.Context(), AttemptTimeout*5/2)
		defer cancel()
		ctx, trip := NewTrip(ctx)
		if err := c.Call(ctx); err == nil {
			t.Error("no error")
		}
		sent := trip.Sent()
		if w.Name == "none" {
			if len(sent) != 1 || ctx.Err() != nil {
				t.Errorf("%d attempts, %v", len(sent), ctx.Err())
			}
			return
		}
		if len(sent) < 2 {
			t.Fatalf("%d attempts", len(sent))
		}
		if d := sent[1].Sub(sent[0]); d < AttemptTimeout {
			t.Errorf("the second attempt comes %v after the first", d)
		}
	})
}

// TestElsewhere: with zones all but none come to the one that is well.
func TestElsewhere(t *testing.T) {
	each(t, func(t *testing.T, w *Way, protocol string) {
		c := member(t, w, protocol, "F1r")
		for range 12 {
			ctx, _ := NewTrip(t.Context())
			if err := c.Call(ctx); err == nil {
				if w.Name == "none" {
					t.Error("left home")
				}
				return
			}
		}
		if w.Name != "none" {
			t.Error("stays where all is refused")
		}
	})
}

// TestBreakersOpen: where there is a breaker, it opens, shows, and refuses at once.
func TestBreakersOpen(t *testing.T) {
	for _, name := range []string{"failsafe", "gobreaker", Ours} {
		l, _ := Find("http", []string{name})
		c := member(t, &l[0], "http", "S2")
		refused := false
		for range 30 {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			ctx, trip := NewTrip(ctx)
			_ = c.Call(ctx)
			cancel()
			refused = refused || len(trip.Sent()) == 0
		}
		if !refused || c.Open() > 0 {
			t.Errorf("%s: refused %v, open to %v", name, refused, c.Open())
		}
	}
}

func TestFind(t *testing.T) {
	if _, unknown := Find("grpc", []string{"none", "retryablehttp", Ours, "prayer"}); !slices.Equal(unknown, []string{"retryablehttp", Ours, "prayer"}) {
		t.Errorf("unknown over gRPC are %v", unknown)
	}
	if !slices.Contains(Names("http"), Ours) || !slices.Contains(Names("grpc"), OursRPC) {
		t.Error("ours is missing")
	}
}
