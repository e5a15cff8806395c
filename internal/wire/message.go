// Package wire is the format of what members tell each other. It knows no
// network and no clock: bytes to values and back.
//
// # Format
//
// A message is
//
//	report   = kind (1 byte) | version (1 byte) | section*
//	verdicts = kind (1 byte) | version (1 byte) | age (4 bytes) | section*
//	ask      = kind (1 byte) | version (1 byte) | section*
//	loan     = kind (1 byte) | version (1 byte) | section*
//	override = kind (1 byte) | version (1 byte) | what an operator has signed
//	section  = tag (uvarint) | length (uvarint) | payload
//
// where age is in milliseconds, big endian, at a fixed place so that a relay
// can add to it without decoding the rest. The sections are:
//
//	1 origin   member | incarnation | seq
//	2 service  name | row row*
//	3 loan     name of a service | nonce | amount, in loans only
//	row        length (uvarint) | fields
//
// Every message but an override has one origin, reports and verdicts any number of service
// sections, asks and loans one loan section. The section carries
// the service's name for all of its rows; two neighbouring sections never name
// the same service. Rows keep their order, so rows of one service should be
// neighbours: a service that comes back after another costs its name again. The
// fields of a row are positional; row.go lists them.
//
// Numbers are canonical uvarints (the shortest form, at most 10 bytes), names
// are a length and that many bytes of UTF-8, durations are whole microseconds.
// Health and Phi travel as what they lack of their maximum, one byte while all
// is well. Fields of a row that came after the first release are optional: they
// are left out from the end as long as they are zero, and one that is missing is
// zero. A row that ends in an optional zero is refused, so that there is one form
// of every row, and what came before those fields is written as it always was.
//
// # Compatibility
//
// Sections come in ascending order of tag, and a decoder skips those whose tag
// it does not know; tag 0 is never used, so that zero padding is noticed. A
// newer version may add sections and may append fields to the origin and to a
// row; a decoder ignores what follows the fields it knows. A message whose
// version byte is above Version is refused as from the future, and that byte is
// only raised when old decoders must not read on.
//
// # Guarantees
//
//  1. Decoding what Append wrote gives the same value, but for durations, which
//     lose fractions of a microsecond (Age: of a millisecond), and for counts
//     and durations above their limit, which become the limit: a member must
//     not fall silent over one odd number.
//  2. Encoding what Decode accepted without unknown parts gives the same bytes.
//  3. Everything is bounded before anything is allocated: MaxMessage bytes a
//     message, MaxRows rows, names of 1 to coord.MaxName bytes (member names to
//     MaxMember), and each number by the limits below. Decode neither panics,
//     nor keeps its input, nor allocates more than a small multiple of it.
package wire

import (
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// Limits of a message.
const (
	Version    = 1
	MaxMessage = 1200 // bytes; larger ones would be dropped silently below us
	MaxRows    = 64   // rows in one message
	MaxMember  = 128  // bytes of a member name
	MaxZones   = 8    // zones of a verdict
)

// Limits of numbers. Incarnation, Seq and Tag only order things and have none.
const (
	// MaxCount leaves room to add up 255 counts without overflow.
	MaxCount = 1 << 56

	// MaxSpan, about 12.7 days, is the limit of a duration that was measured
	// or configured.
	MaxSpan = time.Microsecond << 40

	// MaxSum, about 285 years, is the limit of the summed latencies in
	// Totals and TagCounts, which grow as long as the process lives and by
	// many seconds a second. The difference of two always fits a Duration;
	// clamp differences before adding them up.
	MaxSum = time.Microsecond << 53

	// MaxAge, about 49.7 days, is the limit of Verdicts.Age.
	MaxAge = (1<<32 - 1) * time.Millisecond
)

// Kind says what a message is.
type Kind uint8

// The kinds of message.
const (
	KindReport   Kind = 1 // a member to the stewards of its services
	KindVerdicts Kind = 2 // a steward to everybody, or in answer to a report
	KindAsk      Kind = 3 // a member short of a retry to another one
	KindLoan     Kind = 4 // the answer
	KindOverride Kind = 5 // an operator to everybody; see Override
)

// Origin says who wrote a message, and orders the messages of one writer. A
// member is unique to one start of a process; Incarnation orders processes that
// share a name all the same.
type Origin struct {
	Member      string
	Incarnation uint64
	Seq         uint64
}

// Newer reports whether o was written after p by the same member.
func (o Origin) Newer(p Origin) bool {
	return o.Incarnation > p.Incarnation || o.Incarnation == p.Incarnation && o.Seq > p.Seq
}

// Report is what a member tells a steward: cumulative counters, so that a lost,
// late or repeated report changes nothing once a newer one has been heard. A
// report that does not fit one message is split; every part is complete in
// itself and has a sequence number of its own.
type Report struct {
	Origin Origin
	Rows   []ReportRow
}

// ReportRow is one endpoint's part of a report.
type ReportRow struct {
	Service string
	Health  uint8  // how far the member trusts its own view: 255 fully, 0 not at all
	Policy  uint32 // what it goes by in its calls of the service, 0 unknown
	L0      time.Duration
	coord.Sample
}

// Verdicts is what a steward tells of one or more endpoints.
type Verdicts struct {
	Origin Origin
	// Age is how long ago the rows were decided, in whole milliseconds. It
	// has a fixed width on the wire (see SetAge), so that a relay can add
	// the time it held the message.
	Age  time.Duration
	Rows []VerdictRow
}

// VerdictRow is a steward's decision about one endpoint.
type VerdictRow struct {
	Service   string
	Endpoint  string
	Phi       coord.Phi
	Mode      coord.Mode
	State     State
	Policy    uint32        // that of most who report on the service, told while there is another
	L0        time.Duration // healthy mean latency, 0 unknown
	Thr       time.Duration // above it a success is tight
	Latency   time.Duration // mean latency of the successes in the window
	Window    time.Duration // what Failures and Outcomes cover
	Demand    uint64        // first tries wanted, in thousandths a second
	Reporters uint64
	Failures  uint64
	Outcomes  uint64
	Failing   uint64        // members that failed in the window
	Pushback  time.Duration // how long retries are to wait, from when the row was decided
	Drift     uint64        // members that report on the service and have another Policy

	// The plan's part: the load that the endpoint has borne with ease, and what
	// concerns each zone, in order of their names.
	Good  float64
	Zones []ZoneShare
}

// ZoneShare is a zone's part of a verdict about an endpoint. Rates are a second,
// in thousandths on the wire.
type ZoneShare struct {
	Name   string
	Sigma  coord.Share // of what fails there may come here
	Memory float64     // first tries that it wants here at most, of a zone that is at home here
}

// State is a steward's state for one endpoint.
type State uint8

// The states of an endpoint.
const (
	Closed  State = iota // healthy
	NotLoad              // failing, but not for load: fewer retries, no dimming
	Dim                  // failing in a way that costs time: dimmed
)

func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case NotLoad:
		return "not-load"
	case Dim:
		return "dim"
	}
	return "unknown"
}

// From is the name of the member that wrote the message.
func (m *Message) From() string {
	switch {
	case m.Report != nil:
		return m.Report.Origin.Member
	case m.Verdicts != nil:
		return m.Verdicts.Origin.Member
	case m.Loan != nil:
		return m.Loan.Origin.Member
	}
	return ""
}

// Message is a decoded message: exactly one of the pointers is set, as Kind
// says. Asks and loans share one.
type Message struct {
	Kind     Kind
	Report   *Report
	Verdicts *Verdicts
	Loan     *Loan
}
