package node_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/law"
	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// newBorrower is a member whose stewards say that all is well.
func newBorrower(t tester) *single {
	s := newMember(t)
	s.hearAll(closed)
	return s
}

func (s *single) hearAll(row wire.VerdictRow) {
	s.t.Helper()
	for _, steward := range s.stewards {
		s.hear(steward, row)
	}
}

// ask asks for a loan, and returns the wishes that are sent.
func (s *single) ask(r uint64) (to []string, wishes []*wire.Loan) {
	s.t.Helper()
	out := s.take(s.node.Ask(s.now, "svc", r))
	for _, x := range out.Sends {
		m, err := wire.Decode(x.Data)
		if err != nil || m.Kind != wire.KindAsk {
			s.t.Fatalf("%+v, %v", m, err)
		}
		to, wishes = append(to, x.To), append(wishes, m.Loan)
	}
	return to, wishes
}

// answer delivers an answer to a wish and returns what was credited, or -1.
func (s *single) answer(from string, wish *wire.Loan, amount uint64) int64 {
	s.t.Helper()
	l := *wish
	l.Origin, l.Amount = wire.Origin{Member: from, Incarnation: 1}, amount
	data, err := wire.AppendLoan(nil, &l)
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	out := s.take(s.node.Deliver(s.now, data))
	if len(out.Credits) == 0 {
		return -1
	}
	if c := out.Credits[0]; len(out.Credits) != 1 || c.Service != l.Service {
		s.t.Fatalf("%+v", out.Credits)
	}
	return out.Credits[0].Amount
}

// wish delivers somebody's wish for a loan.
func (s *single) wish(from, service string, nonce uint64) *node.Output {
	s.t.Helper()
	data, err := wire.AppendAsk(nil, &wire.Loan{Origin: wire.Origin{Member: from, Incarnation: 1}, Service: service, Nonce: nonce})
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	return s.take(s.node.Deliver(s.now, data))
}

// told is the last that the node has told of whether there is anybody to ask.
func (s *single) told(out *node.Output, want ...bool) {
	s.t.Helper()
	var got []bool
	for _, l := range out.Lending {
		got = append(got, l.Open)
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("lending is told to be open %v, want %v", got, want)
	}
}

// Nobody is asked before two stewards are heard, nor while one thing is amiss.
func TestAskingIsOpenWhileAllIsWell(t *testing.T) {
	s := newMember(t)
	if to, _ := s.ask(1); len(to) != 0 {
		t.Errorf("asks %v though no steward is heard", to)
	}
	s.told(s.hear(s.stewards[0], closed))
	s.told(s.hear(s.stewards[1], closed), true)
	if to, _ := s.ask(1); len(to) != 2 {
		t.Errorf("asks %v, want two", to)
	}
	s.told(s.hear(s.stewards[0], notLoad))
	s.told(s.hear(s.stewards[1], notLoad), false)
	if to, _ := s.ask(1); len(to) != 0 {
		t.Errorf("asks %v in trouble", to)
	}
	s.told(s.hear(s.stewards[1], closed), true)
	s.wait(20 * time.Second) // nobody is heard any more
	if to, _ := s.ask(1); len(to) != 0 {
		t.Errorf("asks %v though no steward is heard any more", to)
	}
}

// Two others are asked, all of them equally often.
func TestOthersAreDrawnEvenly(t *testing.T) {
	asked := map[string]int{}
	const n = 6000
	s := newBorrower(t)
	for i := range n {
		s.now += 100 * time.Millisecond
		if i%40 == 0 {
			s.hearAll(closed)
		}
		if i%3 == 0 {
			s.tick()
		}
		to, wishes := s.ask(uint64(i) * 0x9e3779b97f4a7c15)
		if len(to) != 2 || to[0] == to[1] || slices.Contains(to, s.self) || wishes[0].Nonce == wishes[1].Nonce {
			t.Fatalf("asks %v by %+v", to, wishes)
		}
		for j, name := range to {
			asked[name]++
			s.answer(name, wishes[j], 1)
		}
	}
	for name, count := range asked {
		if count < n*2/5*9/10 || count > n*2/5*11/10 {
			t.Errorf("%s was asked %d times of %d", name, count, n)
		}
	}
	if len(asked) != 5 {
		t.Errorf("asked %v", asked)
	}
}

