package wire

import (
	"encoding/hex"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

var update = flag.Bool("update", false, "rewrite the golden files of the current version")

const (
	us = time.Microsecond
	ms = time.Millisecond
)

func typicalReport(rows int) *Report {
	r := &Report{Origin: Origin{Member: "web-7f9c-k2x4q", Incarnation: 1, Seq: 48231}}
	for i := range rows {
		r.Rows = append(r.Rows, ReportRow{
			Service: "payments",
			Health:  255,
			L0:      11840 * us,
			Sample: coord.Sample{
				Endpoint: fmt.Sprintf("10.4.17.%d:8443", 100+i),
				Phi:      coord.PhiFull,
				Tag:      3,
				Timeout:  time.Second,
				Totals: coord.Totals{
					Demand: 812345, OK: 811002, OKLatency: 9_718_334_201 * us,
					FailSlow: 941, FailFast: 377, Retries: 1204, RetriesOK: 1077,
				},
				Tagged: coord.TagCounts{
					Sent: 51230, OK: 51201, OKLatency: 612_004_113 * us, FailSlow: 12, FailFast: 9,
				},
			},
		})
	}
	return r
}

func typicalVerdicts() *Verdicts {
	return &Verdicts{
		Origin: Origin{Member: "web-7f9c-k2x4q", Incarnation: 1, Seq: 977},
		Age:    1234 * ms,
		Rows: []VerdictRow{
			{
				Service: "payments", Endpoint: "10.4.17.100:8443", Phi: 16384, Mode: coord.RetryNone, State: Dim,
				L0: 11840 * us, Thr: 111840 * us, Latency: 402113 * us, Window: 5 * time.Second,
				Demand: 1_204_250, Reporters: 41, Failures: 3120, Outcomes: 4417,
			},
			{
				Service: "payments", Endpoint: "10.4.17.101:8443", Phi: coord.PhiFull, Mode: coord.RetryRatio, State: NotLoad,
				L0: 9001 * us, Thr: 99010 * us, Latency: 9100 * us, Window: 5 * time.Second,
				Demand: 980_000, Reporters: 40, Failures: 310, Outcomes: 4800,
			},
			{Service: "search", Endpoint: "east", Phi: coord.PhiFull},
		},
	}
}

// pushedReport and pushedVerdicts have rows with all, some and none of the
// optional fields.
func pushedReport() *Report {
	r := typicalReport(3)
	r.Rows[0].Pushback = coord.Pushback{Left: 9750 * ms, Ago: 250 * ms}
	r.Rows[1].Pushback = coord.Pushback{Left: 2 * time.Second}
	return r
}

func pushedVerdicts() *Verdicts {
	v := typicalVerdicts()
	v.Rows[0].Failing, v.Rows[0].Pushback = 37, 8250*ms
	v.Rows[1].Failing = 12
	v.Rows[2].Pushback = 30 * time.Second
	return v
}

// largestVerdictRow has every field at its longest.
func largestVerdictRow() VerdictRow {
	row := VerdictRow{
		Service: strings.Repeat("s", coord.MaxName), Endpoint: strings.Repeat("e", coord.MaxName), Mode: coord.RetryNone, State: Dim,
		L0: MaxSpan, Thr: MaxSpan, Latency: MaxSpan, Window: MaxSpan,
		Demand: MaxCount, Reporters: MaxCount, Failures: MaxCount, Outcomes: MaxCount, Failing: MaxCount, Pushback: MaxSpan,
		Good: maxRate / 1000,
	}
	for i := range MaxZones {
		row.Zones = append(row.Zones, ZoneShare{strings.Repeat("z", coord.MaxName-1) + string(rune('a'+i)), 255, maxRate / 1000})
	}
	return row
}

// largestReportRow has every field at its longest.
func largestReportRow() ReportRow {
	return ReportRow{
		Service: strings.Repeat("s", coord.MaxName),
		L0:      MaxSpan,
		Sample: coord.Sample{
			Endpoint: strings.Repeat("e", coord.MaxName),
			Tag:      1<<64 - 1,
			Timeout:  MaxSpan,
			Totals: coord.Totals{
				Demand: MaxCount, OK: MaxCount, OKLatency: MaxSum,
				FailSlow: MaxCount, FailFast: MaxCount, Retries: MaxCount, RetriesOK: MaxCount,
			},
			Tagged: coord.TagCounts{
				Sent: MaxCount, OK: MaxCount, OKLatency: MaxSum, FailSlow: MaxCount, FailFast: MaxCount,
			},
		},
	}
}

func largestPushedRow() ReportRow {
	row := largestReportRow()
	row.Pushback = coord.Pushback{Left: MaxSpan, Ago: MaxSpan}
	return row
}

func longestVerdictRow() VerdictRow {
	row := largestVerdictRow()
	row.Policy, row.Drift = math.MaxUint32, MaxCount
	return row
}

func longestReportRow() ReportRow {
	row := largestPushedRow()
	row.Flow = coord.Flow{Sent: MaxCount, Need: MaxCount, Strained: MaxCount}
	row.Place = coord.Place{Zone: strings.Repeat("z", coord.MaxName), Away: true, Capacity: maxRate / 1000}
	row.Policy = math.MaxUint32
	return row
}

// policyReport and policyVerdicts have rows with a policy after all, some and none of
// the fields before it.
func policyReport() *Report {
	r := typicalReport(4)
	r.Rows[0].Policy = 0xfeedface
	r.Rows[1].Policy, r.Rows[1].Place.Zone = 1, "east\x00"
	r.Rows[2].Place.Zone = "east\x00"
	return r
}

func policyVerdicts() *Verdicts {
	v := pushedVerdicts()
	v.Rows[0].Policy, v.Rows[0].Drift = 0xfeedface, 3
	v.Rows[1].Policy, v.Rows[1].Zones = 1, []ZoneShare{{Name: "east"}}
	v.Rows[2].Zones = []ZoneShare{{Name: "east"}}
	return v
}

var largestOrigin = Origin{Member: strings.Repeat("m", MaxMember), Incarnation: 1<<64 - 1, Seq: 1<<64 - 1}

func goldenMessages() map[string]Message {
	several := typicalReport(3)
	several.Rows[1].Service = "search"
	several.Rows[2].Service = "payments" // costs its name again
	several.Rows[2].Phi, several.Rows[2].Health = 655, 128
	report := func(r *Report) Message { return Message{Kind: KindReport, Report: r} }
	verdicts := func(v *Verdicts) Message { return Message{Kind: KindVerdicts, Verdicts: v} }
	return map[string]Message{
		"report":          report(typicalReport(2)),
		"report-services": report(several),
		"report-empty":    report(&Report{Origin: Origin{Member: "m"}}),
		"report-largest":  report(&Report{Origin: largestOrigin, Rows: []ReportRow{largestReportRow()}}),
		"report-pushed":   report(pushedReport()),
		"report-longest":  report(&Report{Origin: largestOrigin, Rows: []ReportRow{largestPushedRow()}}),
		"report-zero-row": report(&Report{Origin: Origin{Member: "m"}, Rows: []ReportRow{{Service: "s", Sample: coord.Sample{Endpoint: "é"}}}}),
		"verdicts":        verdicts(typicalVerdicts()),
		"verdicts-pushed": verdicts(pushedVerdicts()),
		"verdicts-empty":  verdicts(&Verdicts{Origin: Origin{Member: "m"}}),
		"verdicts-zones": verdicts(&Verdicts{Origin: typicalVerdicts().Origin, Rows: []VerdictRow{
			{Service: "payments", Endpoint: "east", Phi: coord.PhiFull, Good: 812.5, Zones: []ZoneShare{
				{Name: "", Sigma: 12}, {Name: "east", Memory: 640.125}, {Name: "west", Sigma: 255},
			}},
			{Service: "payments", Endpoint: "west", Phi: coord.PhiFull, Good: 90},
		}}),
		"verdicts-largest": verdicts(&Verdicts{Origin: largestOrigin, Age: MaxAge, Rows: []VerdictRow{largestVerdictRow()}}),
		"report-zone": report(&Report{Origin: Origin{Member: "m"}, Rows: []ReportRow{
			{Service: "s", Health: 255, Sample: coord.Sample{Endpoint: "e", Phi: coord.PhiFull, Flow: coord.Flow{Sent: 7, Need: 2, Strained: 1}, Place: coord.Place{Zone: "z", Away: true, Capacity: 400}}},
			{Service: "s", Health: 255, Sample: coord.Sample{Endpoint: "f", Phi: coord.PhiFull, Flow: coord.Flow{Sent: 7}}},
		}}),
		"report-policy": report(policyReport()),
		"report-ordered": report(&Report{Origin: Origin{Member: "m"}, Rows: []ReportRow{
			{Service: "s", Health: 255, Sample: coord.Sample{Endpoint: "e", Ordered: true}},
			{Service: "s", Health: 255, Policy: 7, Sample: coord.Sample{Endpoint: "f", Phi: coord.PhiFull, Ordered: true, Place: coord.Place{Zone: "east\x00"}}},
		}}),
		"verdicts-policy":  verdicts(policyVerdicts()),
		"report-full":      report(&Report{Origin: largestOrigin, Rows: []ReportRow{longestReportRow()}}),
		"verdicts-full":    verdicts(&Verdicts{Origin: largestOrigin, Age: MaxAge, Rows: []VerdictRow{longestVerdictRow()}}),
		"ask":              {Kind: KindAsk, Loan: &Loan{Origin: typicalVerdicts().Origin, Service: "payments", Nonce: 0xfeedfacecafebeef}},
		"loan":             {Kind: KindLoan, Loan: &Loan{Origin: typicalVerdicts().Origin, Service: "payments", Nonce: 0xfeedfacecafebeef, Amount: MaxLoan / 3}},
		"loan-largest":     {Kind: KindLoan, Loan: &Loan{Origin: largestOrigin, Service: strings.Repeat("s", coord.MaxName), Nonce: 1<<64 - 1, Amount: MaxLoan}},
		"loan-empty":       {Kind: KindLoan, Loan: &Loan{Origin: Origin{Member: "m"}, Service: "s"}},
		"verdicts-max-age": verdicts(&Verdicts{Origin: Origin{Member: "m"}, Age: MaxAge, Rows: []VerdictRow{{Service: "s", Endpoint: "e"}}}),
	}
}

// encode encodes whichever message m is.
func encode(m Message) ([]byte, error) { return appendMessage(nil, m) }

func appendMessage(dst []byte, m Message) ([]byte, error) {
	switch m.Kind {
	case KindReport:
		return AppendReport(dst, m.Report)
	case KindAsk:
		return AppendAsk(dst, m.Loan)
	case KindLoan:
		return AppendLoan(dst, m.Loan)
	}
	return AppendVerdicts(dst, m.Verdicts)
}

func mustEncode(t testing.TB, m Message) []byte {
	t.Helper()
	b, err := encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestGolden pins the bytes of version 1: a build that writes other bytes, or
// reads these differently, cannot share a cluster with those in the field.
func TestGolden(t *testing.T) {
	dir := filepath.Join("testdata", fmt.Sprintf("v%d", Version))
	for name, m := range goldenMessages() {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(dir, name+".hex")
			got := mustEncode(t, m)
			if *update {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(hexLines(got)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want := readHex(t, file)
			if string(got) != string(want) {
				t.Errorf("encoded\n%swant\n%s", hexLines(got), hexLines(want))
			}
			back, skipped, err := decode(want)
			if err != nil || skipped {
				t.Fatalf("decode: skipped %v, error %v", skipped, err)
			}
			if !reflect.DeepEqual(back, m) {
				t.Errorf("decoded %+v\nwant %+v", back, m)
			}
		})
	}
}

func hexLines(b []byte) string {
	var s strings.Builder
	for len(b) > 0 {
		n := min(32, len(b))
		fmt.Fprintf(&s, "%x\n", b[:n])
		b = b[n:]
	}
	return s.String()
}

func readHex(t testing.TB, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRowSize holds the size that the traffic estimates rest on.
func TestRowSize(t *testing.T) {
	two := len(mustEncode(t, Message{Kind: KindReport, Report: typicalReport(2)}))
	four := len(mustEncode(t, Message{Kind: KindReport, Report: typicalReport(4)}))
	if row := (four - two) / 2; row < 40 || row > 60 {
		t.Errorf("a typical report row has %d bytes, want 40 to 60", row)
	}
}
