package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// Hand-made messages, independent of the encoder.

func section(tag uint64, payload ...byte) []byte { return appendSection(nil, tag, payload) }

func message(kind Kind, version byte, sections ...[]byte) []byte {
	b := []byte{byte(kind), version}
	if kind == KindVerdicts {
		b = append(b, 0, 0, 0, 0)
	}
	return append(b, slices.Concat(sections...)...)
}

func report(sections ...[]byte) []byte   { return message(KindReport, Version, sections...) }
func verdicts(sections ...[]byte) []byte { return message(KindVerdicts, Version, sections...) }

// block puts a length before b.
func block(b ...byte) []byte { return append(binary.AppendUvarint(nil, uint64(len(b))), b...) }

// verdictRow is the fields of a row, the first numbers as given and the others 0.
func verdictRow(endpoint string, numbers ...uint64) []byte {
	b := block([]byte(endpoint)...)
	for i := range 11 {
		var v uint64
		if i < len(numbers) {
			v = numbers[i]
		}
		b = binary.AppendUvarint(b, v)
	}
	return b
}

// service is a service section, with a length put before each row.
func service(name string, rows ...[]byte) []byte {
	payload := block([]byte(name)...)
	for _, row := range rows {
		payload = append(payload, block(row...)...)
	}
	return section(tagService, payload...)
}

var (
	origin  = section(tagOrigin, 1, 'm', 0, 0)
	goodRow = verdictRow("e")
)

