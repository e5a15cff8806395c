package gossip

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/links"
	"github.com/murmuration-go/murmuration/internal/links/virtual"
)

// fleet is a cluster in a bubble.
type fleet struct {
	net     *virtual.Network
	members []*Cluster
	eps     []*coord.Endpoint
}

// launch starts n members one after the other; the first two are the seeds.
func launch(t *testing.T, n int, seed uint64) *fleet {
	t.Helper()
	f := &fleet{net: virtual.New(seed)}
	t.Cleanup(func() {
		for _, m := range f.members {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Minute) // memberlist's own goroutines end by their timeouts
	})
	for i := range n {
		addr := fmt.Sprintf("10.0.0.%d:7960", i+1)
		m, err := Join(links.With(t.Context(), f.net.Open), Config{
			Cluster: "test", Bind: addr, AllowPlaintext: true, Seeds: []string{"10.0.0.1:7960", "10.0.0.2:7960"},
			JoinTimeout: -1, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		f.members = append(f.members, m)
		f.eps = append(f.eps, m.CoordService("payments").Endpoint("eu"))
		time.Sleep(37*time.Millisecond + time.Duration(i)*1013*time.Nanosecond)
	}
	return f
}

// until lets virtual time pass until a condition holds.
func (f *fleet) until(t *testing.T, what string, limit time.Duration, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > limit {
			for _, m := range f.members {
				h := m.Health()
				if h.Mode == ModeCoordinated && h.Members == len(f.members) {
					continue
				}
				t.Logf("%s: %d members, coverage %.2f, %v: %s", m.Addr(), h.Members, h.Coverage, h.Mode, h.Reason)
			}
			t.Fatalf("no %s after %v", what, limit)
		}
		time.Sleep(tick / 5)
	}
	took := time.Since(began)
	t.Logf("%s after %v", what, took)
	return took
}

func (f *fleet) complete(n int) func() bool {
	return func() bool {
		for _, m := range f.members {
			if len(m.Members()) != n || m.Health().Mode != ModeCoordinated {
				return false
			}
		}
		return true
	}
}
