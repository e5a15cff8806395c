package wire

import (
	"encoding/hex"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// Limits of an override.
const (
	MaxAuthor   = 64  // bytes
	MaxReason   = 256 // bytes
	overrideID  = 16
	maxUnixTime = 1 << 40
)

// An override on its way is the kind and version of any message and then one block that
// its author has signed. Whoever passes it on does so byte for byte.

// AppendOverride appends a message that carries a signed override.
func AppendOverride(dst, signed []byte) []byte {
	return append(append(dst, byte(KindOverride), Version), signed...)
}

// Override returns the signed override in a message; false if b is none. It is a part of b.
func Override(b []byte) (signed []byte, ok bool) {
	if checkHeader(b) != nil || Kind(b[0]) != KindOverride {
		return nil, false
	}
	return b[headerSize:], true
}

// AppendOrder appends what is signed of an override. Its times lose fractions of a second.
func AppendOrder(dst []byte, o *coord.Override) ([]byte, error) {
	w := writer{b: dst}
	id, err := hex.DecodeString(o.ID)
	switch {
	case err != nil || len(id) != overrideID || hex.EncodeToString(id) != o.ID:
		w.fail(errorf(BadName, "ID is not %d hexadecimal digits", 2*overrideID))
	case !o.Kind.Valid():
		w.fail(errorf(BadValue, "kind %d", o.Kind))
	case (o.Endpoint == "") && o.Kind.OneEndpoint():
		w.fail(errorf(BadName, "endpoint is empty; %s is about one", o.Kind))
	}
	w.b = append(w.b, id...)
	w.number(o.Version)
	w.number(uint64(o.Kind))
	w.name("service", o.Service, coord.MaxName)
	w.zone(o.Endpoint)
	w.name("author", o.Author, MaxAuthor)
	w.name("reason", o.Reason, MaxReason)
	w.upTo("issued", uint64(o.Issued.Unix()), maxUnixTime)
	w.upTo("expires", uint64(o.Expires.Unix()), maxUnixTime)
	w.flag(o.Revoked)
	if w.err != nil {
		return dst, w.err
	}
	return w.b, nil
}

// DecodeOrder reads what AppendOrder wrote, all of b.
func DecodeOrder(b []byte) (*coord.Override, error) {
	if len(b) < overrideID {
		return nil, errorf(Truncated, "ID")
	}
	o := &coord.Override{ID: hex.EncodeToString(b[:overrideID])}
	r := reader{b: b[overrideID:]}
	o.Version = r.number("version")
	o.Kind = coord.OverrideKind(r.upTo("kind", 255))
	o.Service = r.name("service", coord.MaxName)
	o.Endpoint = r.zone()
	o.Author = r.name("author", MaxAuthor)
	o.Reason = r.name("reason", MaxReason)
	o.Issued = time.Unix(int64(r.upTo("issued", maxUnixTime)), 0).UTC()
	o.Expires = time.Unix(int64(r.upTo("expires", maxUnixTime)), 0).UTC()
	o.Revoked = r.upTo("revoked", 1) == 1
	switch {
	case r.err != nil:
		return nil, r.err
	case len(r.b) > 0:
		return nil, errorf(Trailing, "%d bytes", len(r.b))
	case !o.Kind.Valid():
		return nil, errorf(BadValue, "kind %d", o.Kind)
	case o.Endpoint == "" && o.Kind.OneEndpoint():
		return nil, errorf(BadName, "endpoint is empty; %s is about one", o.Kind)
	}
	return o, nil
}