func TestDecodeErrors(t *testing.T) {
	long := strings.Repeat("x", MaxMember+1)
	overlong := slices.Concat(bytes.Repeat([]byte{0x80}, 10), []byte{0})
	tests := []struct {
		name string
		in   []byte
		want ErrorKind
	}{
		{"nothing", nil, Truncated},
		{"kind alone", []byte{1}, Truncated},
		{"no age", []byte{2, Version, 0, 0, 0}, Truncated},
		{"tag alone", report(origin, []byte{tagService}), Truncated},
		{"section longer than the message", report([]byte{tagOrigin, 9, 1, 'm'}), Truncated},
		{"huge section", report(origin, []byte{tagService, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}), Truncated},
		{"name longer than its section", report(section(tagOrigin, 2, 'm')), Truncated},
		{"origin without seq", report(section(tagOrigin, 1, 'm', 0)), Truncated},
		{"row longer than its section", verdicts(origin, section(tagService, 1, 's', 99, 1)), Truncated},
		{"row too short", verdicts(origin, service("s", goodRow[:len(goodRow)-1])), Truncated},
		{"row ends within a number", verdicts(origin, service("s", verdictRow("eeeeee")[:16])), Truncated},

		{"row ends within an optional number", verdicts(origin, service("s", append(verdictRow("e"), 0x80))), Truncated},

		{"too large", report(origin, section(9, make([]byte, MaxMessage)...)), TooLarge},
		{"next version", message(KindReport, Version+1, origin), Future},
		{"next version of a strange kind", []byte{77, Version + 1}, Future},
		{"kind 0", message(0, Version, origin), UnknownKind},
		{"kind 5", message(5, Version, origin), UnknownKind},

		{"long form of a tag", report([]byte{0x81, 0, 4, 1, 'm', 0, 0}), NonCanonical},
		{"long form of a length", report([]byte{tagOrigin, 0x84, 0, 1, 'm', 0, 0}), NonCanonical},
		{"long form of a number", report(section(tagOrigin, 1, 'm', 0x80, 0, 0)), NonCanonical},
		{"two origins", report(origin, origin), NonCanonical},
		{"descending tags", report(origin, section(9), service("s", goodRow)), NonCanonical},
		{"a service split in two", verdicts(origin, service("s", goodRow), service("s", goodRow)), NonCanonical},

		{"a row that ends in a zero", verdicts(origin, service("s", append(verdictRow("e"), 0))), NonCanonical},
		{"a row that ends in zeros", verdicts(origin, service("s", append(verdictRow("e"), 0, 0))), NonCanonical},
		{"a row that ends in a zero after a number", verdicts(origin, service("s", append(verdictRow("e"), 1, 0))), NonCanonical},
		{"long form of an optional number", verdicts(origin, service("s", append(verdictRow("e"), 0x81, 0))), NonCanonical},
		{"two loans", message(KindAsk, Version, origin, section(tagLoan, 1, 's', 7), section(tagLoan, 1, 's', 7)), NonCanonical},
		{"loan without a service", message(KindAsk, Version, origin, section(tagLoan, 0, 7)), BadName},
		{"no member name", report(section(tagOrigin, 0, 0, 0)), BadName},
		{"long member name", report(section(tagOrigin, append(block([]byte(long)...), 0, 0)...)), BadName},
		{"member name over all bounds", report(section(tagOrigin, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1)), BadName},
		{"no service name", verdicts(origin, service("", goodRow)), BadName},
		{"long service name", verdicts(origin, service(long[:coord.MaxName+1], goodRow)), BadName},
		{"no endpoint name", verdicts(origin, service("s", append(verdictRow(""), 0))), BadName},
		{"endpoint name not UTF-8", verdicts(origin, service("s", verdictRow("\xff"))), BadName},

		{"version 0", message(KindReport, 0, origin), BadValue},
		{"number over 64 bits", report(section(tagOrigin, append([]byte{1, 'm', 0}, overlong...)...)), BadValue},
		{"amount", message(KindLoan, Version, origin, section(tagLoan, append([]byte{1, 's', 7}, binary.AppendUvarint(nil, MaxLoan+1)...)...)), BadValue},
		{"nine zones", verdicts(origin, service("s", slices.Concat(goodRow, []byte{0, 0, 0, 9}, bytes.Repeat([]byte{0, 0, 1}, 9)))), BadValue},
		{"zones out of order", verdicts(origin, service("s", slices.Concat(goodRow, []byte{0, 0, 0, 2, 1, 'b', 0, 1, 1, 'a', 0, 1}))), NonCanonical},
		{"a zone twice", verdicts(origin, service("s", slices.Concat(goodRow, []byte{0, 0, 0, 2, 1, 'b', 0, 1, 1, 'b', 0, 1}))), NonCanonical},
		{"a zone cut off", verdicts(origin, service("s", slices.Concat(goodRow, []byte{0, 0, 0, 1, 5, 'b'}))), Truncated},
		{"zone not UTF-8", verdicts(origin, service("s", slices.Concat(goodRow, []byte{0, 0, 0, 1, 1, 0xff, 0, 0}))), BadName},
		{"phi", verdicts(origin, service("s", verdictRow("e", 65536))), BadValue},
		{"mode", verdicts(origin, service("s", verdictRow("e", 0, 3))), BadValue},
		{"state", verdicts(origin, service("s", verdictRow("e", 0, 0, 3))), BadValue},
		{"duration", verdicts(origin, service("s", verdictRow("e", 0, 0, 0, 1<<40+1))), BadValue},
		{"count", verdicts(origin, service("s", verdictRow("e", 0, 0, 0, 0, 0, 0, 0, MaxCount+1))), BadValue},

		{"optional duration", verdicts(origin, service("s", append(verdictRow("e"), binary.AppendUvarint([]byte{1}, 1<<40+1)...))), BadValue},

		{"too many rows", verdicts(origin, service("s", slices.Repeat([][]byte{goodRow}, MaxRows+1)...)), TooManyRows},
		{"too many rows in two services", verdicts(origin,
			service("s", slices.Repeat([][]byte{goodRow}, MaxRows)...), service("t", goodRow)), TooManyRows},
		{"zero padding", verdicts(origin, []byte{0}), Trailing},
		{"zero padding after a service", verdicts(origin, service("s", goodRow), make([]byte, 8)), Trailing},
		{"loan without an amount", message(KindLoan, Version, origin, section(tagLoan, 1, 's', 7)), Truncated},
		{"ask without a loan", message(KindAsk, Version, origin), Missing},
		{"loan of nobody", message(KindLoan, Version, section(tagLoan, 1, 's', 7, 0)), Missing},
		{"no origin", verdicts(), Missing},
		{"rows before an origin", verdicts(service("s", goodRow)), Missing},
		{"service without rows", verdicts(origin, service("s")), Missing},
	}
	seen := map[ErrorKind]bool{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Decode(tt.in)
			var e *Error
			if !errors.As(err, &e) || e.Kind != tt.want {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if m != (Message{}) {
				t.Errorf("message %+v with an error", m)
			}
		})
		seen[tt.want] = true
	}
	for k := range ErrorKind(NumErrorKinds) {
		if !seen[k] {
			t.Errorf("no test for %v", k)
		}
	}
}

