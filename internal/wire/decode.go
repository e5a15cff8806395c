package wire

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// Decode reads one message. Every error is an *Error. The message shares
// nothing with b.
func Decode(b []byte) (Message, error) {
	m, _, err := decode(b)
	return m, err
}

// decode also reports whether it skipped something that it did not know.
func decode(b []byte) (m Message, skipped bool, err error) {
	if err := checkHeader(b); err != nil {
		return Message{}, false, err
	}
	kind, rest := Kind(b[0]), b[headerSize:]
	switch kind {
	case KindReport:
		d := decoder[ReportRow]{least: minReportRow, read: func(r *reader, service string, row *ReportRow) {
			row.Service = service
			row.read(r)
		}}
		if err := d.message(rest); err != nil {
			return Message{}, false, err
		}
		return Message{Kind: kind, Report: &Report{Origin: d.origin, Rows: d.rows}}, d.skipped, nil
	case KindVerdicts:
		if len(rest) < ageSize {
			return Message{}, false, errorf(Truncated, "age")
		}
		age := time.Duration(binary.BigEndian.Uint32(rest)) * time.Millisecond
		d := decoder[VerdictRow]{least: minVerdictRow, read: func(r *reader, service string, row *VerdictRow) {
			row.Service = service
			row.read(r)
		}}
		if err := d.message(rest[ageSize:]); err != nil {
			return Message{}, false, err
		}
		return Message{Kind: kind, Verdicts: &Verdicts{Origin: d.origin, Age: age, Rows: d.rows}}, d.skipped, nil
	case KindAsk, KindLoan:
		d := loanDecoder{kind: kind}
		if err := d.message(rest); err != nil {
			return Message{}, false, err
		}
		return Message{Kind: kind, Loan: &d.loan}, d.skipped, nil
	case KindOverride: // no member's word; see Override
	}
	return Message{}, false, errorf(UnknownKind, "%d", kind)
}

// checkHeader looks at the version before anything that a later version may
// have changed.
func checkHeader(b []byte) error {
	switch {
	case len(b) < headerSize:
		return errorf(Truncated, "header")
	case b[1] > Version:
		return errorf(Future, "version %d; ours is %d", b[1], Version)
	case b[1] == 0:
		return errorf(BadValue, "version 0")
	case len(b) > MaxMessage:
		return errorf(TooLarge, "%d bytes; the limit is %d", len(b), MaxMessage)
	}
	return nil
}

// envelope reads the sections of a message, of which every kind has the first.
type envelope struct {
	origin  Origin
	skipped bool
}

// message hands every section but the origin to section, which reports whether
// it knows the tag.
func (e *envelope) message(b []byte, section func(tag uint64, repeated bool, payload []byte) (known bool, err *Error)) *Error {
	r := reader{b: b}
	var last uint64 // tag of the section before
	for len(r.b) > 0 {
		tag := r.number("section tag")
		if r.err == nil && tag == 0 {
			r.fail(errorf(Trailing, "%d bytes", len(r.b)+1))
		}
		payload := r.block("section")
		switch {
		case r.err != nil:
			return r.err
		case tag < last:
			return errorf(NonCanonical, "section %d after section %d", tag, last)
		case tag == tagOrigin && last == tagOrigin:
			return errorf(NonCanonical, "two origins")
		case tag > tagOrigin && e.origin.Member == "":
			return errorf(Missing, "origin")
		}
		repeated := tag == last
		if last = tag; tag == tagOrigin {
			if err := e.readOrigin(payload); err != nil {
				return err
			}
			continue
		}
		known, err := section(tag, repeated, payload)
		if err != nil {
			return err
		}
		e.skipped = e.skipped || !known
	}
	if e.origin.Member == "" {
		return errorf(Missing, "origin")
	}
	return nil
}

func (e *envelope) readOrigin(payload []byte) *Error {
	r := reader{b: payload}
	e.origin.Member = r.name("member", MaxMember)
	e.origin.Incarnation = r.number("incarnation")
	e.origin.Seq = r.number("seq")
	e.skipped = e.skipped || len(r.b) > 0
	return r.err
}

// decoder reads a message with rows of type R.
type decoder[R any] struct {
	envelope
	least int // size of the shortest row
	read  func(r *reader, service string, row *R)

	rows    []R
	service string // of the last row
}

func (d *decoder[R]) message(b []byte) *Error {
	return d.envelope.message(b, func(tag uint64, _ bool, payload []byte) (bool, *Error) {
		if tag != tagService {
			return false, nil
		}
		return true, d.readService(payload)
	})
}

func (d *decoder[R]) readService(payload []byte) *Error {
	r := reader{b: payload}
	service := r.name("service", coord.MaxName)
	if r.err != nil {
		return r.err
	}
	if len(d.rows) > 0 && service == d.service {
		return errorf(NonCanonical, "two neighbouring sections of one service")
	}
	d.service = service
	n, err := d.countRows(r.b)
	if err != nil {
		return err
	}
	first := len(d.rows)
	d.rows = slices.Grow(d.rows, n)[:first+n]
	var fields reader
	for i := first; i < first+n; i++ {
		fields.b = r.block("row")
		d.read(&fields, service, &d.rows[i])
		if fields.err != nil {
			return fields.err.in(i)
		}
		d.skipped = d.skipped || len(fields.b) > 0
	}
	return nil
}

// countRows counts the rows of a section by their lengths alone, so that too
// many, or too short ones, cost no memory.
func (d *decoder[R]) countRows(b []byte) (n int, err *Error) {
	r := reader{b: b}
	for len(r.b) > 0 {
		row := r.block("row")
		switch {
		case r.err != nil:
			return 0, r.err.in(len(d.rows) + n)
		case len(row) < d.least:
			return 0, errorf(Truncated, "%d bytes; the shortest has %d", len(row), d.least).in(len(d.rows) + n)
		}
		n++
	}
	switch {
	case n == 0:
		return 0, errorf(Missing, "rows of a service")
	case len(d.rows)+n > MaxRows:
		return 0, errorf(TooManyRows, "%d; the limit is %d", len(d.rows)+n, MaxRows)
	}
	return n, nil
}
