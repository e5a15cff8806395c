package script_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/murmuration-go/murmuration/internal/sim/script"
)

const example = `# A bit of everything.
seed 7
members 5
load 40.5
capacity 120
timeout 750ms
zones 2
workers 4
queue 200
work bimodal
newest-first
drops
cancels
slow-workers 1 20
network loss=10% duplicate=5% reorder=20% late=3s latency=2ms garble=0.5%

trace on
run 1m30s
stall 10s
refuse 10s
refuse 10s member 3
vanish 60% 30s
vanish 100% 1h steward 0
errors 5% 10m other
halve 30s
capacity 60
capacity 60 5s
load 200
load 0 20s
cold 1m
crash member 0
crash other
leave steward 2
join
restart member 1
pause steward 0 5s
jump member 2 1h
skew member 2 0.99
split 40%
split 12.5% one-way
split 33% 40s
heal
network
lie member 3 failures inflated
lie steward 0 closed
garble member 1 30%
poison steward 1
honest member 3
honest all
trace off
show
`

func TestParse(t *testing.T) {
	s, err := script.Parse(strings.NewReader(example))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.String(); got != example {
		t.Errorf("written again it says:\n%s", got)
	}
	again, err := script.Parse(strings.NewReader("  what an earlier run wrote\n" + s.String()))
	if err != nil || !slices.Equal(s, again) {
		t.Errorf("read again it is %v, error %v", again, err)
	}
}

func TestParseFaults(t *testing.T) {
	const text = `members 0
members many
stall
stall soon
errors 105% 10s
crash everybody
crash member
lie member 0 closed
lie steward 0 failures inflated
network loss=10% loss=5%
network speed=3
run 10s
members 5
show me
dance
`
	_, err := script.Parse(strings.NewReader(text))
	if err == nil {
		t.Fatal("all of it was accepted")
	}
	got := strings.Split(err.Error(), "\n")
	want := []string{
		"line 1: members: N is \"0\"; it is to be a whole number from 1 to 10000; its form is: members N",
		"line 2: members: N is \"many\"",
		"line 3: stall: D is missing; its form is: stall D",
		"line 4: stall: a time is \"soon\"; it is to be like 200ms, 10s or 1m30s",
		"line 5: errors: a share is \"105%\"; it is to be from 0% to 100%",
		"line 6: crash: \"everybody\" is nobody; it is to be member I|steward I|other",
		"line 7: crash: which member is missing, a number from 0",
		"line 8: lie: \"closed\" is no lie of a member; there are: lends what it has not, demand inflated,",
		"line 9: lie: \"failures inflated\" is no lie of a steward; there are: closed, well",
		"line 10: network: loss is said twice",
		"line 11: network: \"speed=3\" is no setting of a network",
		"line 13: members belongs to the setup, and run has already begun; put it before",
		"line 14: show: \"me\" is too much; its form is: show",
		"line 15: there is no command \"dance\"; there are seed, members,",
	}
	if len(got) != len(want) {
		t.Fatalf("%d faults, not %d:\n%v", len(got), len(want), err)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("got  %s\nwant %s", got[i], want[i])
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(example)
	for seed := range uint64(20) {
		f.Add(script.Random(seed).String())
	}
	f.Add("run -1s\nload NaN\n\xff\n \n#\nnetwork late=")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := script.Parse(strings.NewReader(text))
		again, err2 := script.Parse(strings.NewReader(s.String()))
		if err == nil && err2 != nil {
			t.Fatalf("what was written cannot be read: %v", err2)
		}
		if err == nil && !slices.Equal(s, again) {
			t.Fatalf("%q became %q", s, again)
		}
	})
}

// TestRandom: what is drawn can be written, read and run, at the cost of a minute
// of virtual time or a little more.
func TestRandom(t *testing.T) {
	for seed := range uint64(1000) {
		s := script.Random(seed)
		again, err := script.Parse(strings.NewReader(s.String()))
		if err != nil || !slices.Equal(s, again) {
			t.Fatalf("seed %d: read again it is %v, error %v", seed, again, err)
		}
		total := 0.
		for _, l := range s {
			switch l.Name {
			case "run":
				total += l.For.Seconds()
			case "mend":
				total -= 90 // that follow
			}
		}
		if total < 60 || total > 76 {
			t.Errorf("seed %d lasts %.0f s", seed, total)
		}
	}
}

func TestShrink(t *testing.T) {
	asked := 0
	fails := func(s script.Script) bool { // a stall of 5 s or more, and two members
		asked++
		stall, members := false, true
		for _, l := range s {
			stall = stall || l.Name == "stall" && l.For.Seconds() >= 5
			members = members && (l.Name != "members" || l.N >= 2)
		}
		return stall && members
	}
	s, err := script.Parse(strings.NewReader("seed 4\nmembers 17\nload 80\nrun 10.3s\nstall 17.123s\nrun 1s\njoin\nrun 12s\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := script.Shrink(s, fails, 1000).String(); got != "stall 5s\n" || asked > 200 {
		t.Errorf("after %d questions: %q", asked, got)
	}
	asked = 0
	if script.Shrink(s, fails, 10); asked > 10 {
		t.Errorf("%d questions were asked; 10 were allowed", asked)
	}
}
