package ledger

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// G1 for a cluster: whoever lends to whom, whatever is lost on the way, in any
// window of any history the retries of all members are at most what their first
// tries earned in it, plus the stipend, plus a cap and a debt a member. Tokens
// that were out when the window began and came back in it, or that were on their
// way to a borrower then, count as the window's too.
func TestBoundHoldsOverLoans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(t, "members")
		rules := Rules{
			Ratio:      rapid.SampledFrom([]float64{0, -1, .5}).Draw(t, "ratio"),
			Burst:      rapid.SampledFrom([]float64{0, -1, .5, 3}).Draw(t, "burst"),
			Stipend:    rapid.SampledFrom([]float64{0, -1, 3}).Draw(t, "stipend"),
			MaxMembers: n, // strict
		}
		ratio, stipend, saved := bound(rules, true, n)
		type mark struct {
			now               time.Duration
			firsts, sent, ret float64
			onTheWay          float64
		}
		var m mark
		var members []*Account
		var services []*coord.Service
		for range n {
			s := coord.NewService("svc")
			s.OpenLoans(true)
			services = append(services, s)
			members = append(members, NewAccount(0, rules, s))
		}
		type held struct {
			i     int
			token Token
		}
		var out []held
		var loans []int64
		hoping := map[int]Want{}
		marks := []mark{m}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			i := rapid.IntRange(0, n-1).Draw(t, "member")
			a := members[i]
			got := func(token Token, answer Answer) {
				if answer == Yes {
					m.sent++
					out = append(out, held{i, token})
				}
			}
			coin := func() float64 { return rapid.Float64Range(0, unlucky).Draw(t, "coin") }
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0, 1, 2:
				a.FirstTry(m.now, all)
				m.firsts++
			case 3, 4:
				w := Want{Mode: all, Double: rapid.Bool().Draw(t, "double"), Now: rapid.Bool().Draw(t, "now")}
				token, answer := a.Take(m.now, w, coin())
				if got(token, answer); answer == Later {
					hoping[i] = w
				}
			case 5:
				if w, ok := hoping[i]; ok {
					delete(hoping, i)
					got(a.Settle(m.now, w, coin()))
				}
			case 6:
				if loan := a.Lend(m.now); loan > 0 {
					loans = append(loans, loan)
					m.onTheWay += Tokens(loan).Float()
				}
			case 7:
				if last := len(loans) - 1; last >= 0 { // it comes, or is lost
					if rapid.Bool().Draw(t, "comes") {
						a.Borrow(m.now, loans[last])
					}
					m.onTheWay -= Tokens(loans[last]).Float()
					loans = loans[:last]
				}
			case 8:
				m.now += time.Duration(rapid.Int64Range(0, int64(2*time.Second)).Draw(t, "passes"))
				if rapid.IntRange(0, 3).Draw(t, "verdict") == 0 {
					services[i].Endpoint("a").Publish(coord.Advice{Phi: coord.PhiFull, Mode: rapid.SampledFrom([]coord.Mode{all, ratioOnly, none}).Draw(t, "mode")})
				}
			case 9:
				if last := len(out) - 1; last >= 0 {
					members[out[last].i].GiveBack(out[last].token)
					out = out[:last]
					m.ret++
				}
			}
			books := a.Books()
			if b := a.Balance(); b < -One || b > Of(saved)+1 || b != books.Balance() {
				t.Fatalf("balance %v, at most %v; by the books %v: %+v", b.Float(), saved, books.Balance().Float(), books)
			}
			marks = append(marks, m)
		}
		const rounding = 1e-4
		for i, from := range marks {
			for _, to := range marks[i+1:] {
				limit := ratio*(to.firsts-from.firsts) + stipend*float64(n)*(to.now-from.now).Seconds() +
					float64(n)*(saved+1) + to.ret - from.ret + from.onTheWay
				if sent := to.sent - from.sent; sent > limit+rounding {
					t.Fatalf("%v retries of %d members between %v and %v, which allows %v", sent, n, from.now, to.now, limit)
				}
			}
		}
	})
}

