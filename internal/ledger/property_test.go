package ledger

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// G1, its local form: in any window of any history, the retries sent are at most
// what first tries earned in it, plus the stipend minted in it, plus the cap,
// plus a debt of one. A token that was out when the window began and came back
// unused in it is counted as the window's too.
func TestBoundHoldsInEveryWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ratio := Of(rapid.Float64Range(0, 1.5).Draw(t, "ratio"))
		top := Of(rapid.Float64Range(0, 5).Draw(t, "cap")) + 1
		rate := rapid.Float64Range(0, 20).Draw(t, "stipend")
		type mark struct {
			in   float64 // earned, minted and given back, in Tokens
			sent int
		}
		var now, minted time.Duration
		l := New(now, Tokens(rapid.Int64Range(0, int64(top)).Draw(t, "start")))
		var out []uint64 // burns of the tokens that are out
		marks := []mark{{}}
		m := mark{}
		for range rapid.IntRange(1, 60).Draw(t, "ops") {
			switch rapid.IntRange(0, 6).Draw(t, "op") {
			case 0, 1:
				l.Earn(ratio, top)
				m.in += float64(ratio)
			case 2, 3, 4:
				burns := l.Burns()
				if l.Take(One, rapid.Float64Range(0, .999999).Draw(t, "coin")) {
					out = append(out, burns)
					m.sent++
				}
			case 5:
				now += time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "step"))
				l.Mint(now, rate, top)
				m.in += rate * (now - minted).Seconds() * float64(One)
				minted = now
			case 6:
				if n := len(out); n > 0 && rapid.Bool().Draw(t, "back") {
					l.GiveBack(One, out[n-1], top)
					out = out[:n-1]
					m.in += float64(One)
				} else {
					l.Burn(rapid.Uint64Range(0, 3).Draw(t, "burns"))
				}
			}
			if b := l.Balance(); b < -One || b > top {
				t.Fatalf("balance %v is outside [-1, %v]", b.Float(), top.Float())
			}
			marks = append(marks, m)
		}
		for i, a := range marks {
			for _, b := range marks[i+1:] {
				sent := float64(b.sent-a.sent) * float64(One)
				if limit := b.in - a.in + float64(top+One) + 1; sent > limit {
					t.Fatalf("%d retries in a window that allows %v", b.sent-a.sent, limit/float64(One))
				}
			}
		}
	})
}

// The same with many hands at once, over the whole history.
func TestBoundHoldsConcurrently(t *testing.T) {
	const hands, steps = 8, 4000
	ratio, top, rate := Of(.1), Of(3), 50.
	l := New(0, top)
	var clock atomic.Int64
	var sent, firsts atomic.Int64
	var wg sync.WaitGroup
	for h := range hands {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(3, uint64(h)))
			for range steps {
				if r.IntN(3) > 0 {
					firsts.Add(1)
					l.Earn(ratio, top)
				} else {
					l.Mint(time.Duration(clock.Add(1000)), rate, top)
					burns := l.Burns()
					if l.Take(One, r.Float64()) {
						if r.IntN(8) == 0 {
							l.GiveBack(One, burns, top)
						} else {
							sent.Add(1)
						}
					}
				}
				if b := l.Balance(); b < -One || b > top {
					t.Errorf("balance %v is outside [-1, %v]", b.Float(), top.Float())
				}
			}
		})
	}
	wg.Wait()
	stipend := rate * time.Duration(clock.Load()).Seconds()
	limit := ratio.Float()*float64(firsts.Load()) + stipend + top.Float() + 1
	if got := float64(sent.Load()); got > limit || got < limit/2 {
		t.Errorf("%v retries; the bound is %v, and half of it should be reached", got, limit)
	}
	books := l.Books()
	if got := books.Balance(); got != l.Balance() {
		t.Errorf("by the books there are %v tokens, not %v: %+v", got.Float(), l.Balance().Float(), books)
	}
	if got := books.Spent.Float(); got != float64(sent.Load()) {
		t.Errorf("%v tokens spent for %d retries", got, sent.Load())
	}
}
