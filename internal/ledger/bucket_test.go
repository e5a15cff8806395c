package ledger

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// bucket is the budget of a process without a cluster as the documentation of
// retry.Budget has it, in the plainest of words.
type bucket struct {
	tokens, most, ratio, stipend float64
	last                         time.Duration
}

func newBucket(r Rules) *bucket {
	def := func(v, d float64) float64 {
		switch {
		case v == 0:
			return d
		case v < 0:
			return 0
		}
		return v
	}
	b := &bucket{ratio: def(r.Ratio, .1), most: def(r.Burst, 10)}
	b.tokens = b.most
	if r.Burst < 0 {
		b.most = 1
	}
	if r.MaxMembers > 0 {
		b.stipend = def(r.Stipend, 10) / float64(r.MaxMembers)
	}
	return b
}

func (b *bucket) add(tokens float64) { b.tokens = math.Min(b.tokens+tokens, b.most) }

func (b *bucket) take(now time.Duration, price, coin float64) bool {
	b.add(b.stipend * (now - b.last).Seconds())
	b.last = now
	switch {
	case b.tokens >= price:
	case b.tokens <= 0 || b.tokens-price < -1:
		return false
	case coin >= b.tokens/price:
		return false
	}
	b.tokens -= price
	return true
}

// With no cluster the budget decides as that bucket does, on every trace: a
// difference is one only where rounding can have made it.
func TestAloneIsATokenBucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		of := func(name string, most float64) float64 {
			return rapid.OneOf(rapid.SampledFrom([]float64{0, -1}), rapid.Float64Range(.01, most)).Draw(t, name)
		}
		rules := Rules{Ratio: of("ratio", 1), Burst: of("burst", 12), Stipend: of("stipend", 20), MaxMembers: rapid.SampledFrom([]int{0, 1, 9}).Draw(t, "max members")}
		a, b := NewAccount(0, rules, nil), newBucket(rules)
		var now time.Duration
		var out []Token
		const rounding = 1e-3
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			switch rapid.IntRange(0, 7).Draw(t, "step") {
			case 0, 1, 2:
				if !a.Earn(all) {
					t.Fatal("a first try needs a clock though there is no cluster")
				}
				b.add(b.ratio)
			case 3, 4, 5:
				price := float64(rapid.IntRange(1, 2).Draw(t, "price"))
				coin := rapid.Float64Range(0, unlucky).Draw(t, "coin")
				before := b.tokens + b.stipend*(now-b.last).Seconds()
				token, answer := a.Take(now, Want{Mode: all, Double: price == 2}, coin)
				ok := b.take(now, price, coin)
				if answer == Later || (answer == Yes) != ok {
					for _, edge := range []float64{price, 0, price - 1, coin * price} {
						if math.Abs(before-edge) < rounding || math.Abs(b.most-edge) < rounding {
							return // a hair's breadth
						}
					}
					t.Fatalf("with %v tokens and coin %v the budget says %v, the bucket %v", before, coin, answer, ok)
				}
				if ok {
					out = append(out, token)
				}
			case 6:
				if last := len(out) - 1; last >= 0 {
					a.GiveBack(out[last])
					b.add(out[last].price.Float())
					out = out[:last]
				}
			case 7:
				now += time.Duration(rapid.Int64Range(0, int64(5*time.Second)).Draw(t, "passes"))
			}
			if got := a.Balance().Float(); math.Abs(got-b.tokens) > rounding {
				t.Fatalf("the budget holds %v, the bucket %v", got, b.tokens)
			}
		}
	})
}