func TestAnswersCreditOnce(t *testing.T) {
	s := newBorrower(t)
	to, wishes := s.ask(7)
	other := wire.Loan{Service: "svc", Nonce: wishes[0].Nonce + 1}
	elsewhere := wire.Loan{Service: "other", Nonce: wishes[0].Nonce}
	for _, tc := range []struct {
		name   string
		from   string
		wish   *wire.Loan
		amount uint64
		want   int64
	}{
		{"not asked for", to[0], &other, 9, -1},
		{"by somebody else who was asked", to[1], wishes[0], 9, -1},
		{"for another service", to[0], &elsewhere, 9, -1},
		{"the answer", to[0], wishes[0], coord.TokenUnit, coord.TokenUnit},
		{"again", to[0], wishes[0], coord.TokenUnit, -1},
		{"the other one", to[1], wishes[1], 3, 3},
	} {
		if got := s.answer(tc.from, tc.wish, tc.amount); got != tc.want {
			t.Errorf("%s: credits %d, want %d", tc.name, got, tc.want)
		}
	}
	s.dropped(node.DropStale, 4)
	if got := s.node.Stats(); got.Asks != 2 || got.Borrowed != 2 {
		t.Errorf("%+v", got)
	}

	to, wishes = s.ask(8)
	s.now += 2 * time.Second
	if got := s.answer(to[0], wishes[0], 9); got != -1 {
		t.Errorf("an answer of two seconds credits %d", got)
	}
	to, wishes = s.ask(9)
	s.hearAll(notLoad)
	if got := s.answer(to[0], wishes[0], 9); got != -1 {
		t.Errorf("an answer that comes in trouble credits %d", got)
	}
}

// Three empty answers in a row pause the asking for a second, and so does silence.
func TestEmptyAnswersPause(t *testing.T) {
	s := newBorrower(t)
	empty := func(n int) (out *node.Output) {
		for range n {
			to, wishes := s.ask(uint64(n))
			if len(to) == 0 {
				t.Fatal("nobody is asked")
			}
			s.answer(to[0], wishes[0], 0)
			out = s.out
		}
		return out
	}
	empty(2)
	to, wishes := s.ask(3)
	s.answer(to[0], wishes[0], 1)
	s.told(empty(2))
	s.told(empty(1), false)
	s.now += time.Second - law.Tick - time.Millisecond
	s.told(s.tick())
	s.told(s.tick(), true)

	s.wait(3 * time.Second) // what is on its way comes to nothing
	s.hearAll(closed)
	for range 2 {
		s.ask(5)
	}
	s.wait(1750 * time.Millisecond)
	s.told(s.tick(), false)
	s.wait(time.Second - law.Tick)
	s.told(s.tick(), true)
}

// A member asks ten times a second at most, and says when it may not.
func TestAsksArePaced(t *testing.T) {
	s := newBorrower(t)
	asks := func() (n int) {
		for i := range 50 {
			if to, wishes := s.ask(uint64(i)); len(to) > 0 {
				n++
				s.answer(to[0], wishes[0], 1) // or silence would pause it
				s.answer(to[1], wishes[1], 1)
			}
		}
		return n
	}
	if got := asks(); got != 10 {
		t.Errorf("%d asks at once, want 10", got)
	}
	s.told(s.tick(), true) // a quarter of a second later
	total := 0
	for range 4 * 10 {
		total += asks()
		s.hearAll(closed)
		s.tick()
	}
	if total < 95 || total > 101 {
		t.Errorf("%d asks in ten seconds", total)
	}
}

// A wish for a loan is granted by Lend, or at once by nothing.
func TestLending(t *testing.T) {
	s := newBorrower(t)
	out := s.wish(s.others[0], "svc", 77)
	if len(out.Sends) != 0 || len(out.Asked) != 1 {
		t.Fatalf("%+v", out)
	}
	asked := out.Asked[0]
	granted := func(out *node.Output, to, service string, nonce, amount uint64) {
		t.Helper()
		if len(out.Sends) != 1 || out.Sends[0].To != to {
			t.Fatalf("%+v", out)
		}
		m, err := wire.Decode(out.Sends[0].Data)
		if err != nil || m.Kind != wire.KindLoan || m.Loan.Service != service || m.Loan.Nonce != nonce || m.Loan.Amount != amount {
			t.Fatalf("%+v, %v", m.Loan, err)
		}
	}
	granted(s.node.Lend(s.now, asked, coord.TokenUnit/2), s.others[0], "svc", 77, coord.TokenUnit/2)
	granted(s.node.Lend(s.now, asked, 9*coord.TokenUnit), s.others[0], "svc", 77, coord.TokenUnit) // no more than one
	granted(s.wish(s.others[0], "unheard-of", 78), s.others[0], "unheard-of", 78, 0)

	s.wish(s.others[0], "svc", 78)
	s.dropped(node.DropStale, 1) // the same wish again
	s.hearAll(notLoad)
	granted(s.wish(s.others[0], "svc", 79), s.others[0], "svc", 79, 0)
	s.hearAll(closed)

	if out := s.wish("stranger", "svc", 1); len(out.Sends)+len(out.Asked) != 0 {
		t.Errorf("a stranger gets %+v", out)
	}
	if out := s.wish(s.self, "svc", 1); len(out.Sends)+len(out.Asked) != 0 {
		t.Errorf("its own wish gets %+v", out)
	}
}

