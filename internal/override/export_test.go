package override

import (
	"crypto/ed25519"
	"testing"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// forced signs what Sign would not.
func forced(t testing.TB, k ed25519.PrivateKey, o coord.Override) []byte {
	t.Helper()
	o.ID, o.Version = NewID(), 1
	return forcedAs(t, k, o)
}

// forcedAs does so with the ID and version that there are.
func forcedAs(t testing.TB, k ed25519.PrivateKey, o coord.Override) []byte {
	t.Helper()
	b, err := wire.AppendOrder(nil, &o)
	if err != nil {
		t.Fatal(err)
	}
	id := idOf(k.Public().(ed25519.PublicKey))
	return append(append(id[:], ed25519.Sign(k, text("shop", b))...), b...)
}