// A retry that is short asks, is settled after its wait, and finds what has come
// meanwhile.
func TestSettle(t *testing.T) {
	service := coord.NewService("svc")
	a := NewAccount(0, Rules{Burst: -1}, service) // empty
	want := Want{Mode: all}
	if _, answer := a.Take(0, want, 0); answer != No || service.LoansAsked() != 0 {
		t.Errorf("with nobody to ask: %v", answer)
	}
	service.OpenLoans(true)
	woken := 0
	service.WakeForLoans(func() { woken++ })
	for _, w := range []Want{{Mode: ratioOnly}, {Mode: none}, {Mode: all, Now: true}} {
		if _, answer := a.Take(0, w, 0); answer != No || service.LoansAsked() != 0 {
			t.Errorf("%+v: %v", w, answer)
		}
	}
	if _, answer := a.Take(0, want, 0); answer != Later || woken != 1 || service.LoansAsked() != 1 {
		t.Fatalf("%v, %d woken", answer, woken)
	}
	if _, answer := a.Settle(0, want, 0); answer != No {
		t.Errorf("with nothing borrowed: %v", answer)
	}
	a.Borrow(0, int64(One/2))
	if _, answer := a.Settle(0, want, .5); answer != No {
		t.Errorf("with half a token and an unlucky coin: %v", answer)
	}
	a.Borrow(0, int64(One))
	token, answer := a.Settle(0, want, unlucky)
	if answer != Yes || a.Tokens(0) != 0 { // a half was cut
		t.Errorf("with a whole token: %v, %v left", answer, a.Tokens(0))
	}
	a.GiveBack(token)
	if asked, short := a.Asked(); asked != 1 || short != 2 {
		t.Errorf("%d asked, %d short", asked, short)
	}
	service.Endpoint("a").Publish(coord.Advice{Phi: coord.PhiFull, Mode: none})
	if _, answer := a.Settle(0, want, 0); answer != No {
		t.Errorf("after a verdict: %v", answer)
	}
	if a.Borrow(0, int64(9*One)); a.Tokens(0) != 1 || a.Books().Borrowed != One/2+2*One {
		t.Errorf("a loan of nine is taken for %v tokens: %+v", a.Tokens(0), a.Books())
	}
}

// A retry of a call that is a retry itself costs twice as much, and never more
// debt than another.
func TestDouble(t *testing.T) {
	for _, tc := range []struct {
		balance, coin float64
		want          Answer
		left          float64
	}{
		{3, unlucky, Yes, 1},
		{2, unlucky, Yes, 0},
		{1.5, .74, Yes, -.5},
		{1.5, .75, No, 1.5},
		{1, .49, Yes, -1},
		{.99, 0, No, .99},
		{0, 0, No, 0},
	} {
		a := NewAccount(0, Rules{Burst: 5}, nil)
		a.ledger.balance.Store(int64(Of(tc.balance)))
		token, answer := a.Take(0, Want{Mode: all, Double: true}, tc.coin)
		if answer != tc.want || !near(a.Balance().Float(), tc.left) {
			t.Errorf("with %v and coin %v: %v, %v left", tc.balance, tc.coin, answer, a.Balance().Float())
		}
		if a.GiveBack(token); !near(a.Balance().Float(), tc.balance) {
			t.Errorf("given back: %v of %v", a.Balance().Float(), tc.balance)
		}
	}
}

func TestLend(t *testing.T) {
	for _, tc := range []struct{ balance, loan float64 }{{5, 1}, {2, 1}, {1, .5}, {.3, .15}, {0, 0}, {-.5, 0}} {
		a := NewAccount(0, Rules{Burst: 5}, nil)
		a.ledger.balance.Store(int64(Of(tc.balance)))
		if got := Tokens(a.Lend(0)).Float(); !near(got, tc.loan) || !near(a.Balance().Float(), tc.balance-tc.loan) {
			t.Errorf("of %v %v are lent, %v kept", tc.balance, got, a.Balance().Float())
		}
	}
	// What a verdict has burned is not lent.
	service := coord.NewService("svc")
	a := NewAccount(0, Rules{Burst: 4}, service)
	var burned Tokens
	a.Burned = func(t Tokens) { burned += t }
	service.Endpoint("a").Publish(coord.Advice{Phi: coord.PhiFull, Mode: none})
	if got := a.Lend(0); got != 0 || burned != 4*One {
		t.Errorf("%d are lent after a verdict, which burned %v", got, burned.Float())
	}
}

func TestWaitForLoan(t *testing.T) {
	const ms = time.Millisecond
	for _, tc := range []struct {
		u    float64
		want time.Duration
	}{{0, 10 * ms}, {.5, 25 * ms}, {unlucky, 40 * ms}} {
		if got := (Backoff{}).WaitForLoan(1, 40*ms, tc.u); got < tc.want-ms/1000 || got > tc.want+ms/1000 {
			t.Errorf("at %v: waits %v, want %v", tc.u, got, tc.want)
		}
	}
	if got := (Backoff{Base: -1}).WaitForLoan(1, 0, .5); got != 0 {
		t.Errorf("with no waits at all: %v", got)
	}
}