// A member answers another at twice the pace that falls to it when that one asks
// as fast as it may, ten times a second at most; and all of them twenty times.
func TestAnswersArePaced(t *testing.T) {
	for _, tc := range []struct{ members, burst, inTen int }{{4, 10, 100}, {6, 8, 80}, {41, 4, 10}, {401, 4, 1}} {
		s := newAmong(t, names(tc.members), false)
		for range 8 {
			s.tick()
		}
		s.hearAll(closed)
		nonce := uint64(0)
		answers := func(from string) (n int) {
			for range 50 {
				nonce++
				out := s.wish(from, "svc", nonce)
				n += len(out.Asked) + len(out.Sends)
			}
			return n
		}
		greedy := s.stewards[0]
		if got := answers(greedy); got != tc.burst {
			t.Errorf("one of %d gets %d answers at once, want %d", tc.members, got, tc.burst)
		}
		if other := answers(s.stewards[1]); other != tc.burst {
			t.Errorf("another of %d gets %d answers at once, want %d", tc.members, other, tc.burst)
		}
		got := 0
		for range 10 {
			s.wait(time.Second)
			s.hearAll(closed)
			got += answers(greedy)
		}
		if got != tc.inTen {
			t.Errorf("one of %d gets %d answers in ten seconds, want %d", tc.members, got, tc.inTen)
		}
		if got := s.node.Stats().Dropped[node.DropPaced]; got == 0 {
			t.Error("what is dropped for the pace is not counted")
		}
		for _, from := range s.others {
			answers(from)
		}
		if got := answers(greedy); got != 0 {
			t.Errorf("%d answers more than twenty to all", got)
		}
	}
}

// Who asks as fast as it may, and draws whom at random, is answered nearly always.
func TestFairAsksAreAnswered(t *testing.T) {
	for _, members := range []int{4, 6, 20, 100} {
		s := newAmong(t, names(members), false)
		for range 8 {
			s.tick()
		}
		random := rand.New(rand.NewPCG(uint64(members), 1))
		asked, answered := 0, 0
		for i := range 20_000 { // tenths of a second
			s.now += 100 * time.Millisecond
			if i%5 == 0 {
				s.hearAll(closed)
				s.tick()
			}
			others := members - 1
			if random.IntN(others) >= 2 {
				continue
			}
			asked++
			out := s.wish(s.stewards[0], "svc", random.Uint64())
			answered += len(out.Asked)
		}
		if float64(answered) < .97*float64(asked) {
			t.Errorf("among %d, %d of %d asks are answered", members, answered, asked)
		}
	}
}

// A wish that comes twice is answered once, also when others came in between.
func TestWishesAreAnsweredOnce(t *testing.T) {
	s := newBorrower(t)
	for i := range 2 * 5 {
		s.wish(s.others[0], "svc", uint64(i%5+1))
		if i == 2 {
			s.wait(time.Second)
			s.hearAll(closed)
		}
	}
	s.dropped(node.DropStale, 5)
}

// Whatever is asked, answered, replayed and made up: each wish is credited once
// at most, and only by whom it went to.
func TestCreditsAreWishes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newBorrower(t)
		everybody := append(slices.Clone(s.stewards), s.others...)
		type key struct {
			to    string
			nonce uint64
		}
		open := map[key]time.Duration{}
		var known []key
		rows := []wire.VerdictRow{closed, closed, closed, notLoad, dim}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0, 1:
				to, wishes := s.ask(rapid.Uint64().Draw(t, "random"))
				for i := range to {
					k := key{to[i], wishes[i].Nonce}
					open[k] = s.now
					known = append(known, k)
				}
			case 2, 3:
				k := key{rapid.SampledFrom(everybody).Draw(t, "from"), rapid.Uint64().Draw(t, "nonce")}
				if len(known) > 0 && rapid.IntRange(0, 4).Draw(t, "known") > 0 {
					k = rapid.SampledFrom(known).Draw(t, "wish")
				}
				amount := rapid.Uint64Range(0, coord.TokenUnit).Draw(t, "amount")
				got := s.answer(k.to, &wire.Loan{Service: "svc", Nonce: k.nonce}, amount)
				at, asked := open[k]
				if got >= 0 && (!asked || s.now-at >= 2*time.Second || got != int64(amount) || s.advice.InForce()) {
					t.Fatalf("credits %d for %+v, asked %v, of %d", got, k, asked, amount)
				}
				delete(open, k)
			case 4:
				s.wait(time.Duration(rapid.Int64Range(1, int64(3*time.Second)).Draw(t, "wait")))
			case 5:
				s.hearAll(rapid.SampledFrom(rows).Draw(t, "verdict"))
			}
		}
	})
}
