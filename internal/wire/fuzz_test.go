package wire

import (
	"errors"
	"reflect"
	"testing"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// FuzzDecode: arbitrary bytes neither panic nor cost more memory than allowed,
// and what is accepted encodes again: to the same bytes when all was known, to
// the same value otherwise.
func FuzzDecode(f *testing.F) {
	for _, m := range goldenMessages() {
		f.Add(mustEncode(f, m))
	}
	f.Add(verdicts(origin, service("s", append(verdictRow("e"), 1, 2)), section(9, 1)))
	f.Add(verdicts(origin, service("s", append(verdictRow("e"), 1, 0))))
	f.Add(verdicts(origin, service("s", append(verdictRow("e"), 0, 0, 3))))
	f.Add(verdicts(origin, service("s", append(verdictRow("e"), 0, 0, 0, 1, 1, 'z', 0, 0, 5, 6))))
	f.Add(verdicts(origin, service("s", goodRow), service("t", goodRow, goodRow)))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, skipped, err := decode(b)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || int(e.Kind) >= NumErrorKinds || m != (Message{}) {
				t.Fatalf("message %+v, error %#v", m, err)
			}
			return
		}
		if held := footprint(m); held > allocBound(len(b)) {
			t.Fatalf("%d bytes held for %d", held, len(b))
		}
		again, err := encode(m)
		if err != nil {
			t.Fatalf("cannot encode what was decoded: %v", err)
		}
		if !skipped {
			if string(again) != string(b) {
				t.Fatalf("encoded again\n%xwant\n%x", again, b)
			}
			return
		}
		back, skipped, err := decode(again)
		if err != nil || skipped || !reflect.DeepEqual(back, m) {
			t.Fatalf("decoded again %+v, skipped %v, error %v\nwant %+v", back, skipped, err, m)
		}
	})
}

// footprint is the memory that a message holds.
func footprint(m Message) uint64 {
	var n uintptr
	if r := m.Report; r != nil {
		n += unsafe.Sizeof(*r) + uintptr(cap(r.Rows))*unsafe.Sizeof(ReportRow{}) + uintptr(len(r.Origin.Member))
		for _, row := range r.Rows {
			n += uintptr(len(row.Endpoint))
		}
	}
	if v := m.Verdicts; v != nil {
		n += unsafe.Sizeof(*v) + uintptr(cap(v.Rows))*unsafe.Sizeof(VerdictRow{}) + uintptr(len(v.Origin.Member))
		for _, row := range v.Rows {
			n += uintptr(len(row.Endpoint)) + uintptr(cap(row.Zones))*unsafe.Sizeof(ZoneShare{})
			for _, z := range row.Zones {
				n += uintptr(len(z.Name))
			}
		}
	}
	if l := m.Loan; l != nil {
		n += unsafe.Sizeof(*l) + uintptr(len(l.Origin.Member)+len(l.Service))
	}
	return uint64(n)
}

