package wire

import (
	"encoding/binary"
	"math/bits"
	"time"
	"unicode/utf8"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// writer appends fields to b. Its first error sticks; what is in b then is of
// no use.
type writer struct {
	b   []byte
	err *Error
}

func (w *writer) fail(err *Error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *writer) number(v uint64) { w.b = binary.AppendUvarint(w.b, v) }

// trim takes back the zeros at the end of the optional numbers that begin at a
// place in b. No other number ends in a byte of zero.
func (w *writer) trim(begin int) {
	for len(w.b) > begin && w.b[len(w.b)-1] == 0 {
		w.b = w.b[:len(w.b)-1]
	}
}

func (w *writer) count(v uint64) { w.number(min(v, MaxCount)) }

func (w *writer) upTo(what string, v, limit uint64) {
	if v > limit {
		w.fail(errorf(BadValue, "%s is %d; the limit is %d", what, v, limit))
		return
	}
	w.number(v)
}

func (w *writer) duration(what string, d, limit time.Duration) {
	if d < 0 {
		w.fail(errorf(BadValue, "%s is negative", what))
		return
	}
	w.number(uint64(min(d, limit) / time.Microsecond))
}

func (w *writer) flag(v bool) {
	if v {
		w.number(1)
	} else {
		w.number(0)
	}
}

// maxRate, in thousandths, is a number that a float64 holds exactly.
const maxRate = 1 << 40

// rate writes a number a second in thousandths.
func (w *writer) rate(what string, v float64) {
	if !(v >= 0) {
		w.fail(errorf(BadValue, "%s is negative", what))
		return
	}
	w.number(uint64(min(v*1000+.5, maxRate)))
}

// zone writes the name of a zone, which may be empty.
func (w *writer) zone(s string) {
	switch {
	case len(s) > coord.MaxName:
		w.fail(errorf(BadName, "zone is over %d bytes", coord.MaxName))
	case !utf8.ValidString(s):
		w.fail(errorf(BadName, "zone is not UTF-8"))
	default:
		w.number(uint64(len(s)))
		w.b = append(w.b, s...)
	}
}

func (w *writer) name(what, s string, limit int) {
	if err := checkName(what, len(s), limit); err != nil {
		w.fail(err)
		return
	}
	if !utf8.ValidString(s) {
		w.fail(errorf(BadName, "%s is not UTF-8", what))
		return
	}
	w.number(uint64(len(s)))
	w.b = append(w.b, s...)
}

// reader takes fields from the front of b. Its first error sticks and makes
// every later field zero.
type reader struct {
	b    []byte
	err  *Error
	rest bool   // what is missing from here on is zero
	last uint64 // number read
}

// optional says that the numbers from here on may be missing.
func (r *reader) optional() { r.rest, r.last = true, 1 }

// trimmed ends the optional numbers: zeros at the end are left out.
func (r *reader) trimmed() {
	if r.rest = false; r.err == nil && len(r.b) == 0 && r.last == 0 {
		r.fail(errorf(NonCanonical, "a row ends in zeros"))
	}
}

func (r *reader) fail(err *Error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

func (r *reader) number(what string) uint64 {
	if r.err != nil || r.rest && len(r.b) == 0 {
		return 0
	}
	v, n := binary.Uvarint(r.b)
	switch {
	case n == 0:
		r.fail(errorf(Truncated, "%s", what))
		return 0
	case n < 0:
		r.fail(errorf(BadValue, "%s is over 64 bits", what))
		return 0
	case n != uvarintLen(v):
		r.fail(errorf(NonCanonical, "%s is not in its shortest form", what))
		return 0
	}
	r.b, r.last = r.b[n:], v
	return v
}

func (r *reader) upTo(what string, limit uint64) uint64 {
	v := r.number(what)
	if v > limit {
		r.fail(errorf(BadValue, "%s is %d; the limit is %d", what, v, limit))
		return 0
	}
	return v
}

func (r *reader) count(what string) uint64 { return r.upTo(what, MaxCount) }

func (r *reader) duration(what string, limit time.Duration) time.Duration {
	return time.Duration(r.upTo(what, uint64(limit/time.Microsecond))) * time.Microsecond
}

func (r *reader) rate(what string) float64 { return float64(r.upTo(what, maxRate)) / 1000 }

// zone takes the name of a zone, which may be empty.
func (r *reader) zone() string {
	n := r.number("zone")
	switch {
	case r.err != nil || n == 0:
		return ""
	case n > coord.MaxName:
		r.fail(errorf(BadName, "zone is over %d bytes", coord.MaxName))
		return ""
	case n > uint64(len(r.b)):
		r.fail(errorf(Truncated, "zone has %d bytes of %d", len(r.b), n))
		return ""
	}
	b := r.b[:n]
	if !utf8.Valid(b) {
		r.fail(errorf(BadName, "zone is not UTF-8"))
		return ""
	}
	r.b = r.b[n:]
	return string(b)
}

// block takes a length and that many bytes, which it returns without copying.
func (r *reader) block(what string) []byte {
	n := r.number(what)
	if n > uint64(len(r.b)) {
		r.fail(errorf(Truncated, "%s has %d bytes of %d", what, len(r.b), n))
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

// name takes a name. A length over the limit is a bad name even where the bytes
// are missing too.
func (r *reader) name(what string, limit int) string {
	n := r.number(what)
	if r.err != nil {
		return ""
	}
	if err := checkName(what, int(min(n, 1<<20)), limit); err != nil {
		r.fail(err)
		return ""
	}
	if n > uint64(len(r.b)) {
		r.fail(errorf(Truncated, "%s has %d bytes of %d", what, len(r.b), n))
		return ""
	}
	b := r.b[:n]
	if !utf8.Valid(b) {
		r.fail(errorf(BadName, "%s is not UTF-8", what))
		return ""
	}
	r.b = r.b[n:]
	return string(b)
}

func checkName(what string, n, limit int) *Error {
	switch {
	case n == 0:
		return errorf(BadName, "%s is empty", what)
	case n > limit:
		return errorf(BadName, "%s is over %d bytes", what, limit)
	}
	return nil
}

func uvarintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }
