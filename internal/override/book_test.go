package override

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/murmuration-go/murmuration/internal/coord"
)

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// key makes the n-th key.
func key(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func public(n byte) ed25519.PublicKey { return key(n).Public().(ed25519.PublicKey) }

func order() coord.Override {
	return coord.Override{
		Kind: coord.ForceOpen, Service: "payments", Endpoint: "eu", Author: "ada", Reason: "deploy gone wrong",
		Issued: now, Expires: now.Add(time.Hour),
	}
}

func sign(t testing.TB, k ed25519.PrivateKey, o coord.Override) []byte {
	t.Helper()
	b, err := Sign(k, "shop", o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func is(err error, r Refusal) bool {
	var e *Error
	return errors.As(err, &e) && e.Refusal == r
}

func TestTaken(t *testing.T) {
	b := NewBook("shop", []ed25519.PublicKey{public(1), public(2)})
	o, news, err := b.Take(now, sign(t, key(2), order()))
	if err != nil || !news {
		t.Fatal(news, err)
	}
	want := order()
	want.ID, want.Version = o.ID, 1
	if len(o.ID) != 32 || !reflect.DeepEqual(*o, want) {
		t.Errorf("took %+v", *o)
	}
	if all := b.Active(); len(all) != 1 || all[0] != o {
		t.Errorf("active %v", all)
	}
}

// TestRefused: what is not an operator's word, or not for now, changes nothing and is
// counted.
func TestRefused(t *testing.T) {
	altered := sign(t, key(1), order())
	altered[len(altered)-1] ^= 1 // revoked or not
	old, early, long := order(), order(), order()
	old.Issued, old.Expires = now.Add(-2*time.Hour), now
	early.Issued = now.Add(Skew + time.Second)
	elsewhere, err := Sign(key(1), "another", order())
	if err != nil {
		t.Fatal(err)
	}
	unsigned := sign(t, key(1), order())
	clear(unsigned[keyIDSize:overhead])
	for _, tc := range []struct {
		what   string
		signed []byte
		want   Refusal
	}{
		{"nothing", nil, Malformed},
		{"no order", altered[:overhead], Malformed},
		{"too large", make([]byte, MaxSigned+1), Malformed},
		{"unsigned", unsigned, BadSignature},
		{"altered", altered, BadSignature},
		{"of another cluster", elsewhere, BadSignature},
		{"another's key", sign(t, key(9), order()), UnknownKey},
		{"expired", sign(t, key(1), old), Expired},
		{"from the future", sign(t, key(1), early), FromFuture},
	} {
		b := NewBook("shop", []ed25519.PublicKey{public(1)})
		o, _, err := b.Take(now, tc.signed)
		if o != nil && err == nil || !is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.what, err, tc.want)
		}
		if n := b.Refused(); n[tc.want] != 1 || len(b.Active()) != 0 {
			t.Errorf("%s: counted %v; %d are active", tc.what, n, len(b.Active()))
		}
	}
	if _, _, err := NewBook("shop", nil).Take(now, sign(t, key(1), order())); !is(err, NoOperators) {
		t.Errorf("without operators: %v", err)
	}
	long.Expires = now.Add(MaxLife + time.Second)
	if _, err := Sign(key(1), "shop", long); err == nil {
		t.Error("signed for over a day")
	}
	b := NewBook("shop", []ed25519.PublicKey{public(1)})
	if _, _, err := b.Take(now, forced(t, key(1), long)); !is(err, TooLong) {
		t.Errorf("for over a day: %v", err)
	}
	for i := range MaxHeld + 1 {
		o := order()
		o.Service = fmt.Sprint("service-", i)
		if _, _, err := b.Take(now, sign(t, key(1), o)); (err != nil) != (i == MaxHeld) {
			t.Fatalf("number %d: %v", i, err)
		}
	}
	if b.Refused()[Full] != 1 {
		t.Errorf("counted %v", b.Refused())
	}
}

// TestEveryByteIsSigned: whichever byte is changed, it is an operator's word no more.
func TestEveryByteIsSigned(t *testing.T) {
	b := NewBook("shop", []ed25519.PublicKey{public(1)})
	signed := sign(t, key(1), order())
	for i := range signed {
		x := bytes.Clone(signed)
		x[i] ^= 1 << rand.N(8)
		if _, _, err := b.Take(now, x); err == nil {
			t.Fatalf("byte %d of %d may be altered", i, len(signed))
		}
	}
	if _, _, err := b.Take(now, signed); err != nil {
		t.Error(err)
	}
}

// TestRevoked: a revocation ends an override, also one that comes after it, until it
// would have ended by itself.
func TestRevoked(t *testing.T) {
	o := order()
	o.ID, o.Version = NewID(), 1
	first, revoked := sign(t, key(1), o), sign(t, key(2), o.Revocation("bob", "all is well"))
	keys := []ed25519.PublicKey{public(1), public(2)}
	for _, seq := range [][][]byte{{first, revoked}, {revoked}} {
		b := NewBook("shop", keys)
		for _, x := range seq {
			if _, news, err := b.Take(now, x); !news || err != nil {
				t.Fatal(news, err)
			}
		}
		if len(b.Active()) != 0 {
			t.Error("still in force")
		}
		for _, at := range []time.Time{now, now.Add(time.Hour - 1), now.Add(time.Hour), now.Add(time.Hour + Skew)} {
			b.Expire(at)
			if _, _, err := b.Take(at, first); !is(err, Superseded) && !is(err, Expired) {
				t.Errorf("replayed after %v: %v", at.Sub(now), err)
			}
			if len(b.Active()) != 0 {
				t.Fatal("in force again")
			}
		}
		if b.Refused()[Superseded] == 0 {
			t.Error("a replay was not counted")
		}
		if b.Expire(now.Add(time.Hour + Skew + 1)); len(b.held) != 0 {
			t.Error("kept for ever")
		}
	}
}

func TestExpires(t *testing.T) {
	b := NewBook("shop", []ed25519.PublicKey{public(1)})
	signed := sign(t, key(1), order())
	if _, _, err := b.Take(now, signed); err != nil {
		t.Fatal(err)
	}
	end := now.Add(time.Hour)
	if ended := b.Expire(end.Add(-1)); len(ended) != 0 || len(b.Active()) != 1 {
		t.Errorf("ended %v", ended)
	}
	if ended := b.Expire(end); len(ended) != 1 || len(b.Active()) != 0 || len(b.Signed(end)) != 0 {
		t.Errorf("ended %v, active %v", ended, b.Active())
	}
	if ended := b.Expire(end.Add(time.Second)); len(ended) != 0 {
		t.Errorf("ended twice: %v", ended)
	}
	if _, _, err := b.Take(now, signed); err != nil || len(b.Active()) != 0 { // a clock went back
		t.Errorf("%v; %d are active", err, len(b.Active()))
	}
}

// TestAnySequence: members that have heard the same, each any number of times and in any
// sequence, hold the same (guarantee G8).
func TestAnySequence(t *testing.T) {
	ids := []string{NewID(), NewID()}
	rapid.Check(t, func(t *rapid.T) {
		var said [][]byte
		for range rapid.IntRange(1, 6).Draw(t, "orders") {
			o := order()
			o.ID, o.Version = rapid.SampledFrom(ids).Draw(t, "ID"), rapid.Uint64Range(1, 3).Draw(t, "version")
			o.Kind = rapid.SampledFrom([]coord.OverrideKind{coord.Freeze, coord.ForceOpen}).Draw(t, "kind")
			o.Revoked = rapid.Bool().Draw(t, "revoked")
			signed, err := Sign(key(rapid.Byte().Draw(t, "key")%2), "shop", o)
			if err != nil {
				t.Fatal(err)
			}
			said = append(said, signed)
		}
		var first map[string]entry
		for range 3 {
			b := NewBook("shop", []ed25519.PublicKey{public(0), public(1)})
			for _, x := range rapid.Permutation(append(said, said[0])).Draw(t, "sequence") {
				_, _, _ = b.Take(now, x)
			}
			if first == nil {
				first = b.held
			}
			if !reflect.DeepEqual(first, b.held) {
				t.Fatalf("%+v\n%+v", first, b.held)
			}
		}
	})
}

func TestSignTellsEveryFault(t *testing.T) {
	_, err := Sign(key(1), "shop", coord.Override{Kind: coord.Drain, Reason: "a\nb", Issued: now, Expires: now})
	if err == nil {
		t.Fatal("signed")
	}
	for _, part := range []string{"Service", "Endpoint", "Author", "Reason", "Expires"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s is not named in: %v", part, err)
		}
	}
	if _, err := Sign(key(1)[:10], "shop", order()); err == nil {
		t.Error("signed with a part of a key")
	}
}

// FuzzTake: nothing that an operator's key has not signed is ever taken, and nothing
// panics.
func FuzzTake(f *testing.F) {
	f.Add(sign(f, key(1), order()))
	f.Add(sign(f, key(7), order()))
	f.Fuzz(func(t *testing.T, signed []byte) {
		b := NewBook("shop", []ed25519.PublicKey{public(2)})
		if o, news, err := b.Take(now, signed); err == nil || news {
			t.Fatalf("took %+v", o)
		}
	})
}
