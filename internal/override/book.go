package override

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// MaxHeld is how many overrides are kept, and as many more that have ended: those of which
// a version could still be replayed.
const MaxHeld = 256

// Signatures are looked at this often a second, after a burst of all that a member can
// hold: one takes about 80 us.
const looksPerSecond = 50

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
	Paced                       // too many came within a short while to look at them all
)

// NumRefusals is the number of refusals.
const NumRefusals = int(Paced) + 1

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
	{"paced", "too many came within a short while; it comes again"},
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
	looks   *rate.Limiter
	refused [NumRefusals]uint64
}

type entry struct {
	order  *coord.Override
	signed []byte
	until  time.Time // when no version of it could be in force any more, by any clock
}

// ended reports whether it is not in force, and will not be.
func (e *entry) ended(now time.Time) bool { return e.order.Revoked || !now.Before(e.order.Expires) }

// NewBook returns a book that takes overrides for a cluster that one of the keys signed.
func NewBook(cluster string, operators []ed25519.PublicKey) *Book {
	b := &Book{
		cluster: cluster, keys: map[keyID]ed25519.PublicKey{}, held: map[string]entry{},
		looks: rate.NewLimiter(looksPerSecond, 2*MaxHeld),
	}
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
	id := keyID(signed[:keyIDSize])
	key, ok := b.keys[id]
	switch {
	case len(b.keys) == 0:
		return nil, false, &Error{NoOperators}
	case !ok:
		return nil, false, &Error{UnknownKey}
	case o.Expires.Sub(o.Issued) > MaxLife:
		return nil, false, &Error{TooLong}
	case Check(o) != nil: // Sign signs no such thing
		return nil, false, &Error{Malformed}
	case o.Issued.After(now.Add(Skew)):
		return nil, false, &Error{FromFuture}
	case known && !newer(o, signed, was):
		return nil, false, &Error{Superseded}
	case now.After(o.Issued.Add(MaxLife + Skew)): // as good as any other that is over
		return nil, false, &Error{Expired}
	case !b.looks.AllowN(now, 1):
		return nil, false, &Error{Paced}
	case !ed25519.Verify(key, text(b.cluster, signed[overhead:]), signed[keyIDSize:overhead]):
		return nil, false, &Error{BadSignature}
	}
	o.Key = hex.EncodeToString(id[:])
	e := entry{o, bytes.Clone(signed), o.Issued.Add(MaxLife + Skew)}
	if known && was.until.After(e.until) {
		e.until = was.until
	}
	over := e.ended(now)
	if !known && !b.room(now, over) {
		return nil, false, &Error{Full}
	}
	b.held[o.ID] = e
	if over && !o.Revoked { // kept, so that none of its earlier versions is taken
		return nil, false, &Error{Expired}
	}
	return o, true, nil
}

// room makes room for one more, of those in force, of which there may be none, or of those
// that have ended.
func (b *Book) room(now time.Time, over bool) bool {
	if over {
		b.trim(now, MaxHeld-1)
		return true
	}
	return len(b.Active(now)) < MaxHeld
}

// trim leaves at most so many of those that have ended: the ones that can soonest do no
// harm any more make way.
func (b *Book) trim(now time.Time, most int) {
	var ended []entry
	for _, e := range b.held {
		if e.ended(now) {
			ended = append(ended, e)
		}
	}
	if len(ended) <= most {
		return
	}
	slices.SortFunc(ended, func(a, b entry) int {
		return cmp.Or(a.until.Compare(b.until), strings.Compare(a.order.ID, b.order.ID))
	})
	for _, e := range ended[:len(ended)-most] {
		delete(b.held, e.order.ID)
	}
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

// Forget forgets what could not be in force by any clock, and of what has ended what is
// beyond MaxHeld.
func (b *Book) Forget(now time.Time) {
	for id, e := range b.held {
		if now.After(e.until) {
			delete(b.held, id)
		}
	}
	b.trim(now, MaxHeld)
}

// Active returns the overrides in force, those issued last first.
func (b *Book) Active(now time.Time) []*coord.Override {
	var all []*coord.Override
	for _, e := range b.held {
		if !e.ended(now) {
			all = append(all, e.order)
		}
	}
	slices.SortFunc(all, func(a, b *coord.Override) int {
		return cmp.Or(b.Issued.Compare(a.Issued), strings.Compare(a.ID, b.ID))
	})
	return all
}

// Signed returns all that is held, as it was signed, for a joiner: of what has ended too,
// so that nobody can have it begin anew there.
func (b *Book) Signed() [][]byte {
	all := make([][]byte, 0, len(b.held))
	for _, e := range b.held {
		all = append(all, e.signed)
	}
	return all
}

// Refused tells how often an override was refused, by Refusal.
func (b *Book) Refused() [NumRefusals]uint64 { return b.refused }
