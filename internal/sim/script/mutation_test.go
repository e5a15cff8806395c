package script_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// mutants are the core with one invariant broken on purpose, each by an edit of
// its source, and the guarantee whose check has to find out.
var mutants = []struct {
	guarantee string
	what      string
	file      string // below internal
	old, new  string
}{
	{"G1", "retries cost nothing", "ledger/ledger.go", "CompareAndSwap(have, left)", "CompareAndSwap(have, have)"},
	{"G1", "a lender keeps what it lends", "ledger/ledger.go", "CompareAndSwap(have, have-loan)", "CompareAndSwap(have, have)"},
	{"G1", "a loan is credited as often as it comes", "node/loan.go", "n.loans.out = slices.Delete(n.loans.out, i, i+1)", ""},
	{"G1", "a loan need not have been asked for", "node/loan.go", "a.nonce == l.Nonce && a.to == l.Origin.Member", "a.to == l.Origin.Member"},
	{"G3", "the most restrictive steward decides", "node/view.go", "return f[1]\n", "return f[0]\n"},
	{"G3", "one fresh verdict will do", "node/view.go", "if n < 2 || members < 2 {", "if f := fresh[:n]; n == 1 { fresh[1], n = f[0], 2 }\n\tif n < 2 || members < 2 {"},
	{"G3", "a stale verdict seconds a fresh one", "node/view.go", "return now-h.asOf < valid\n", "return now-h.asOf < 9*valid\n"},
	{"G3", "one steward delays retries", "node/pushback.go", "first, second = u, first", "first, second = u, u"},
	{"G3", "one reporter delays retries", "law/pushback.go", "first, second = until, first", "first, second = until, until"},
	{"G3", "retries wait for as long as is asked", "node/pushback.go", "min(h.row.Pushback, coord.MaxPushback)", "min(h.row.Pushback, 2*coord.MaxPushback)"},
	{"G4", "lost verdicts delay retries for longer", "node/view.go", "Until: notYet(now, v.advice.Until)", "Until: notYet(now, v.advice.Until) + time.Millisecond"},
	{"G4", "what has faded is held on to", "node/view.go", "gone > holdFor {", "gone > 6*holdFor {"},
	{"G4", "retries go on while advice fades", "node/view.go", "phi, coord.RetryNone, coord.SourceCluster", "phi, coord.RetryAll, coord.SourceCluster"},
	{"G5", "thirty probes a second", "law/steward.go", "probesPerSecond = 3", "probesPerSecond = 30"},
	{"G5", "each member has its own probes", "law/steward.go", "return probesPerSecond / s.demand.value", "return min(1, float64(max(s.present, 1))*probesPerSecond/s.demand.value)"},
	{"G6", "phi rises fourfold", "law/dim.go", "next = 2 * base", "next = 4 * base"},
	{"G6", "phi rises after an epoch in which nothing succeeded", "law/dim.go", "s.step(now, base/4, NoneWell)", "s.step(now, 1.5*base, NoneWell)"},
	{"G6", "above the ceiling phi rises as below it", "law/dim.go", "next := 1.12 * base", "next := 1.5 * base"},
	{"end", "no clean epoch leads out of probing", "law/dim.go", "s.probing() && why != Clean && p > b/probesMost && p < 1.5*b", "s.probing() && p > b/probesMost && p < 99*b"},
	{"G7", "one steward says how much may go elsewhere", "node/divert.go", "return second\n}", "return max(first, second)\n}"},
	{"G7", "who is cut off forgets what own users want", "node/divert.go", "own += z.wants", "own = 0 * z.wants"},
	{"G7", "a plan is followed for ever", "node/view.go", "now-v.coordinatedAt < planned", "now-v.coordinatedAt < 999*planned"},
	{"G8", "the last verdict heard counts, not the newest", "node/view.go", "if !o.Newer(h.origin) {", "if o == h.origin {"},
	{"G9", "stewards watch over whatever is made up", "node/steward.go", "if len(s.duties) >= coord.MaxEndpoints {", "if len(s.duties) >= 99*coord.MaxEndpoints {"},
}

var caught = regexp.MustCompile(`(?m)seed (\d+).*?(G\d|end) violated`)

// TestMutants breaks the core on purpose and sees the soak find out: a check that
// cannot fail is worth nothing.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the core anew for every mutant")
	}
	if os.Getenv("MUTANT") != "" {
		t.Skip("this is one")
	}
	for _, m := range mutants {
		t.Run(m.guarantee+" "+m.what, func(t *testing.T) {
			file, err := filepath.Abs(filepath.Join("..", "..", m.file))
			if err != nil {
				t.Fatal(err)
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(source), m.old); n != 1 {
				t.Fatalf("%q stands %d times in %s; write the mutant anew", m.old, n, m.file)
			}
			dir := t.TempDir()
			mutated := filepath.Join(dir, "mutated.go")
			write(t, mutated, []byte(strings.Replace(string(source), m.old, m.new, 1)))
			overlay, err := json.Marshal(map[string]map[string]string{"Replace": {file: mutated}})
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "overlay.json"), overlay)
			cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-overlay", filepath.Join(dir, "overlay.json"), "-run", "^TestSoak$", ".")
			cmd.Env = append(os.Environ(), "MUTANT="+m.guarantee, "SEEDS=400", "START=1")
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("400 seeds found nothing wrong with it")
			}
			for _, hit := range caught.FindAllStringSubmatch(string(out), -1) {
				if hit[2] == m.guarantee {
					t.Logf("seed %s: %s", hit[1], hit[0])
					return
				}
			}
			t.Errorf("no violation of %s was found; instead:\n%.2000s", m.guarantee, out)
		})
	}
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
