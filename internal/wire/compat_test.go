package wire

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// TestNewerMinor decodes what a newer version of the same major format may
// write: unknown sections, and longer rows and origins.
func TestNewerMinor(t *testing.T) {
	longOrigin := section(tagOrigin, 1, 'm', 5, 7, 0xde, 0xad)
	row := verdictRow("e", 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
	full := append(slices.Clone(row), 11, 12, 13, 1, 1, 'z', 100, 14, 15, 16)
	longRow := append(slices.Clone(full), 0xff, 0xff, 0xff)
	unknown := slices.Concat(section(9, 1, 2, 3), section(9), section(300, make([]byte, 200)...))
	want := &Verdicts{
		Origin: Origin{Member: "m", Incarnation: 5, Seq: 7},
		Rows: []VerdictRow{
			{
				Service: "s", Endpoint: "e", Phi: coord.PhiFull - 1, Mode: coord.RetryRatio, State: Dim,
				L0: 3 * us, Thr: 4 * us, Latency: 5 * us, Window: 6 * us,
				Demand: 7, Reporters: 8, Failures: 9, Outcomes: 10, Failing: 11, Pushback: 12 * us,
				Good: .013, Zones: []ZoneShare{{"z", 100, .014}}, Policy: 15, Drift: 16,
			},
			{Service: "s", Endpoint: "f", Phi: coord.PhiFull},
		},
	}
	plain := section(tagOrigin, 1, 'm', 5, 7)
	for name, in := range map[string][]byte{
		"longer origin":    verdicts(longOrigin, service("s", full, verdictRow("f"))),
		"longer row":       verdicts(plain, service("s", longRow, verdictRow("f"))),
		"unknown sections": verdicts(plain, service("s", full, verdictRow("f")), unknown),
		"all":              verdicts(longOrigin, service("s", longRow, append(verdictRow("f"), 0, 0, 0, 0, 0, 0, 1)), unknown),
	} {
		t.Run(name, func(t *testing.T) {
			m, skipped, err := decode(in)
			if err != nil {
				t.Fatal(err)
			}
			if !skipped {
				t.Error("nothing skipped")
			}
			if !reflect.DeepEqual(m.Verdicts, want) {
				t.Errorf("got %+v\nwant %+v", m.Verdicts, want)
			}
		})
	}
}

func TestNewerMinorReport(t *testing.T) {
	want := Message{Kind: KindReport, Report: typicalReport(1)}
	row := &writer{}
	want.Report.Rows[0].write(row)
	in := report(
		section(tagOrigin, append(block([]byte("web-7f9c-k2x4q")...), 1, 0xe7, 0xf8, 2, 99)...),
		service("payments", append(row.b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3)),
		section(77, 1),
	)
	m, skipped, err := decode(in)
	if err != nil || !skipped {
		t.Fatalf("skipped %v, error %v", skipped, err)
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got %+v\nwant %+v", m, want)
	}
}

// TestOlderMinor decodes rows as they were written before they had optional
// fields, and after they had the first of them.
func TestOlderMinor(t *testing.T) {
	for n, optional := range [][]byte{{}, {11}, {11, 12}, {0, 12}} {
		m, skipped, err := decode(verdicts(origin, service("s", append(verdictRow("e", 1), optional...))))
		if err != nil || skipped {
			t.Fatalf("%d: skipped %v, error %v", n, skipped, err)
		}
		want := VerdictRow{Service: "s", Endpoint: "e", Phi: coord.PhiFull - 1}
		if len(optional) > 0 {
			want.Failing = uint64(optional[0])
		}
		if len(optional) > 1 {
			want.Pushback = time.Duration(optional[1]) * us
		}
		if got := m.Verdicts.Rows[0]; !reflect.DeepEqual(got, want) {
			t.Errorf("%d: got %+v\nwant %+v", n, got, want)
		}
	}
}

// TestOlderZones decodes rows with zones as they were written before a policy came
// after them, and refuses those that end in a policy of zero or have half a zone.
func TestOlderZones(t *testing.T) {
	zones := append(verdictRow("e"), 0, 0, 0, 2, 1, 'y', 100, 14, 1, 'z', 0, 0)
	for name, c := range map[string]struct {
		row  []byte
		want VerdictRow
		ok   bool
	}{
		"no policy":      {zones, VerdictRow{}, true},
		"policy":         {append(slices.Clone(zones), 5), VerdictRow{Policy: 5}, true},
		"both":           {append(slices.Clone(zones), 5, 6), VerdictRow{Policy: 5, Drift: 6}, true},
		"drift":          {append(slices.Clone(zones), 0, 6), VerdictRow{Drift: 6}, true},
		"zero":           {append(slices.Clone(zones), 0), VerdictRow{}, false},
		"zeros":          {append(slices.Clone(zones), 5, 0), VerdictRow{}, false},
		"half a zone":    {zones[:len(zones)-1], VerdictRow{}, false},
		"a large policy": {append(slices.Clone(zones), 0x80, 0x80, 0x80, 0x80, 0x10), VerdictRow{}, false},
	} {
		m, skipped, err := decode(verdicts(origin, service("s", c.row)))
		if (err == nil) != c.ok || skipped {
			t.Errorf("%s: skipped %v, error %v", name, skipped, err)
		}
		if !c.ok {
			continue
		}
		want := c.want
		want.Service, want.Endpoint, want.Phi = "s", "e", coord.PhiFull
		want.Zones = []ZoneShare{{"y", 100, .014}, {"z", 0, 0}}
		if got := m.Verdicts.Rows[0]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v\nwant %+v", name, got, want)
		}
	}
}

// TestLimits: what is too large or too fine for the wire is written as the
// nearest value that fits.
func TestLimits(t *testing.T) {
	huge := time.Duration(1<<63 - 1)
	r := &Report{Origin: Origin{Member: "m"}, Rows: []ReportRow{{Service: "s", L0: 1999, Sample: coord.Sample{
		Endpoint: "e", Timeout: huge,
		Totals: coord.Totals{Demand: 1<<64 - 1, OKLatency: huge},
	}}}}
	m, err := Decode(mustEncode(t, Message{Kind: KindReport, Report: r}))
	if err != nil {
		t.Fatal(err)
	}
	got := m.Report.Rows[0]
	if got.L0 != 1*us || got.Timeout != MaxSpan || got.Totals.Demand != MaxCount || got.Totals.OKLatency != MaxSum {
		t.Errorf("got %+v", got)
	}
	v := &Verdicts{Origin: Origin{Member: "m"}, Age: huge}
	if m, err = Decode(mustEncode(t, Message{Kind: KindVerdicts, Verdicts: v})); err != nil || m.Verdicts.Age != MaxAge {
		t.Errorf("age %v, error %v", m.Verdicts.Age, err)
	}
}

// TestMinRows: the shortest rows are as short as countRows takes them to be.
func TestMinRows(t *testing.T) {
	var w writer
	(&ReportRow{Health: 255, Sample: coord.Sample{Endpoint: "e", Phi: coord.PhiFull}}).write(&w)
	if len(w.b) != minReportRow {
		t.Errorf("the shortest report row has %d bytes, not %d", len(w.b), minReportRow)
	}
	w.b = nil
	(&VerdictRow{Endpoint: "e", Phi: coord.PhiFull}).write(&w)
	if len(w.b) != minVerdictRow {
		t.Errorf("the shortest verdict row has %d bytes, not %d", len(w.b), minVerdictRow)
	}
}
