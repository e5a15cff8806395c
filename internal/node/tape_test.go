package node_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/sim"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// incidentTapes are the tapes of twelve simulated members whose server stalls,
// and of which a steward then dies.
func incidentTapes() []*node.Tape {
	w := sim.New(sim.Config{
		Seed: 1, Members: 12, Strategy: sim.Ours(sim.Options{}),
		Services: []sim.ServiceConfig{{Load: 400, Servers: []sim.ServerConfig{{Capacity: 1000}}}},
	})
	var tapes []*node.Tape
	for _, m := range w.Members() {
		tape := &node.Tape{}
		m.Node().Record(tape)
		tapes = append(tapes, tape)
	}
	server := w.Service(0).Servers[0]
	w.After(10*time.Second, server.Stall)
	w.After(15*time.Second, func() { server.Resume(w) })
	w.After(18*time.Second, func() { w.Crash(w.Stewards(0)[0]) })
	w.Run(40 * time.Second)
	return tapes
}

func written(t testing.TB, tape *node.Tape) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := tape.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestSimulatedRunReplays: and what is read back is what was written.
func TestSimulatedRunReplays(t *testing.T) {
	dimmed, decided, changes := 0, 0, 0
	for _, tape := range incidentTapes() {
		file := written(t, tape)
		read, err := node.ReadTape(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(written(t, read), file) {
			t.Errorf("%s: what was read is not what was written", tape.Name)
		}
		if err := read.Replay(); err != nil {
			t.Error(err)
		}
		for _, c := range read.Calls {
			if c.Do == "members" {
				changes++
			}
			decided += len(c.Decisions)
			for _, a := range c.Advice {
				if a.Phi < coord.PhiFull {
					dimmed++
				}
			}
		}
	}
	if dimmed == 0 || decided == 0 || changes != 12+11 { // the dead one is not told
		t.Errorf("%d times dimmed, %d decisions, %d lists of members", dimmed, decided, changes)
	}
}

// TestTapeIsACopy: whoever made the call may use its memory again.
func TestTapeIsACopy(t *testing.T) {
	var tape node.Tape
	n := node.New("self", 7)
	n.Record(&tape)
	n.SetMembers(node.NewRoster([]string{"self", "other"}))
	samples := []node.Samples{{Service: "svc", Endpoints: []coord.Sample{{Endpoint: "e", Phi: coord.PhiFull, Totals: coord.Totals{Demand: 1, OK: 1}}}}}
	n.Tick(time.Hour, samples, 200)
	data, err := wire.AppendVerdicts(nil, &wire.Verdicts{Origin: wire.Origin{Member: "other", Seq: 1}, Rows: []wire.VerdictRow{dim}})
	if err != nil {
		t.Fatal(err)
	}
	out := n.Deliver(time.Hour, data)
	if len(out.Casts) != 1 {
		t.Fatalf("%d casts", len(out.Casts))
	}
	clear(data)
	clear(out.Casts[0].Data)
	clear(samples[0].Endpoints)
	clear(samples)
	if err := tape.Replay(); err != nil {
		t.Error(err)
	}
	if tape.Name != "self" || tape.Incarnation != 7 || len(tape.Calls) != 4 {
		t.Errorf("%s, %d, %d calls", tape.Name, tape.Incarnation, len(tape.Calls))
	}
}

// TestFullTape: it holds the beginning, and counts the rest.
func TestFullTape(t *testing.T) {
	var tape node.Tape
	n := node.New("self", 1)
	n.Record(&tape)
	noise := make([]byte, 1<<20)
	for range 100 {
		n.Deliver(time.Hour, noise)
	}
	n.Deliver(time.Hour, nil) // for which there would be room
	if held := len(tape.Calls); held < 32 || held > 64 || held+tape.Lost != 102 {
		t.Fatalf("%d calls on the tape, %d lost", held, tape.Lost)
	}
	if err := tape.Replay(); err != nil {
		t.Error(err)
	}
	read, err := node.ReadTape(bytes.NewReader(written(t, &node.Tape{Lost: 3})))
	if err != nil || read.Lost != 3 {
		t.Errorf("%v, %+v", err, read)
	}
}

func TestReadTapeErrors(t *testing.T) {
	const (
		head    = `{"tape":4,"name":"self","incarnation":1,"calls":1}`
		members = `{"do":"members","names":["self"]}`
	)
	for _, c := range []struct{ name, file, want string }{
		{"empty", "", "first line"},
		{"no tape", "once upon a time", "first line"},
		{"an older one", `{"tape":1,"name":"self","incarnation":1,"calls":0}`, "version 1; this is 4"},
		{"a newer one", `{"tape":5,"name":"self","incarnation":1,"calls":0}`, "version 5; this is 4"},
		{"cut between lines", head + "\n", "after 0 calls of 1: unexpected EOF"},
		{"cut within a line", head + "\n" + members[:20], "after 0 calls of 1: unexpected EOF"},
		{"too much", head + "\n" + members + "\n" + members, "after 1 calls of 1: the tape is too long"},
		{"an unknown field", head + "\n" + `{"do":"tick","colour":"red"}`, "colour"},
		{"a number too large", head + "\n" + `{"do":"tick","health":256}`, "health"},
	} {
		_, err := node.ReadTape(strings.NewReader(c.file))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	tape, err := node.ReadTape(strings.NewReader(head + "\n" + `{"do":"sleep"}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := tape.Replay(); err == nil || !strings.Contains(err.Error(), `no call "sleep"`) {
		t.Error(err)
	}
	full := errors.New("disk full")
	if err := tape.Write(failing{full}); !errors.Is(err, full) {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// FuzzReadTape: whatever a file holds, reading and replaying it ends in an error
// or in nothing.
func FuzzReadTape(f *testing.F) {
	tapes := incidentTapes()
	for _, tape := range []*node.Tape{tapes[0], tapes[len(tapes)-1]} {
		tape.Calls = tape.Calls[:min(len(tape.Calls), 12)]
		f.Add(written(f, tape))
	}
	f.Add([]byte(`{"tape":4,"name":"self","incarnation":1,"calls":1}` + "\n" + `{"do":"members"}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		tape, err := node.ReadTape(bytes.NewReader(file))
		if err != nil {
			return
		}
		_ = tape.Replay()
		again, err := node.ReadTape(bytes.NewReader(written(t, tape)))
		if err != nil || !bytes.Equal(written(t, again), written(t, tape)) {
			t.Fatalf("written and read again it differs: %v", err)
		}
	})
}