func TestEncodeErrors(t *testing.T) {
	row := func(change func(*ReportRow)) Message {
		r := typicalReport(2)
		change(&r.Rows[1])
		return Message{Kind: KindReport, Report: r}
	}
	verdict := func(change func(*Verdicts)) Message {
		v := typicalVerdicts()
		change(v)
		return Message{Kind: KindVerdicts, Verdicts: v}
	}
	tests := []struct {
		name string
		in   Message
		want error
	}{
		{"too large", Message{Kind: KindReport, Report: typicalReport(30)}, ErrTooLarge},
		{"too many rows", verdict(func(v *Verdicts) {
			v.Rows = slices.Repeat([]VerdictRow{{Service: "s", Endpoint: "e", Phi: coord.PhiFull}}, MaxRows+1)
		}), ErrTooManyRows},
		{"no member name", verdict(func(v *Verdicts) { v.Origin.Member = "" }), ErrBadName},
		{"long member name", verdict(func(v *Verdicts) { v.Origin.Member = strings.Repeat("m", MaxMember+1) }), ErrBadName},
		{"no service name", row(func(r *ReportRow) { r.Service = "" }), ErrBadName},
		{"huge service name", row(func(r *ReportRow) { r.Service = strings.Repeat("s", 9999) }), ErrBadName},
		{"service name not UTF-8", row(func(r *ReportRow) { r.Service = "\xc3" }), ErrBadName},
		{"long endpoint name", row(func(r *ReportRow) { r.Endpoint = strings.Repeat("e", coord.MaxName+1) }), ErrBadName},
		{"negative age", verdict(func(v *Verdicts) { v.Age = -1 }), ErrBadValue},
		{"negative duration", row(func(r *ReportRow) { r.L0 = -1 }), ErrBadValue},
		{"negative sum", row(func(r *ReportRow) { r.Tagged.OKLatency = -time.Hour }), ErrBadValue},
		{"negative pushback", row(func(r *ReportRow) { r.Pushback.Left = -1 }), ErrBadValue},
		{"mode", verdict(func(v *Verdicts) { v.Rows[0].Mode = 3 }), ErrBadValue},
		{"state", verdict(func(v *Verdicts) { v.Rows[0].State = 3 }), ErrBadValue},
	}
	next := func() uint64 { return 1 }
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dst := []byte("before")
			var err, splitErr error
			if tt.in.Kind == KindReport {
				dst, err = AppendReport(dst, tt.in.Report)
				_, splitErr = SplitReport(tt.in.Report, next)
			} else {
				dst, err = AppendVerdicts(dst, tt.in.Verdicts)
				_, splitErr = SplitVerdicts(tt.in.Verdicts, next)
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("Append: %v, want %v", err, tt.want)
			}
			if string(dst) != "before" {
				t.Errorf("Append returned %q with an error", dst)
			}
			if tt.want == ErrTooLarge || tt.want == ErrTooManyRows {
				tt.want = nil
			}
			if !errors.Is(splitErr, tt.want) {
				t.Errorf("Split: %v, want %v", splitErr, tt.want)
			}
		})
	}
}

func TestErrorText(t *testing.T) {
	if got, want := ErrTooLarge.Error(), "wire: too-large"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	_, err := AppendReport(nil, &Report{Origin: Origin{Member: "m"}, Rows: []ReportRow{{Service: "s"}}})
	if got, want := err.Error(), "wire: bad-name: row 0: endpoint is empty"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if errors.Is(err, ErrBadValue) || errors.Is(ErrBadName, err) {
		t.Error("different errors are taken for the same")
	}
	if got := ErrorKind(NumErrorKinds).String(); got != "unknown" {
		t.Errorf("kind beyond the last is %q", got)
	}
}
