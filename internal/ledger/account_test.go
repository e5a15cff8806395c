package ledger

import (
	"math"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

const (
	all       = coord.RetryAll
	ratioOnly = coord.RetryRatio
	none      = coord.RetryNone

	unlucky = 1 - 1e-9 // a coin that falls for whole tokens only
)

// scene is an account in the middle of a timeline, with the cluster it is in.
type scene struct {
	t       *testing.T
	account *Account
	service *coord.Service // nil: no cluster
	now     time.Duration
	out     []Token // taken and neither sent nor given back
}

// act is what happens at a step of a timeline.
type act func(*scene)

func first(n int, m coord.Mode) act {
	return func(s *scene) {
		for range n {
			s.account.FirstTry(s.now, m)
		}
	}
}

func take(m coord.Mode, coin float64, want bool) act {
	return func(s *scene) {
		s.t.Helper()
		token, answer := s.account.Take(s.now, Want{Mode: m}, coin)
		ok := answer == Yes
		if ok != want {
			s.t.Errorf("at %v: took a token: %v, want %v", s.now, ok, want)
		}
		if ok {
			s.out = append(s.out, token)
		}
	}
}

func back(s *scene) {
	last := len(s.out) - 1
	s.account.GiveBack(s.out[last])
	s.out = s.out[:last]
}

func load(rate uint64, members int) act {
	return func(s *scene) { s.service.SetLoad(s.now, rate, members) }
}

func advise(phi coord.Phi, m coord.Mode) act {
	return func(s *scene) { s.service.Endpoint("a").Publish(coord.Advice{Phi: phi, Mode: m}) }
}

func inTurn(acts ...act) act {
	return func(s *scene) {
		s.t.Helper()
		for _, do := range acts {
			do(s)
		}
	}
}

func nothing(*scene) {}

func TestAccountTimelines(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	type step struct {
		at     time.Duration
		do     act
		tokens float64 // then
		spent  float64 // then
	}
	for _, tc := range []struct {
		name    string
		rules   Rules
		cluster bool
		steps   []step
	}{
		{name: "alone", steps: []step{
			{0, nothing, 10, 0},
			{0, first(1, all), 10, 0}, // full
			{0, take(all, unlucky, true), 9, 1},
			{0, func(s *scene) { s.account.GiveBack(Token{}) }, 9, 1}, // a retry that cost nothing
			{s, first(3, all), 9.3, 1},
			{time.Hour, take(all, unlucky, true), 8.3, 2}, // no stipend
		}},
		{name: "empty to start with, one at most", rules: Rules{Burst: -1}, steps: []step{
			{0, take(all, 0, false), 0, 0},
			{0, first(4, all), .4, 0},
			{0, first(20, all), 1, 0},
			{0, take(all, unlucky, true), 0, 1},
		}},
		{name: "a coin, a debt, repaid first", rules: Rules{Ratio: .125, Burst: -1}, steps: []step{
			{0, first(4, all), .5, 0},
			{0, take(all, .5, false), .5, 0}, // changes nothing
			{0, take(all, .49, true), -.5, 1},
			{0, take(all, 0, false), -.5, 1},
			{0, first(4, all), 0, 1},
			{0, take(all, 0, false), 0, 1},
			{0, first(1, all), .125, 1},
			{0, take(all, .12, true), -.875, 2},
		}},
		{name: "the burst follows the traffic", rules: Rules{Ratio: 1}, cluster: true, steps: []step{
			{0, first(5, all), 1, 0},
			{0, load(7, 3), 1, 0},
			{s, first(5, all), 2, 0},
			{2 * s, load(1, 3), 2, 0},
			{2 * s, first(1, all), 1, 0}, // cut
		}},
		{name: "elastic stipend", rules: Rules{Ratio: -1, Burst: 5}, cluster: true, steps: []step{
			{0, take(all, unlucky, true), 4, 1},
			{0, load(100, 40), 4, 1},
			{4900 * ms, take(all, unlucky, true), 3, 2}, // a newcomer yet
			{8900 * ms, take(all, unlucky, true), 3, 3}, // 10 / 40 a second
			{9 * s, load(100, 1), 3, 3},                 // lost the others, keeps the share
			{12900 * ms, take(all, unlucky, true), 3, 4},
			{13 * s, load(100, 80), 3, 4}, // others came: a smaller one
			{20900 * ms, take(all, unlucky, true), 3, 5},
			{time.Hour, take(all, unlucky, true), 4, 6}, // no more than the burst
		}},
		{name: "at most half one's own rate", rules: Rules{Ratio: -1, Burst: 5}, cluster: true, steps: []step{
			{0, load(1, 5), 5, 0},
			{10 * s, take(all, unlucky, true), 4, 1},
			{11 * s, take(all, unlucky, true), 3.5, 2},
			{11 * s, load(0, 5), 3.5, 2},
			{21 * s, take(all, unlucky, true), 2.5, 3},
		}},
		{name: "never had company", rules: Rules{Ratio: -1, Burst: 5}, cluster: true, steps: []step{
			{0, load(100, 1), 5, 0},
			{time.Hour, take(all, unlucky, true), 4, 1},
			{2 * time.Hour, take(all, unlucky, true), 3, 2},
		}},
		{name: "strict stipend", rules: Rules{Ratio: -1, Burst: 5, Stipend: 50, MaxMembers: 100}, cluster: true, steps: []step{
			{0, take(all, unlucky, true), 4, 1},
			{2 * s, take(all, unlucky, true), 4, 2}, // from the start, whoever is there
			{2 * s, load(100, 4), 4, 2},
			{8 * s, take(all, unlucky, true), 4, 3}, // 4 + 3, cut to 5
			{10 * s, take(all, unlucky, true), 4, 4},
		}},
		{name: "strict stipend, alone", rules: Rules{Burst: -1, MaxMembers: 20}, steps: []step{
			{1 * s, take(all, .5, false), .5, 0},
			{1 * s, take(all, .49, true), -.5, 1},
			{2 * s, take(all, 0, false), 0, 1}, // the debt is repaid first
			{3 * s, take(all, unlucky, false), .5, 1},
			{60 * s, take(all, unlucky, true), 0, 2},
		}},
		{name: "no stipend", rules: Rules{Burst: -1, Stipend: -1, MaxMembers: 1}, steps: []step{
			{time.Hour, take(all, 0, false), 0, 0},
		}},
		{name: "the clock steps back", rules: Rules{Burst: -1, MaxMembers: 20}, steps: []step{
			{time.Second, take(all, unlucky, false), .5, 0},
			{0, take(all, unlucky, false), .5, 0},
			{2 * s, take(all, unlucky, true), 0, 1},
		}},
		{name: "retries from the ratio only", rules: Rules{Burst: 2, MaxMembers: 1}, cluster: true, steps: []step{
			{0, take(all, unlucky, true), 1, 1},
			{0, advise(coord.PhiFull, ratioOnly), 1, 1}, // does not empty
			{s, first(1, ratioOnly), 1.1, 1},
			{s, take(ratioOnly, unlucky, true), .1, 2},
			{s + 50*ms, take(all, unlucky, false), .6, 2}, // what that second would have minted is lost
		}},
		{name: "emptied by a verdict", rules: Rules{Ratio: 1, Burst: 50, MaxMembers: 1}, cluster: true, steps: []step{
			{0, take(all, unlucky, true), 49, 1},
			{60 * s, advise(coord.PhiFull, none), 0, 1},
			{61 * s, first(10, none), 0, 1}, // nothing is earned
			{61 * s, take(none, 0, false), 0, 1},
			{90 * s, advise(coord.PhiFull/2, none), 0, 1}, // the same trouble
			{120 * s, first(1, none), 0, 1},
			{120 * s, advise(coord.PhiFull, all), 0, 1},
			{120 * s, first(3, all), 3, 1},
			{121 * s, take(all, unlucky, true), 12, 2}, // the stipend since
			{122 * s, advise(coord.PhiFull/2, all), 0, 2},
			{123 * s, take(all, unlucky, true), 9, 3},
		}},
		{name: "emptied by whatever comes first after a verdict", rules: Rules{Ratio: 1, Burst: 50, MaxMembers: 1}, cluster: true, steps: []step{
			{s, inTurn(advise(coord.PhiFull, none), advise(coord.PhiFull, all), first(1, all)), 1, 0},
			{2 * s, inTurn(advise(coord.PhiFull, none), advise(coord.PhiFull, all), take(all, unlucky, false)), 0, 0},
			{3 * s, inTurn(advise(coord.PhiFull, none), advise(coord.PhiFull, all), first(3, none)), 0, 0},
			{4 * s, take(all, unlucky, true), 9, 1}, // the stipend of a second
		}},
		{name: "a verdict forgives no debt", rules: Rules{Burst: -1}, cluster: true, steps: []step{
			{0, first(5, all), .5, 0},
			{0, take(all, 0, true), -.5, 1},
			{0, advise(coord.PhiFull, none), -.5, 1},
			{0, advise(coord.PhiFull, all), -.5, 1},
			{0, first(5, all), 0, 1},
		}},
		{name: "what another endpoint's first try earns in trouble", rules: Rules{Ratio: 1, Burst: 5}, cluster: true, steps: []step{
			{0, advise(coord.PhiFull, none), 0, 0},
			{0, first(2, all), 2, 0},
			{0, take(none, 0, false), 2, 0}, // not to the one in trouble
			{0, take(all, unlucky, true), 1, 1},
		}},
		{name: "given back", rules: Rules{Ratio: 1, Burst: 3}, cluster: true, steps: []step{
			{0, take(all, unlucky, true), 2, 1},
			{0, back, 3, 0},
			{0, take(all, unlucky, true), 2, 1},
			{0, first(1, all), 3, 1},
			{0, back, 3, 0}, // no more than the burst
			{0, take(all, unlucky, true), 2, 1},
			{0, advise(coord.PhiFull, none), 0, 1},
			{0, back, 0, 1}, // gone with the rest
		}},
		{name: "a debt given back", rules: Rules{Burst: -1}, steps: []step{
			{0, first(5, all), .5, 0},
			{0, take(all, 0, true), -.5, 1},
			{0, back, .5, 0},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &scene{t: t}
			if tc.cluster {
				s.service = coord.NewService("svc")
			}
			s.account = NewAccount(0, tc.rules, s.service)
			for i, step := range tc.steps {
				s.now = step.at
				step.do(s)
				if got := s.account.Tokens(s.now); !near(got, step.tokens) {
					t.Errorf("step %d, at %v: %v tokens, want %v", i, step.at, got, step.tokens)
				}
				books := s.account.Books()
				if got := books.Spent.Float(); got != step.spent {
					t.Errorf("step %d, at %v: %v spent, want %v", i, step.at, got, step.spent)
				}
				if got := books.Balance().Float(); !near(got, step.tokens) {
					t.Errorf("step %d, at %v: by the books there are %v tokens, want %v: %+v", i, step.at, got, step.tokens, books)
				}
			}
		})
	}
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-4 }

func TestBurst(t *testing.T) {
	for _, tc := range []struct {
		name    string
		burst   float64
		cluster bool
		rate    uint64
		start   float64
		full    float64
	}{
		{"alone", 0, false, 0, 10, 10},
		{"cluster", 0, true, 0, 1, 1},
		{"quiet cluster", 0, true, 1, 1, 1},
		{"busy cluster", 0, true, 1000, 1, 2},
		{"given", 3, false, 0, 3, 3},
		{"given in a cluster", 5, true, 1000, 5, 5},
		{"none", -1, false, 0, 0, 1},
		{"none in a cluster", -1, true, 1000, 0, 1},
		{"next to none", 1e-9, false, 0, 0, 0},
	} {
		var service *coord.Service
		if tc.cluster {
			service = coord.NewService("svc")
			service.SetLoad(0, tc.rate, 3)
		}
		a := NewAccount(0, Rules{Burst: tc.burst}, service)
		if got := a.Tokens(0); !near(got, tc.start) {
			t.Errorf("%s: starts with %v, want %v", tc.name, got, tc.start)
		}
		for range 1000 {
			a.FirstTry(0, all)
		}
		if got := a.Tokens(0); !near(got, tc.full) {
			t.Errorf("%s: is full with %v, want %v", tc.name, got, tc.full)
		}
	}
}

func TestRatio(t *testing.T) {
	for _, tc := range []struct{ ratio, want float64 }{{0, .1}, {.25, .25}, {2, 2}, {-1, 0}, {math.Inf(-1), 0}} {
		a := NewAccount(0, Rules{Ratio: tc.ratio, Burst: 5}, nil)
		a.Take(0, Want{Mode: all}, unlucky)
		a.Take(0, Want{Mode: all}, unlucky)
		a.FirstTry(0, all)
		if got := a.Tokens(0) - 3; !near(got, tc.want) {
			t.Errorf("with a ratio of %v a first try earned %v, want %v", tc.ratio, got, tc.want)
		}
	}
}

// The hot path allocates nothing, and neither does a retry.
func TestAccountAllocatesNothing(t *testing.T) {
	a := NewAccount(0, Rules{}, coord.NewService("svc"))
	if n := testing.AllocsPerRun(100, func() {
		a.FirstTry(0, all)
		if token, answer := a.Take(0, Want{Mode: all}, 0); answer == Yes {
			a.GiveBack(token)
		}
		a.FirstTry(0, none)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// In elastic mode a partition mints no more than before for ten minutes, and from
// then on the stipend once a side.
func TestElasticStipendInAPartition(t *testing.T) {
	const members, rate = 12, 1000
	services := make([]*coord.Service, members)
	accounts := make([]*Account, members)
	for i := range services {
		services[i] = coord.NewService("svc")
		accounts[i] = NewAccount(0, Rules{Ratio: -1, Burst: 100}, services[i])
	}
	now := time.Duration(0)
	minted := func() (sum float64) {
		for _, a := range accounts {
			sum += a.Books().Minted.Float()
		}
		return sum
	}
	run := func(d time.Duration, side int) float64 {
		before := minted()
		for end := now + d; now < end; {
			now += time.Second
			for i, a := range accounts {
				services[i].SetLoad(now, rate, side)
				for {
					if _, answer := a.Take(now, Want{Mode: all, Now: true}, unlucky); answer != Yes {
						break
					}
				}
			}
		}
		return (minted() - before) / d.Seconds()
	}
	run(time.Minute, members)
	for _, tc := range []struct {
		lasts       time.Duration
		side        int
		least, most float64 // a second
	}{
		{5 * time.Minute, members, 9.9, 10.001},
		{10 * time.Minute, members / 2, 9.9, 10.001}, // two sides, which remember the whole
		{10 * time.Minute, members / 2, 10, 20.001},
		{10 * time.Minute, members / 2, 19.9, 20.001},
		{5 * time.Minute, members, 9.9, 10.2}, // together again
	} {
		if got := run(tc.lasts, tc.side); got < tc.least || got > tc.most {
			t.Errorf("at %v, %d members a side: %.3f tokens a second, want %v to %v", now, tc.side, got, tc.least, tc.most)
		}
	}
}
