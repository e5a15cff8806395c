package script_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/murmuration-go/murmuration/internal/sim"
	"github.com/murmuration-go/murmuration/internal/sim/script"
)

// trace is all that happens in a random history, as bytes: what is traced, what
// is sent, and the sums.
func trace(seed uint64) string {
	h := sha256.New()
	o, err := script.Run(script.Random(seed), script.Options{Output: h, Echo: true, Trace: true})
	fmt.Fprintf(h, "%+v %v", o, err)
	h2 := sha256.New()
	_, err = script.Run(script.Random(seed), script.Options{Watch: &recorder{say: func(format string, args ...any) {
		fmt.Fprintf(h2, format, args...)
	}}})
	return fmt.Sprintf("%x %x %v", h.Sum(nil), h2.Sum(nil), err)
}

// recorder writes down every attempt and every message.
type recorder struct {
	still
	say func(format string, args ...any)
}

func (r *recorder) Sent(w *sim.World, m *sim.Member, service int, a *sim.Attempt) {
	r.say("%d %s sends %d to %d/%d\n", w.Now(), m.Name, a.N, service, a.Endpoint)
}

func (r *recorder) Delivered(w *sim.World, m *sim.Member, data []byte) {
	r.say("%d %s hears %x\n", w.Now(), m.Name, data)
}

// TestReplay: a script gives the same history to the byte, however often it is
// run.
func TestReplay(t *testing.T) {
	for seed := uint64(1); seed <= 8; seed++ {
		if a, b := trace(seed), trace(seed); a != b {
			t.Errorf("seed %d: %s, then %s", seed, a, b)
		}
	}
}

// TestProcessors: and on however many processors. How many shards the counters
// have is decided when a process starts, so it takes processes to tell.
func TestProcessors(t *testing.T) {
	if os.Getenv("TRACE_ONLY") != "" {
		for seed := uint64(11); seed <= 14; seed++ {
			fmt.Println(trace(seed))
		}
		return
	}
	if testing.Short() {
		t.Skip("starts processes")
	}
	var outputs []string
	for _, n := range []int{1, 4} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProcessors$")
		cmd.Env = append(os.Environ(), "TRACE_ONLY=1", fmt.Sprint("GOMAXPROCS=", n))
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		outputs = append(outputs, string(out[:4*len(trace(11))]))
	}
	if outputs[0] != outputs[1] {
		t.Errorf("with one processor:\n%swith four:\n%s", outputs[0], outputs[1])
	}
}
