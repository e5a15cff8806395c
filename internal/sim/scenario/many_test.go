package scenario

import (
	"os"
	"strconv"
	"testing"
)

// TestManyAmiss: with 50 services amiss at once, verdicts stay fresh for members
// and services alike, and gossip stays below what memberlist lets through.
// MEMBERS sets the size; 1,000 take some minutes.
func TestManyAmiss(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	members := 60
	if s := os.Getenv("MEMBERS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 3 {
			t.Fatalf("MEMBERS is %q; it must be a number from 3", s)
		}
		members = n
	}
	t.Parallel()
	for _, each := range []float64{.1, .5} { // calls a second of a member to each service
		s := Many{N: members, Services: 50, Seed: 1, Each: each}
		r := s.Run()
		t.Logf("%d members, %g calls a second each: fresh %.4f, %.4f in the worst second; advice %v old at the 99th percentile; gossip %.0f of %d bytes a second and member in the busiest second, %.0f messages and %.0f bytes direct",
			members, each, r.Fresh, r.Least, r.Age99, r.GossipBps, GossipCap, r.Packets, r.DirectBps)
		if r.Fresh < .99 || r.Least < .98 || r.Dimmed < .98 || r.GossipBps > GossipCap || r.Pruned > 0 {
			t.Errorf("out of bounds: %+v", r)
		}
	}
}
