package law_test

import (
	"testing"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/law"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// TestOrdersRest: while an operator decides the stewards find nothing, a new one takes
// nothing over, and afterwards all starts afresh; one member that says so changes nothing.
func TestOrdersRest(t *testing.T) {
	b := trip(t, 5)
	order(b, 1)
	if d := b.ticks(4, load{slow: 3}); d.State != wire.Dim || d.Phi == coord.PhiFull {
		t.Fatalf("by the word of one: %+v", d)
	}
	order(b, 5)
	for range 20 {
		if d := b.ticks(1, load{slow: 3}); d.State != wire.Closed || d.Phi != coord.PhiFull || d.Mode != coord.RetryAll || d.Why != law.Rested {
			t.Fatalf("under orders: %+v", d)
		}
	}
	order(b, 0)
	if d := b.ticks(40, well); d.State != wire.Closed || d.Phi != coord.PhiFull {
		t.Errorf("afterwards, all well: %+v", d)
	}
	for range 12 {
		b.ticks(1, load{slow: 3})
	}
	if b.d.State != wire.Dim {
		t.Errorf("afterwards, failing: %+v", b.d)
	}

	// A steward appointed under orders by which nothing goes.
	b = newBench(t, 5)
	order(b, 5)
	for range 8 {
		for _, m := range b.members {
			m.row.Phi = 0
		}
		b.tick(load{dimmed: 10})
	}
	order(b, 0)
	b.follow(coord.PhiFull)
	if d := b.ticks(4, well); d.State != wire.Closed || d.Phi != coord.PhiFull {
		t.Errorf("a new steward: %+v", d)
	}
}

// order has the first n members under orders.
func order(b *bench, n int) {
	for i, m := range b.members {
		m.row.Ordered = i < n
	}
}
