package ledger

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// With less than a token, a retry goes with a probability equal to the balance.
func TestCoinFallsAsOftenAsTheBalanceSays(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, balance := range []float64{.05, .3, .5, .95} {
		const n = 20_000
		taken := 0
		for range n {
			l := New(0, Of(balance))
			if l.Take(One, r.Float64()) {
				taken++
				if got, want := l.Balance(), Of(balance)-One; got != want {
					t.Fatalf("after a retry on credit the balance is %v, want %v", got.Float(), want.Float())
				}
			} else if l.Balance() != Of(balance) {
				t.Fatal("a coin that did not fall changed the balance")
			}
		}
		if got := float64(taken) / n; math.Abs(got-balance) > 5*math.Sqrt(balance*(1-balance)/n) {
			t.Errorf("balance %v let %v of the retries through", balance, got)
		}
	}
}

func TestTake(t *testing.T) {
	for _, tc := range []struct {
		balance, coin float64
		want          bool
	}{
		{2, .99, true},
		{1, .99, true}, // a whole token needs no luck
		{.5, .49, true},
		{.5, .5, false},
		{0, 0, false},
		{-.5, 0, false}, // debts are repaid first
	} {
		if got := New(0, Of(tc.balance)).Take(One, tc.coin); got != tc.want {
			t.Errorf("with %v and coin %v: %v, want %v", tc.balance, tc.coin, got, tc.want)
		}
	}
}

func TestEarn(t *testing.T) {
	l := New(0, -One)
	for range 10 {
		l.Earn(Of(.1), One)
	}
	if got := math.Abs(l.Balance().Float()); got > 1e-4 {
		t.Errorf("ten tenths repay all but %v of a debt of 1", got)
	}
	l.Earn(One*9, One*2)
	if l.Balance() != 2*One {
		t.Errorf("the balance is %v, want the limit, 2", l.Balance().Float())
	}
	l.Earn(0, One)
	if l.Balance() != One {
		t.Errorf("the balance is %v, want what the lower limit leaves, 1", l.Balance().Float())
	}
}

func TestMint(t *testing.T) {
	l := New(0, 0)
	l.Mint(time.Second, 2, 10*One)
	l.Mint(time.Second, 2, 10*One)
	l.Mint(0, 2, 10*One) // clocks do not run backwards
	if got := l.Balance(); got != 2*One {
		t.Fatalf("a second at 2 a second mints %v", got.Float())
	}
	l.Mint(time.Minute, 0, 10*One) // retries are off: the time is lost
	l.Mint(time.Minute+time.Second/2, 2, 10*One)
	if got := l.Balance(); got != 3*One {
		t.Fatalf("the balance is %v, want 3", got.Float())
	}
	l.Mint(1000*time.Hour, 2, 10*One)
	if got := l.Balance(); got != 10*One {
		t.Errorf("the balance is %v, want the limit, 10", got.Float())
	}
}

// However short the steps, rounding neither adds to the stipend nor eats it up.
func TestMintRounding(t *testing.T) {
	for _, step := range []time.Duration{time.Microsecond, 5 * time.Microsecond, 6 * time.Microsecond, 11 * time.Microsecond, time.Millisecond} {
		l, now, rate := New(0, 0), time.Duration(0), .1
		for range 50_000 {
			now += step
			l.Mint(now, rate, 100*One)
		}
		want := rate * now.Seconds()
		if got := l.Balance().Float(); got > want || got < want/2-1e-6 {
			t.Errorf("steps of %v mint %v in %v, want at most %v and no less than half", step, got, now, want)
		}
	}
}

func TestBurn(t *testing.T) {
	l := New(0, 3*One)
	if _, ok := l.Burn(0); ok || l.Balance() != 3*One {
		t.Fatal("burned without an occasion")
	}
	if burned, ok := l.Burn(2); !ok || burned != 3*One || l.Balance() != 0 {
		t.Fatal("did not burn")
	}
	l.Earn(One, 3*One)
	for _, past := range []uint64{2, 1} {
		if _, ok := l.Burn(past); ok || l.Balance() != One {
			t.Error("burned again for an occasion long past")
		}
	}
	debt := New(0, -One/2)
	debt.Burn(1)
	if debt.Balance() != -One/2 {
		t.Error("burning forgave a debt")
	}
}

func TestGiveBack(t *testing.T) {
	l := New(0, Of(.5))
	burns := l.Burns()
	l.Take(One, 0)
	l.GiveBack(One, burns, 2*One)
	if l.Balance() != Of(.5) || l.Books().Spent != 0 {
		t.Errorf("given back, the balance is %v and %v are spent", l.Balance().Float(), l.Books().Spent.Float())
	}
	full := New(0, 2*One)
	full.Take(One, 0)
	full.Earn(One, 2*One)
	full.GiveBack(One, 0, 2*One)
	if full.Balance() != 2*One {
		t.Errorf("given back over the limit: %v", full.Balance().Float())
	}
	burned := New(0, 2*One)
	burned.Take(One, 0)
	burned.Burn(1)
	burned.GiveBack(One, 0, 2*One)
	if burned.Balance() != 0 || burned.Books().Spent != One {
		t.Errorf("a token of a bucket emptied since came back: %v", burned.Balance().Float())
	}
}
