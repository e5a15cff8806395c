package ledger

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// bound is the most that rules allow an account in a cluster of width members:
// tokens a first try, tokens a second, and tokens saved up. It is written from
// the design and not from the code.
func bound(r Rules, cluster bool, width int) (ratio, stipend, saved float64) {
	ratio, stipend, saved = r.Ratio, r.Stipend, r.Burst
	if ratio == 0 {
		ratio = .1
	}
	if stipend == 0 {
		stipend = 10
	}
	switch {
	case r.MaxMembers > 0:
		stipend /= float64(r.MaxMembers)
	case cluster:
		stipend /= float64(width)
	default:
		stipend = 0
	}
	switch {
	case saved < 0:
		saved = 1
	case saved == 0 && cluster:
		saved = 2
	case saved == 0:
		saved = 10
	}
	return max(ratio, 0), max(stipend, 0), saved
}

// G1, its local form, for all rules and with whatever the cluster says: in any
// window of any history, retries sent <= ratio * first tries + stipend minted in
// it + cap + 1. First tries under a verdict that stops retries earn nothing. A
// token that was out when the window began and came back in it counts as the
// window's too.
func TestAccountBoundHoldsInEveryWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		given := func(most float64) *rapid.Generator[float64] {
			return rapid.OneOf(rapid.SampledFrom([]float64{0, -1}), rapid.Float64Range(0, most))
		}
		rules := Rules{
			Ratio:      given(1.5).Draw(t, "ratio"),
			Burst:      given(4).Draw(t, "burst"),
			Stipend:    given(20).Draw(t, "stipend"),
			MaxMembers: rapid.SampledFrom([]int{0, 1, 7}).Draw(t, "max members"),
		}
		width := rapid.IntRange(2, 40).Draw(t, "width")
		var service *coord.Service
		if rapid.Bool().Draw(t, "cluster") {
			service = coord.NewService("svc")
		}
		ratio, stipend, saved := bound(rules, service != nil, width)
		const rounding = 1e-4

		type mark struct {
			now               time.Duration
			firsts, sent, ret int
		}
		var m mark
		a := NewAccount(m.now, rules, service)
		twin := NewAccount(m.now, rules, service) // driven as the hot path does, without a clock where that will do
		var out, twinOut []Token
		marks := []mark{m}
		for range rapid.IntRange(1, 80).Draw(t, "ops") {
			mode := rapid.SampledFrom([]coord.Mode{all, all, all, ratioOnly, none}).Draw(t, "mode")
			switch rapid.IntRange(0, 9).Draw(t, "op") {
			case 0, 1, 2:
				a.FirstTry(m.now, mode)
				if !twin.Earn(mode) {
					twin.FirstTry(m.now, mode)
				}
				if mode != none {
					m.firsts++
				}
			case 3, 4, 5:
				coin := rapid.Float64Range(0, unlucky).Draw(t, "coin")
				token, answer := a.Take(m.now, Want{Mode: mode}, coin)
				twinToken, _ := twin.Take(m.now, Want{Mode: mode}, coin)
				ok := answer == Yes
				if ok && mode == none {
					t.Fatal("a retry although the cluster wants none")
				}
				if ok {
					m.sent++
					out, twinOut = append(out, token), append(twinOut, twinToken)
				}
			case 6:
				if last := len(out) - 1; last >= 0 {
					a.GiveBack(out[last])
					twin.GiveBack(twinOut[last])
					out, twinOut = out[:last], twinOut[:last]
					m.ret++
				}
			case 7, 8:
				m.now += time.Duration(rapid.Int64Range(0, int64(3*time.Second)).Draw(t, "step"))
			case 9:
				if service == nil {
					break
				}
				if rapid.Bool().Draw(t, "verdict") {
					burns := service.Burns()
					service.Endpoint("a").Publish(coord.Advice{Phi: coord.PhiFull, Mode: mode})
					if a.Tokens(m.now) > 0 && service.Burns() > burns {
						t.Fatalf("a verdict left %v tokens", a.Tokens(m.now))
					}
				} else { // alone or in company
					members := rapid.SampledFrom([]int{1, width, width + 3}).Draw(t, "members")
					service.SetLoad(m.now, rapid.Uint64Range(0, 50).Draw(t, "load"), members)
				}
			}
			if b := a.Tokens(m.now); b < -1 || b > saved+rounding || b != twin.Tokens(m.now) {
				t.Fatalf("balance %v is outside [-1, %v] or not the twin's, %v", b, saved, twin.Tokens(m.now))
			}
			marks = append(marks, m)
		}
		books := a.Books()
		if got := books.Spent.Float(); got > float64(m.sent) || got < float64(m.sent-m.ret) {
			t.Fatalf("%v spent for %d retries, %d of them given back", got, m.sent, m.ret)
		}
		if got := books.Balance().Float(); got != a.Tokens(m.now) {
			t.Fatalf("by the books there are %v tokens, not %v: %+v", got, a.Tokens(m.now), books)
		}
		for i, from := range marks {
			for _, to := range marks[i+1:] {
				limit := ratio*float64(to.firsts-from.firsts) + stipend*(to.now-from.now).Seconds() +
					saved + 1 + float64(to.ret-from.ret)
				if sent := to.sent - from.sent; float64(sent) > limit+rounding {
					t.Fatalf("%d retries between %v and %v, which allows %v", sent, from.now, to.now, limit)
				}
			}
		}
	})
}

