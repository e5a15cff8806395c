package wire

import (
	"encoding/hex"
	"reflect"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

func anOrder() *coord.Override {
	return &coord.Override{
		ID: "000102030405060708090a0b0c0d0e0f", Version: 2, Kind: coord.Drain, Service: "payments", Endpoint: "eu",
		Author: "ada", Reason: "deploy", Issued: time.Unix(1_790_000_000, 0).UTC(), Expires: time.Unix(1_790_003_600, 0).UTC(), Revoked: true,
	}
}

// goldenOrder is what is signed of anOrder. Changed, it would make all that was signed
// before worthless.
const goldenOrder = "000102030405060708090a0b0c0d0e0f" + "02" + "04" + "087061796d656e7473" + "026575" + "03616461" + "066465706c6f79" + "80f7c4d506" + "9093c5d506" + "01"

func TestOrderGolden(t *testing.T) {
	b, err := AppendOrder(nil, anOrder())
	if err != nil || hex.EncodeToString(b) != goldenOrder {
		t.Errorf("%x, %v, want\n%s", b, err, goldenOrder)
	}
	if o, err := DecodeOrder(b); err != nil || !reflect.DeepEqual(o, anOrder()) {
		t.Errorf("%+v, %v", o, err)
	}
	m := AppendOverride(nil, []byte("signed"))
	if signed, ok := Override(m); !ok || string(signed) != "signed" {
		t.Errorf("%q, %v", signed, ok)
	}
	if _, ok := Override([]byte{byte(KindOverride), Version + 1}); ok {
		t.Error("read one from the future")
	}
}

func TestBadOrders(t *testing.T) {
	for what, change := range map[string]func(o *coord.Override){
		"no ID":          func(o *coord.Override) { o.ID = "" },
		"upper case ID":  func(o *coord.Override) { o.ID = "0A0102030405060708090a0b0c0d0e0f" },
		"kind":           func(o *coord.Override) { o.Kind = 99 },
		"no endpoint":    func(o *coord.Override) { o.Endpoint = "" },
		"no service":     func(o *coord.Override) { o.Service = "" },
		"author":         func(o *coord.Override) { o.Author = string(make([]byte, MaxAuthor+1)) },
		"no reason":      func(o *coord.Override) { o.Reason = "" },
		"before all was": func(o *coord.Override) { o.Issued = time.Unix(-5, 0) },
	} {
		o := anOrder()
		change(o)
		if b, err := AppendOrder([]byte{1}, o); err == nil || len(b) != 1 {
			t.Errorf("%s: %x", what, b)
		}
	}
}

// FuzzDecodeOrder: what is accepted has one form only.
func FuzzDecodeOrder(f *testing.F) {
	b, err := hex.DecodeString(goldenOrder)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := DecodeOrder(b)
		if err != nil {
			return
		}
		if again, err := AppendOrder(nil, o); err != nil || string(again) != string(b) {
			t.Fatalf("%x, %v of\n%x", again, err, b)
		}
	})
}
