package override

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
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
	id := idOf(public(2))
	want.ID, want.Version, want.Key = o.ID, 1, hex.EncodeToString(id[:])
	if len(o.ID) != 32 || !reflect.DeepEqual(*o, want) {
		t.Errorf("took %+v", *o)
	}
	if all := b.Active(now); len(all) != 1 || all[0] != o {
		t.Errorf("active %v", all)
	}
}

// TestRefused: what is not an operator's word, or not for now, changes nothing and is
// counted.
func TestRefused(t *testing.T) {
	altered := sign(t, key(1), order())
	altered[len(altered)-12] ^= 1 // in the reason
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
		if n := b.Refused(); n[tc.want] != 1 || len(b.Active(now)) != 0 {
			t.Errorf("%s: counted %v; %d are active", tc.what, n, len(b.Active(now)))
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

// TestRevoked: a revocation ends an override, also one that comes after it, for as long as
// any of its versions could be in force: also by a later version that was shorter, and at a
// joiner that knows what others hold.
func TestRevoked(t *testing.T) {
	o := order()
	o.ID, o.Version, o.Expires = NewID(), 1, now.Add(MaxLife)
	short := o
	short.Version, short.Expires = 2, now.Add(time.Minute)
	keys := []ed25519.PublicKey{public(1), public(2)}
	first, ends := sign(t, key(1), o), sign(t, key(2), short)
	for _, last := range [][]byte{ends, sign(t, key(2), o.Revocation("bob", "all is well", now.Add(time.Minute)))} {
		for _, seq := range [][][]byte{{first, last}, {last}} {
			b := NewBook("shop", keys)
			for _, x := range seq {
				if _, news, err := b.Take(now.Add(time.Minute-1), x); !news || err != nil {
					t.Fatal(news, err)
				}
			}
			for _, at := range []time.Duration{time.Minute, time.Hour, MaxLife - 1, MaxLife, MaxLife + Skew, 2 * MaxLife} {
				at := now.Add(at)
				joiner := NewBook("shop", keys)
				for _, x := range b.Signed() {
					_, _, _ = joiner.Take(at, x)
				}
				for _, b := range []*Book{b, joiner} {
					b.Forget(at)
					if _, _, err := b.Take(at, first); !is(err, Superseded) && !is(err, Expired) {
						t.Errorf("replayed after %v: %v", at.Sub(now), err)
					}
					if len(b.Active(at)) != 0 {
						t.Fatalf("in force after %v", at.Sub(now))
					}
				}
			}
			if b.Refused()[Superseded] == 0 {
				t.Error("a replay was not counted")
			}
			if b.Forget(now.Add(2*MaxLife + 2*Skew)); len(b.held) != 0 {
				t.Error("kept for ever")
			}
		}
	}
	hurried := o.Revocation("bob", "all is well", now)
	hurried.Expires = now.Add(time.Minute)
	if _, err := Sign(key(1), "shop", hurried); err == nil {
		t.Error("signed a revocation that ends before what it revokes may")
	}
	if b := NewBook("shop", keys); !is(second(b.Take(now, forcedAs(t, key(1), hurried))), Malformed) {
		t.Error("took a revocation that ends before what it revokes may")
	}
	o.Version = math.MaxUint64
	if r := o.Revocation("bob", "", now); r.Version != math.MaxUint64 {
		t.Errorf("version %d follows the last", r.Version)
	}
	if _, err := Sign(key(1), "shop", o); err == nil {
		t.Error("signed what none could revoke")
	}
}

func second(_ *coord.Override, _ bool, err error) error { return err }

// TestExpires: an override is in force until it expires by the clock, wherever that goes.
func TestExpires(t *testing.T) {
	b := NewBook("shop", []ed25519.PublicKey{public(1)})
	signed := sign(t, key(1), order())
	if _, _, err := b.Take(now, signed); err != nil {
		t.Fatal(err)
	}
	end := now.Add(time.Hour)
	for _, tc := range []struct {
		at   time.Time
		want int
	}{{end.Add(-1), 1}, {end, 0}, {end.Add(Skew), 0}, {end.Add(-1), 1}, {end.Add(10 * time.Hour), 0}} {
		if b.Forget(tc.at); len(b.Active(tc.at)) != tc.want {
			t.Errorf("%v from the end %d are in force", tc.at.Sub(end), len(b.Active(tc.at)))
		}
	}
}

// TestRoom: what has ended does not keep operators from giving orders, and of it what can
// soonest do no harm makes way.
func TestRoom(t *testing.T) {
	b := NewBook("shop", []ed25519.PublicKey{public(1)})
	var first []byte
	for i := range MaxHeld + 10 {
		o := order()
		o.ID, o.Version, o.Service = NewID(), 1, fmt.Sprint("service-", i)
		at := now.Add(time.Duration(i) * time.Minute)
		revoked := sign(t, key(1), o.Revocation("ada", "done", at))
		if _, _, err := b.Take(at, revoked); err != nil {
			t.Fatalf("number %d: %v", i, err)
		}
		if i == 0 {
			first = revoked
		}
	}
	if len(b.held) != MaxHeld {
		t.Errorf("%d are held", len(b.held))
	}
	for _, e := range b.held {
		if bytes.Equal(e.signed, first) {
			t.Error("the one that ends first has not made way")
		}
	}
	if _, _, err := b.Take(now, sign(t, key(1), order())); err != nil {
		t.Errorf("an order: %v", err)
	}
}

// TestBounded: however many orders have come and gone, no more is held.
func TestBounded(t *testing.T) {
	b := NewBook("shop", []ed25519.PublicKey{public(1)})
	at := now
	for range 4 {
		for i := range MaxHeld {
			o := order()
			o.Service, o.Issued, o.Expires = fmt.Sprint("service-", i), at, at.Add(time.Minute)
			if _, _, err := b.Take(at, sign(t, key(1), o)); err != nil {
				t.Fatalf("number %d: %v", i, err)
			}
		}
		if at = at.Add(10 * time.Minute); len(b.Active(at)) != 0 {
			t.Fatal("in force for ever")
		}
		if b.Forget(at); len(b.held) > MaxHeld || len(b.Signed()) > 2*MaxHeld {
			t.Fatalf("%d are held", len(b.held))
		}
	}
}

// TestPaced: however many come, few signatures are looked at; then orders are heard again.
func TestPaced(t *testing.T) {
	b := NewBook("shop", []ed25519.PublicKey{public(1)})
	forged := sign(t, key(1), order())
	for i := range uint64(10_000) {
		x := bytes.Clone(forged)
		binary.BigEndian.PutUint64(x[keyIDSize:], i)
		_, _, _ = b.Take(now, x)
	}
	if n := b.Refused(); n[BadSignature] > 2*MaxHeld || n[BadSignature]+n[Paced] != 10_000 {
		t.Errorf("counted %v", n)
	}
	if _, _, err := b.Take(now.Add(time.Second), forged); err != nil {
		t.Error(err)
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
			o.Expires = now.Add(time.Duration(rapid.IntRange(-30, 60).Draw(t, "minutes")) * time.Minute)
			o.Issued = now.Add(-time.Hour)
			if rapid.Bool().Draw(t, "revoked") {
				o = o.Revocation("bob", "all is well", o.Issued)
			}
			signed, err := Sign(key(rapid.Byte().Draw(t, "key")%2), "shop", o)
			if err != nil {
				t.Fatal(err)
			}
			said = append(said, signed)
		}
		var first map[string][]byte
		for range 3 {
			b := NewBook("shop", []ed25519.PublicKey{public(0), public(1)})
			for _, x := range rapid.Permutation(append(said, said[0])).Draw(t, "sequence") {
				_, _, _ = b.Take(now, x)
			}
			holds := map[string][]byte{}
			for id, e := range b.held {
				holds[id] = e.signed
			}
			if first == nil {
				first = holds
			}
			if !reflect.DeepEqual(first, holds) {
				t.Fatalf("%x\n%x", first, holds)
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
	o := order()
	o.ID, o.Version = strings.Repeat("0f", 16), 1 // the same in every process
	f.Add(sign(f, key(1), o))
	genuine := sign(f, key(2), o)
	f.Add(genuine)
	f.Fuzz(func(t *testing.T, signed []byte) {
		b := NewBook("shop", []ed25519.PublicKey{public(2)})
		if o, _, err := b.Take(now, signed); err == nil && !bytes.Equal(signed, genuine) {
			t.Fatalf("took %+v", o)
		}
	})
}
