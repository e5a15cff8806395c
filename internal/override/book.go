package override

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// MaxHeld is how many overrides are kept, those included that were revoked and have not
// expired.
const MaxHeld = 256

// Refusal is why an override is not taken.
type Refusal uint8

// The refusals.
const (
	Malformed    Refusal = iota // cannot be read
	NoOperators                 // this member has no operator keys
	UnknownKey                  // signed with a key that is none of an operator's
	BadSignature                // altered, of another cluster, or not signed by that key
	Expired                     // over
	FromFuture                  // issued more than a minute from now
	TooLong                     // in force for over a day
	Superseded                  // revoked since, or replaced by a newer version
	Full                        // one override too many
)

// NumRefusals is the number of refusals.
const NumRefusals = int(Full) + 1

var refusals = [NumRefusals]struct{ name, text string }{
	{"malformed", "it cannot be read"},
	{"no-operators", "this member has no operator keys configured"},
	{"unknown-key", "it is signed with a key that is not configured for an operator"},
	{"bad-signature", "its signature is wrong: it was altered, or is for another cluster"},
	{"expired", "it has expired"},
	{"from-future", "it was issued more than a minute from now; compare the clocks"},
	{"too-long", "it is to be in force for more than a day"},
	{"superseded", "a newer version of it is known, or it was revoked"},
	{"full", "there are too many overrides"},
}

// String returns the refusal's name, fit for a metric attribute.
func (r Refusal) String() string { return refusals[r].name }

// Error is the error of Take.
type Error struct{ Refusal Refusal }

func (e *Error) Error() string { return "override refused: " + refusals[e.Refusal].text }

// Book holds the overrides that a member knows. It is not safe for concurrent use.
type Book struct {
	cluster string
	keys    map[keyID]ed25519.PublicKey
	held    map[string]entry // by ID
	refused [NumRefusals]uint64
}

type entry struct {
	order  *coord.Override
	signed []byte
}

// NewBook returns a book that takes overrides for a cluster that one of the keys signed.
func NewBook(cluster string, operators []ed25519.PublicKey) *Book {
	b := &Book{cluster: cluster, keys: map[keyID]ed25519.PublicKey{}, held: map[string]entry{}}
	for _, key := range operators {
		b.keys[idOf(key)] = slices.Clone(key)
	}
	return b
}

// Take takes in a signed override and returns it. What is news is to be passed on; the
// rest is held already. Every error is an *Error.
func (b *Book) Take(now time.Time, signed []byte) (o *coord.Override, news bool, err error) {
	o, news, err = b.take(now, signed)
	var e *Error
	if errors.As(err, &e) {
		b.refused[e.Refusal]++
	}
	return o, news, err
}

func (b *Book) take(now time.Time, signed []byte) (o *coord.Override, news bool, err error) {
	if len(signed) <= overhead || len(signed) > MaxSigned {
		return nil, false, &Error{Malformed}
	}
	if o, err = wire.DecodeOrder(signed[overhead:]); err != nil {
		return nil, false, &Error{Malformed}
	}
	was, known := b.held[o.ID]
	if known && bytes.Equal(was.signed, signed) {
		return was.order, false, nil
	}
	if len(b.keys) == 0 {
		return nil, false, &Error{NoOperators}
	}
	key, ok := b.keys[keyID(signed[:keyIDSize])]
	if !ok {
		return nil, false, &Error{UnknownKey}
	}
	if !ed25519.Verify(key, text(b.cluster, signed[overhead:]), signed[keyIDSize:overhead]) {
		return nil, false, &Error{BadSignature}
	}
	switch {
	case o.Expires.Sub(o.Issued) > MaxLife:
		return nil, false, &Error{TooLong}
	case Check(o) != nil: // Sign signs no such thing
		return nil, false, &Error{Malformed}
	case !now.Before(o.Expires):
		return nil, false, &Error{Expired}
	case o.Issued.After(now.Add(Skew)):
		return nil, false, &Error{FromFuture}
	case known && !newer(o, signed, was):
		return nil, false, &Error{Superseded}
	case !known && len(b.held) >= MaxHeld:
		return nil, false, &Error{Full}
	}
	b.held[o.ID] = entry{o, bytes.Clone(signed)}
	return o, true, nil
}

// newer is a total order, so that all members come to hold the same, whatever comes
// first.
func newer(o *coord.Override, signed []byte, was entry) bool {
	switch {
	case o.Version != was.order.Version:
		return o.Version > was.order.Version
	case o.Revoked != was.order.Revoked:
		return o.Revoked
	}
	return bytes.Compare(signed, was.signed) > 0
}

// Expire forgets what is over, and returns what was in force until now. Revocations are
// kept a minute longer than what they revoke could be, for clocks differ.
func (b *Book) Expire(now time.Time) (ended []*coord.Override) {
	for id, e := range b.held {
		if now.Before(e.order.Expires) {
			continue
		}
		if !e.order.Revoked {
			ended = append(ended, e.order)
			gone := *e.order
			gone.Revoked = true
			b.held[id] = entry{&gone, e.signed}
		}
		if now.After(e.order.Expires.Add(Skew)) {
			delete(b.held, id)
		}
	}
	sort(ended)
	return ended
}

// Active returns the overrides in force, those issued last first.
func (b *Book) Active() []*coord.Override {
	var all []*coord.Override
	for _, e := range b.held {
		if !e.order.Revoked {
			all = append(all, e.order)
		}
	}
	sort(all)
	return all
}

func sort(all []*coord.Override) {
	slices.SortFunc(all, func(a, b *coord.Override) int {
		if d := b.Issued.Compare(a.Issued); d != 0 {
			return d
		}
		return strings.Compare(a.ID, b.ID)
	})
}

// Signed returns all that is held and not over, as it was signed, for a joiner.
func (b *Book) Signed(now time.Time) [][]byte {
	var all [][]byte
	for _, e := range b.held {
		if now.Before(e.order.Expires) {
			all = append(all, e.signed)
		}
	}
	return all
}

// Refused tells how often an override was refused, by Refusal.
func (b *Book) Refused() [NumRefusals]uint64 { return b.refused }