// FuzzRoundTrip: a message either cannot be sent for a reason that the
// documentation names, or arrives as it was.
func FuzzRoundTrip(f *testing.F) {
	f.Add("member", "s", "t", "e", uint64(1), uint64(2), int64(3), int64(4), uint16(65535), uint8(255), uint8(1))
	f.Add("", "s", "s", "\xff", uint64(1)<<60, uint64(1)<<63, int64(-1), int64(1)<<62, uint16(0), uint8(0), uint8(9))
	f.Add("m", "s", "s", "e", uint64(0), uint64(127), int64(1000), int64(1999), uint16(65534), uint8(128), uint8(2))
	f.Fuzz(func(t *testing.T, member, s1, s2, endpoint string, x, y uint64, d1, d2 int64, phi uint16, health, small uint8) {
		o := Origin{Member: member, Incarnation: x, Seq: y}
		a, b := time.Duration(d1), time.Duration(d2)
		sample := coord.Sample{
			Endpoint: endpoint, Phi: coord.Phi(phi), Tag: y, Timeout: a,
			Totals:   coord.Totals{Demand: x, OK: y, OKLatency: b, FailSlow: x, FailFast: y, Retries: x, RetriesOK: y},
			Tagged:   coord.TagCounts{Sent: x, OK: y, OKLatency: a, FailSlow: x, FailFast: y},
			Pushback: coord.Pushback{Left: a, Ago: b},
			Ordered:  x&1 == 1,
		}
		roundTrip(t, Message{Kind: KindReport, Report: &Report{Origin: o, Rows: []ReportRow{
			{Service: s1, Health: health, Policy: uint32(x), L0: a, Sample: sample},
			{Service: s2, Health: health, L0: b, Sample: sample},
		}}}, sendable(member, s1, s2, endpoint) && a >= 0 && b >= 0)

		row := VerdictRow{
			Endpoint: endpoint, Phi: coord.Phi(phi), Mode: coord.Mode(small & 15), State: State(small >> 4),
			L0: a, Thr: b, Latency: a, Window: b, Demand: x, Reporters: y, Failures: x, Outcomes: y,
			Failing: y, Pushback: b, Policy: uint32(y), Drift: x,
		}
		v := &Verdicts{Origin: o, Age: b, Rows: []VerdictRow{row, row}}
		v.Rows[0].Service, v.Rows[1].Service = s1, s2
		roundTrip(t, Message{Kind: KindVerdicts, Verdicts: v},
			sendable(member, s1, s2, endpoint) && a >= 0 && b >= 0 && row.Mode <= coord.RetryNone && row.State <= Dim)

		roundTrip(t, Message{Kind: KindAsk, Loan: &Loan{Origin: o, Service: s1, Nonce: x}}, sendable(member, s1))
		roundTrip(t, Message{Kind: KindLoan, Loan: &Loan{Origin: o, Service: s2, Nonce: x, Amount: y}}, sendable(member, s2) && y <= MaxLoan)
	})
}

func sendable(member string, names ...string) bool {
	ok := member != "" && len(member) <= MaxMember && utf8.ValidString(member)
	for _, s := range names {
		ok = ok && s != "" && len(s) <= coord.MaxName && utf8.ValidString(s)
	}
	return ok
}

func roundTrip(t *testing.T, m Message, ok bool) {
	t.Helper()
	b, err := encode(m)
	if !ok {
		if !errors.Is(err, ErrBadName) && !errors.Is(err, ErrBadValue) {
			t.Fatalf("error %v for %+v", err, m)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	back, skipped, err := decode(b)
	if err != nil || skipped {
		t.Fatalf("decode: skipped %v, error %v", skipped, err)
	}
	if want := onWire(m); !reflect.DeepEqual(back, want) {
		t.Fatalf("decoded %+v\nwant %+v", back, want)
	}
}

// onWire rounds and clamps as guarantee 1 says, in place.
func onWire(m Message) Message {
	span := func(limit time.Duration, ds ...*time.Duration) {
		for _, d := range ds {
			*d = min(*d, limit).Truncate(us)
		}
	}
	count := func(cs ...*uint64) {
		for _, c := range cs {
			*c = min(*c, MaxCount)
		}
	}
	if r := m.Report; r != nil {
		for i := range r.Rows {
			row := &r.Rows[i]
			t, g := &row.Totals, &row.Tagged
			span(MaxSpan, &row.L0, &row.Timeout, &row.Pushback.Left, &row.Pushback.Ago)
			span(MaxSum, &t.OKLatency, &g.OKLatency)
			count(&t.Demand, &t.OK, &t.FailSlow, &t.FailFast, &t.Retries, &t.RetriesOK)
			count(&g.Sent, &g.OK, &g.FailSlow, &g.FailFast)
		}
	}
	if v := m.Verdicts; v != nil {
		v.Age = min(v.Age, MaxAge).Truncate(ms)
		for i := range v.Rows {
			row := &v.Rows[i]
			span(MaxSpan, &row.L0, &row.Thr, &row.Latency, &row.Window, &row.Pushback)
			count(&row.Demand, &row.Reporters, &row.Failures, &row.Outcomes, &row.Failing, &row.Drift)
		}
	}
	return m
}
