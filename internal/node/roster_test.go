package node_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/law"
	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/rendezvous"
)

// TestRoster: order and repetition mean nothing, and the caller's slice stays
// the caller's.
func TestRoster(t *testing.T) {
	given := []string{"d", "a", "c", "a", "b", "e", "d"}
	was := slices.Clone(given)
	r := node.NewRoster(given)
	if !slices.Equal(given, was) {
		t.Errorf("the names given are now %v", given)
	}
	clear(given)
	want := []string{"a", "b", "c", "d", "e"}
	if got := r.Names(); !slices.Equal(got, want) || r.Len() != len(want) {
		t.Errorf("%d members: %v", r.Len(), got)
	}
	r.Names()[0] = "z"
	for name, has := range map[string]bool{"a": true, "e": true, "z": false, "": false} {
		if r.Has(name) != has {
			t.Errorf("has %q: %v", name, !has)
		}
	}
	if got, want := r.Top("svc"), rendezvous.Top(rendezvous.List(want), "svc"); !slices.Equal(got, want) {
		t.Errorf("stewards %v, want %v", got, want)
	}
	nobody := &node.Roster{}
	if nobody.Len() != 0 || nobody.Has("a") || len(nobody.Names()) != 0 || len(nobody.Top("svc")) != 0 {
		t.Errorf("%+v", nobody)
	}
}

// TestSharedRoster: nodes that run at the same time may hold the same list, those
// that are not on it as well (the race detector looks on).
func TestSharedRoster(t *testing.T) {
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprint("member-", i))
	}
	r := node.NewRoster(names)
	samples := []node.Samples{{Service: "svc", Endpoints: []coord.Sample{{Endpoint: "e", Phi: coord.PhiFull, Totals: coord.Totals{Demand: 1, OK: 1}}}}}
	var nodes sync.WaitGroup
	for _, name := range append(names, "stranger") {
		nodes.Go(func() {
			n := node.New(name, 1)
			n.SetMembers(r)
			out := n.Tick(time.Hour+law.Tick, samples, 255)
			to := map[string]bool{}
			for _, s := range out.Sends {
				to[s.To] = true
			}
			for _, steward := range r.Top("svc") {
				if !to[steward] && steward != name {
					t.Errorf("%s does not report to %s", name, steward)
				}
			}
			if n.Members() != len(names) {
				t.Errorf("%s knows of %d members", name, n.Members())
			}
		})
	}
	nodes.Wait()
}