// The same over the whole history, with many hands at once, loans, retries at double
// the price, and verdicts that come and go.
func TestAccountBoundHoldsConcurrently(t *testing.T) {
	const hands, steps, width = 8, 4000, 10
	rules := Rules{Burst: 3, Stipend: 500}
	service := coord.NewService("svc")
	service.SetLoad(0, 1000, width)
	service.OpenLoans(true)
	ratio, stipend, saved := bound(rules, true, width)
	const start = 5 * time.Second // old enough a member
	a := NewAccount(start, rules, service)
	var clock, sent, settled, firsts, lent, borrowed atomic.Int64
	clock.Store(int64(start))
	var wg sync.WaitGroup
	for h := range hands {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(5, uint64(h)))
			for range steps {
				now := time.Duration(clock.Add(1000))
				switch k := r.IntN(300); {
				case k == 0:
					service.Endpoint("a").Publish(coord.Advice{Phi: coord.PhiFull, Mode: none})
				case k == 1:
					service.Endpoint("a").Publish(coord.Advice{Phi: coord.PhiFull})
				case k == 2: // more than there is room for
					for range 4 {
						a.Borrow(now, int64(One))
						borrowed.Add(int64(One))
					}
				case k < 200:
					firsts.Add(1)
					a.FirstTry(now, all)
				case k < 220:
					loan := a.Lend(now)
					lent.Add(loan)
					if r.IntN(8) > 0 { // else it is lost on the way
						a.Borrow(now, loan)
						borrowed.Add(loan)
					}
				default:
					w := Want{Mode: all, Double: r.IntN(4) == 0}
					token, answer := a.Take(now, w, r.Float64())
					if answer == Later {
						if token, answer = a.Settle(now, w, r.Float64()); answer == Yes {
							settled.Add(1)
						}
					}
					switch {
					case answer != Yes:
					case r.IntN(8) == 0:
						a.GiveBack(token)
					default:
						sent.Add(int64(w.price()))
					}
				}
				if b := a.Tokens(now); b < -1 || b > saved {
					t.Errorf("balance %v is outside [-1, %v]", b, saved)
				}
			}
		})
	}
	wg.Wait()
	books := a.Books()
	limit := ratio*float64(firsts.Load()) + stipend*(time.Duration(clock.Load())-start).Seconds() + saved + 1 +
		(books.Borrowed - books.Lent - books.Cut).Float()
	if got := Tokens(sent.Load()).Float(); got > limit || got < limit/2 {
		t.Errorf("retries for %v tokens; the bound is %v, and half of it should be reached", got, limit)
	}
	if got := books.Balance(); got != a.Balance() {
		t.Errorf("by the books there are %v tokens, not %v: %+v", got.Float(), a.Balance().Float(), books)
	}
	if books.Lent != Tokens(lent.Load()) || books.Borrowed != Tokens(borrowed.Load()) || books.Cut == 0 || settled.Load() == 0 {
		t.Errorf("lent %v, borrowed %v, and %d settled after a wait; the books: %+v", lent.Load(), borrowed.Load(), settled.Load(), books)
	}
}
