// Package override keeps operators' orders: who may give them, which are in force, and
// which were refused. It is pure: signed bytes and the time in, orders out.
//
// An order is signed with ed25519 over the name of the cluster and the order itself, so
// that holding the gossip key is not enough to place one, and one of another cluster is
// none. The signed form is
//
//	signed = key ID (8 bytes) | signature (64 bytes) | order
//
// where the key ID is the beginning of the public key's SHA-256. Orders are versioned by
// ID: a revocation is the same order, revoked, with the next version. So the same order
// may come any number of times and in any sequence (guarantee G8).
package override

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/wire"
)

const (
	keyIDSize = 8
	overhead  = keyIDSize + ed25519.SignatureSize

	// MaxLife is how long an override can be in force, and how long a revocation lasts.
	MaxLife = coord.MaxOverrideLife
	// Skew is how far clocks may differ.
	Skew = time.Minute
	// MaxSigned is the largest signed override, in bytes.
	MaxSigned = 800
)

type keyID [keyIDSize]byte

func idOf(key ed25519.PublicKey) (id keyID) {
	sum := sha256.Sum256(key)
	copy(id[:], sum[:])
	return id
}

// NewID draws the ID of a new override.
func NewID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// Check reports all faults of an override that is to be signed.
func Check(o *coord.Override) error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !o.Kind.Valid() {
		fault("Kind is none of freeze, force-closed, force-open, drain, prefer and retries-off")
	}
	if err := coord.CheckName(o.Service); err != nil {
		fault("Service %w", err)
	}
	switch {
	case o.Endpoint != "":
		if err := coord.CheckName(o.Endpoint); err != nil {
			fault("Endpoint %w", err)
		}
	case o.Kind.OneEndpoint():
		fault("Endpoint is empty; %s is about one", o.Kind)
	}
	text := func(what, s string, limit int) {
		switch {
		case strings.TrimSpace(s) == "":
			fault("%s is empty; whoever finds this override has to know", what)
		case len(s) > limit:
			fault("%s is %d bytes long; the limit is %d", what, len(s), limit)
		case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
			fault("%s is not one line of UTF-8", what)
		}
	}
	switch {
	case o.Version == 0:
		fault("Version is 0; the first is 1")
	case o.Version == math.MaxUint64 && !o.Revoked:
		fault("Version is the last one, which none could revoke")
	}
	text("Author", o.Author, wire.MaxAuthor)
	text("Reason", o.Reason, wire.MaxReason)
	if life := o.Expires.Sub(o.Issued); life <= 0 || life > MaxLife {
		fault("Expires is %v after Issued; it must be up to %v", life, MaxLife)
	} else if o.Revoked && life < MaxLife {
		fault("Expires is %v after Issued; a revocation lasts %v, as long as what it revokes could", life, MaxLife)
	}
	return errors.Join(errs...)
}

// Sign signs an override for a cluster. A new one, without an ID, gets one and version 1.
func Sign(key ed25519.PrivateKey, cluster string, o coord.Override) ([]byte, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("the key has %d bytes; an ed25519 private key has %d", len(key), ed25519.PrivateKeySize)
	}
	if o.ID == "" {
		o.ID, o.Version = NewID(), 1
	}
	if err := Check(&o); err != nil {
		return nil, err
	}
	order, err := wire.AppendOrder(nil, &o)
	if err != nil {
		return nil, err
	}
	id := idOf(key.Public().(ed25519.PublicKey))
	return slices.Concat(id[:], ed25519.Sign(key, text(cluster, order)), order), nil
}

// text is what is signed: it says what it is for, and for which cluster.
func text(cluster string, order []byte) []byte {
	b := []byte("murmuration override 1\x00")
	b = binary.AppendUvarint(b, uint64(len(cluster)))
	b = append(b, cluster...)
	return append(b, order...)
}
