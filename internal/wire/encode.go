package wire

import (
	"encoding/binary"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// The tags of sections.
const (
	tagOrigin  = 1
	tagService = 2
	tagLoan    = 3
)

const rowSize = 128 // room for the fields of all but odd rows

// AppendReport appends the encoded report to dst. On error it returns dst as it
// was: ErrTooLarge or ErrTooManyRows if the report needs splitting, ErrBadName
// or ErrBadValue (a negative duration) if it cannot be sent at all.
func AppendReport(dst []byte, r *Report) ([]byte, error) {
	return reportSource(r).appendTo(dst)
}

// AppendVerdicts appends the encoded verdicts to dst. Its errors are those of
// AppendReport; an unknown Mode or State is a bad value too.
func AppendVerdicts(dst []byte, v *Verdicts) ([]byte, error) {
	return verdictsSource(v).appendTo(dst)
}

// SplitReport encodes a report in as many messages as it needs, filled in the
// order of its rows. Each is a report of the same member and incarnation with a
// sequence number from nextSeq, which is called once a message; r.Origin.Seq is
// not used. A report without rows needs no message. The errors are ErrBadName
// and ErrBadValue, and one bad row fails the whole.
func SplitReport(r *Report, nextSeq func() uint64) ([][]byte, error) {
	return reportSource(r).split(nextSeq)
}

// SplitVerdicts is like SplitReport for verdicts; every message has v's age.
func SplitVerdicts(v *Verdicts, nextSeq func() uint64) ([][]byte, error) {
	return verdictsSource(v).split(nextSeq)
}

// source is what both kinds of message have in common.
type source struct {
	header
	rows  int
	write func(w *writer, i int) (service string) // the fields of row i
}

type header struct {
	kind   Kind
	age    time.Duration // verdicts only
	origin Origin
}

func reportSource(r *Report) source {
	return source{header{KindReport, 0, r.Origin}, len(r.Rows), func(w *writer, i int) string {
		r.Rows[i].write(w)
		return r.Rows[i].Service
	}}
}

func verdictsSource(v *Verdicts) source {
	return source{header{KindVerdicts, v.Age, v.Origin}, len(v.Rows), func(w *writer, i int) string {
		v.Rows[i].write(w)
		return v.Rows[i].Service
	}}
}

func (s source) appendTo(dst []byte) ([]byte, error) {
	var p packer
	if err := p.begin(dst, s.header); err != nil {
		return dst, err
	}
	row := writer{b: make([]byte, 0, rowSize)}
	for i := range s.rows {
		row.b = row.b[:0]
		service := s.write(&row, i)
		if row.err != nil {
			return dst, row.err.in(i)
		}
		if err := p.add(service, row.b); err != nil {
			return dst, err.in(i)
		}
	}
	return p.finish(), nil
}

func (s source) split(nextSeq func() uint64) ([][]byte, error) {
	var (
		parts [][]byte
		p     packer
	)
	row := writer{b: make([]byte, 0, rowSize)}
	for i := range s.rows {
		row.b = row.b[:0]
		service := s.write(&row, i)
		if row.err != nil {
			return nil, row.err.in(i)
		}
		if i > 0 {
			err := p.add(service, row.b)
			if err == nil {
				continue
			}
			if err.Kind != TooLarge && err.Kind != TooManyRows {
				return nil, err.in(i)
			}
			parts = append(parts, p.finish())
		}
		s.origin.Seq = nextSeq()
		if err := p.begin(nil, s.header); err != nil {
			return nil, err
		}
		// The limits of names and numbers leave room for any one row.
		if err := p.add(service, row.b); err != nil {
			return nil, err.in(i)
		}
	}
	if s.rows > 0 {
		parts = append(parts, p.finish())
	}
	return parts, nil
}

// packer fills one message.
type packer struct {
	msg     []byte // what the caller had, then the finished sections
	start   int    // where the message starts in msg
	section []byte // payload of the service section being filled
	service string // its service
	rows    int    // in the message so far
}

func (p *packer) begin(dst []byte, h header) *Error {
	*p = packer{msg: dst, start: len(dst), section: p.section[:0]}
	p.msg = append(p.msg, byte(h.kind), Version)
	if h.kind == KindVerdicts {
		if h.age < 0 {
			return errorf(BadValue, "age is negative")
		}
		p.msg = binary.BigEndian.AppendUint32(p.msg, wireAge(h.age))
	}
	var w writer
	w.name("member", h.origin.Member, MaxMember)
	w.number(h.origin.Incarnation)
	w.number(h.origin.Seq)
	p.msg = appendSection(p.msg, tagOrigin, w.b)
	return w.err
}

// add adds a row, or leaves the message as it is and returns why not.
func (p *packer) add(service string, row []byte) *Error {
	var name writer
	before, payload := len(p.msg)-p.start, len(p.section)
	if p.rows == 0 || service != p.service {
		name.name("service", service, coord.MaxName)
		if name.err != nil {
			return name.err
		}
		before += sectionSize(payload)
		payload = len(name.b)
	}
	payload += uvarintLen(uint64(len(row))) + len(row)
	if p.rows == MaxRows {
		return errorf(TooManyRows, "the limit is %d", MaxRows)
	}
	if size := before + sectionSize(payload); size > MaxMessage {
		return errorf(TooLarge, "%d bytes; the limit is %d", size, MaxMessage)
	}
	if name.b != nil {
		p.msg = p.finish()
		p.section, p.service = append(p.section[:0], name.b...), service
	}
	p.section = binary.AppendUvarint(p.section, uint64(len(row)))
	p.section = append(p.section, row...)
	p.rows++
	return nil
}

// finish returns the message so far, after what the caller had.
func (p *packer) finish() []byte {
	if len(p.section) == 0 {
		return p.msg
	}
	return appendSection(p.msg, tagService, p.section)
}

func appendSection(b []byte, tag uint64, payload []byte) []byte {
	b = binary.AppendUvarint(b, tag)
	b = binary.AppendUvarint(b, uint64(len(payload)))
	return append(b, payload...)
}

// sectionSize is the size of a service section, none if it has no payload.
func sectionSize(payload int) int {
	if payload == 0 {
		return 0
	}
	return 1 + uvarintLen(uint64(payload)) + payload
}
