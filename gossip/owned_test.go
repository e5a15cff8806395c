package gossip

import (
	"bytes"
	"context"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"
)

// Members that crash one after the other leave probes of the dead under way;
// Close waits for its own and for nobody else's.
func TestCloseWaitsForProbes(t *testing.T) {
	other := join(t, Config{Cluster: "another"})
	var members []*cluster
	var seeds []string
	for range 4 {
		m, err := tryJoin(context.Background(), Config{Seeds: seeds})
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, m)
		seeds = []string{members[0].Addr()}
	}
	for _, m := range members {
		m.waitMembers(t, len(members))
	}
	last := members[len(members)-1]
	for _, m := range members[:len(members)-1] {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	for began := time.Now(); !probing(t); {
		if time.Since(began) > patience {
			t.Fatal("the dead are not probed")
		}
		runtime.Gosched()
	}
	if err := last.Close(); err != nil {
		t.Error(err)
	}
	if probing(t) {
		t.Error("a probe outlives Close")
	}
	if other.CoordService("svc") == nil {
		t.Error("the other cluster was closed as well")
	}
}

// probing reports whether a probe is waiting for an answer.
func probing(t *testing.T) bool {
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(b.Bytes(), []byte("memberlist.(*Memberlist).probeNode"))
}
