package wire

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// Generators of values that need no rounding or clamping. Few service names, so
// that neighbours often share one.

func genName(limit int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		if s := rapid.StringN(1, limit, limit).Draw(t, "name"); s != "" && len(s) <= limit {
			return strings.ToValidUTF8(s, "?")
		}
		return "x"
	})
}

func genService() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom([]string{"a", "payments", "search"}), genName(coord.MaxName))
}

func genDuration(limit time.Duration) *rapid.Generator[time.Duration] {
	return rapid.Map(rapid.Int64Range(0, int64(limit/us)), func(n int64) time.Duration { return time.Duration(n) * us })
}

// perhaps is zero half of the time, as optional fields are.
func perhaps[T any](g *rapid.Generator[T]) *rapid.Generator[T] {
	var zero T
	return rapid.OneOf(rapid.Just(zero), g)
}

func genOrigin(t *rapid.T) Origin {
	return Origin{
		Member:      genName(MaxMember).Draw(t, "member"),
		Incarnation: rapid.Uint64().Draw(t, "incarnation"),
		Seq:         rapid.Uint64().Draw(t, "seq"),
	}
}

func genZone() *rapid.Generator[string] {
	return rapid.OneOf(rapid.Just(""), genName(coord.MaxName))
}

func genRate() *rapid.Generator[float64] {
	return rapid.Map(perhaps(rapid.Uint64Range(0, maxRate)), func(v uint64) float64 { return float64(v) / 1000 })
}

// genZones is a list of two at most, so that three of the largest rows fit.
func genZones() *rapid.Generator[[]ZoneShare] {
	return rapid.Custom(func(t *rapid.T) (l []ZoneShare) {
		names := rapid.SliceOfNDistinct(genZone(), 0, 2, rapid.ID[string]).Draw(t, "names")
		slices.Sort(names)
		for _, name := range names {
			l = append(l, ZoneShare{name, coord.Share(rapid.Uint8().Draw(t, "sigma")), genRate().Draw(t, "memory")})
		}
		return l
	})
}

func genReport(rows int) *rapid.Generator[*Report] {
	count, sum, span := rapid.Uint64Range(0, MaxCount), genDuration(MaxSum), genDuration(MaxSpan)
	row := rapid.Custom(func(t *rapid.T) ReportRow {
		return ReportRow{
			Service: genService().Draw(t, "service"),
			Health:  rapid.Uint8().Draw(t, "health"),
			Policy:  perhaps(rapid.Uint32()).Draw(t, "policy"),
			L0:      span.Draw(t, "L0"),
			Sample: coord.Sample{
				Endpoint: genName(coord.MaxName).Draw(t, "endpoint"),
				Ordered:  rapid.Bool().Draw(t, "ordered"),
				Phi:      coord.Phi(rapid.Uint16().Draw(t, "phi")),
				Tag:      rapid.Uint64().Draw(t, "tag"),
				Timeout:  span.Draw(t, "timeout"),
				Totals: coord.Totals{
					Demand: count.Draw(t, "demand"), OK: count.Draw(t, "ok"), OKLatency: sum.Draw(t, "latency"),
					FailSlow: count.Draw(t, "slow"), FailFast: count.Draw(t, "fast"),
					Retries: count.Draw(t, "retries"), RetriesOK: count.Draw(t, "retriesOK"),
				},
				Tagged: coord.TagCounts{
					Sent: count.Draw(t, "sent"), OK: count.Draw(t, "taggedOK"), OKLatency: sum.Draw(t, "taggedLatency"),
					FailSlow: count.Draw(t, "taggedSlow"), FailFast: count.Draw(t, "taggedFast"),
				},
				Pushback: coord.Pushback{Left: perhaps(span).Draw(t, "pushback"), Ago: perhaps(span).Draw(t, "ago")},
				Flow:     coord.Flow{Sent: perhaps(count).Draw(t, "attempts"), Need: perhaps(count).Draw(t, "need"), Strained: perhaps(count).Draw(t, "strained")},
				Place:    coord.Place{Zone: genZone().Draw(t, "zone"), Away: rapid.Bool().Draw(t, "away"), Capacity: genRate().Draw(t, "capacity")},
			},
		}
	})
	return rapid.Custom(func(t *rapid.T) *Report {
		return &Report{Origin: genOrigin(t), Rows: orNil(rapid.SliceOfN(row, 0, rows).Draw(t, "rows"))}
	})
}

func genVerdicts(rows int) *rapid.Generator[*Verdicts] {
	count, span := rapid.Uint64Range(0, MaxCount), genDuration(MaxSpan)
	row := rapid.Custom(func(t *rapid.T) VerdictRow {
		return VerdictRow{
			Service:  genService().Draw(t, "service"),
			Endpoint: genName(coord.MaxName).Draw(t, "endpoint"),
			Phi:      coord.Phi(rapid.Uint16().Draw(t, "phi")),
			Mode:     coord.Mode(rapid.Uint8Range(0, 2).Draw(t, "mode")),
			State:    State(rapid.Uint8Range(0, 2).Draw(t, "state")),
			L0:       span.Draw(t, "L0"), Thr: span.Draw(t, "thr"),
			Latency: span.Draw(t, "latency"), Window: span.Draw(t, "window"),
			Demand: count.Draw(t, "demand"), Reporters: count.Draw(t, "reporters"),
			Failures: count.Draw(t, "failures"), Outcomes: count.Draw(t, "outcomes"),
			Failing: perhaps(count).Draw(t, "failing"), Pushback: perhaps(span).Draw(t, "pushback"),
			Good: genRate().Draw(t, "good"), Zones: genZones().Draw(t, "zones"),
			Policy: perhaps(rapid.Uint32()).Draw(t, "policy"), Drift: perhaps(count).Draw(t, "drift"),
		}
	})
	return rapid.Custom(func(t *rapid.T) *Verdicts {
		return &Verdicts{
			Origin: genOrigin(t),
			Age:    time.Duration(rapid.Uint32().Draw(t, "age")) * ms,
			Rows:   orNil(rapid.SliceOfN(row, 0, rows).Draw(t, "rows")),
		}
	})
}

// orNil makes an empty slice nil, as Decode does.
func orNil[R any](rows []R) []R {
	if len(rows) == 0 {
		return nil
	}
	return rows
}

// genTable is a message with rows.
func genTable(rows int) *rapid.Generator[Message] {
	return rapid.OneOf(
		rapid.Map(genReport(rows), func(r *Report) Message { return Message{Kind: KindReport, Report: r} }),
		rapid.Map(genVerdicts(rows), func(v *Verdicts) Message { return Message{Kind: KindVerdicts, Verdicts: v} }),
	)
}

func genMessage(rows int) *rapid.Generator[Message] {
	return rapid.OneOf(
		genTable(rows),
		rapid.Custom(func(t *rapid.T) Message {
			l := &Loan{
				Origin:  genOrigin(t),
				Service: genName(coord.MaxName).Draw(t, "service"),
				Nonce:   rapid.Uint64().Draw(t, "nonce"),
			}
			if rapid.Bool().Draw(t, "ask") {
				return Message{Kind: KindAsk, Loan: l}
			}
			l.Amount = rapid.Uint64Range(0, MaxLoan).Draw(t, "amount")
			return Message{Kind: KindLoan, Loan: l}
		}),
	)
}

// TestRoundTrip: guarantees 1 and 2 of the package, and that what is before the
// message stays.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := genMessage(3).Draw(t, "message") // three of the largest rows fit
		b, err := encode(m)
		if err != nil {
			t.Fatal(err)
		}
		back, skipped, err := decode(b)
		if err != nil || skipped {
			t.Fatalf("decode: skipped %v, error %v", skipped, err)
		}
		if !reflect.DeepEqual(back, m) {
			t.Fatalf("decoded %+v\nwant %+v", back, m)
		}
		again, err := encode(back)
		if err != nil || string(again) != string(b) {
			t.Fatalf("encoded again: %x, error %v\nwant %x", again, err, b)
		}
	})
}

// TestAppend: Append appends, and to a slice with room it writes the same.
func TestAppend(t *testing.T) {
	for name, m := range goldenMessages() {
		want := "before" + string(mustEncode(t, m))
		dst, err := appendMessage(append(make([]byte, 0, 4096), "before"...), m)
		if err != nil || string(dst) != want {
			t.Errorf("%s: got %x, error %v\nwant %x", name, dst, err, want)
		}
	}
}

// TestSplit: every part is a complete message within the limits, with a
// sequence number of its own; together they have all rows in order; and no part
// had room for the first row of the next.
func TestSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := genTable(90).Draw(t, "message")
		seq := rapid.Uint64().Draw(t, "before the first seq")
		next := func() uint64 { seq++; return seq }
		want := seq
		var parts [][]byte
		var err error
		if m.Kind == KindReport {
			parts, err = SplitReport(m.Report, next)
		} else {
			parts, err = SplitVerdicts(m.Verdicts, next)
		}
		if err != nil {
			t.Fatal(err)
		}
		var reportRows []ReportRow
		var verdictRows []VerdictRow
		var last Message
		for i, part := range parts {
			if len(part) > MaxMessage {
				t.Fatalf("part %d has %d bytes", i, len(part))
			}
			got, err := Decode(part)
			if err != nil || got.Kind != m.Kind {
				t.Fatalf("part %d: kind %d, error %v", i, got.Kind, err)
			}
			want++
			if m.Kind == KindReport {
				checkOrigin(t, got.Report.Origin, m.Report.Origin, want)
				reportRows = append(reportRows, got.Report.Rows...)
				if i > 0 {
					last.Report.Rows = append(last.Report.Rows, got.Report.Rows[0])
				}
			} else {
				checkOrigin(t, got.Verdicts.Origin, m.Verdicts.Origin, want)
				if got.Verdicts.Age != m.Verdicts.Age {
					t.Fatalf("part %d: age %v, want %v", i, got.Verdicts.Age, m.Verdicts.Age)
				}
				verdictRows = append(verdictRows, got.Verdicts.Rows...)
				if i > 0 {
					last.Verdicts.Rows = append(last.Verdicts.Rows, got.Verdicts.Rows[0])
				}
			}
			if i > 0 {
				if b, err := encode(last); err == nil {
					t.Fatalf("part %d had room for one row more: %d bytes", i-1, len(b))
				}
			}
			last = got
		}
		if seq != want {
			t.Fatalf("nextSeq was called %d times too often", seq-want)
		}
		if m.Kind == KindReport && !reflect.DeepEqual(reportRows, m.Report.Rows) ||
			m.Kind == KindVerdicts && !reflect.DeepEqual(verdictRows, m.Verdicts.Rows) {
			t.Fatal("the parts together have other rows than the whole")
		}
	})
}

func checkOrigin(t *rapid.T, got, want Origin, seq uint64) {
	want.Seq = seq
	if got != want {
		t.Fatalf("origin %+v, want %+v", got, want)
	}
}

// TestLargestRowFits is what Split relies on: any one row fits a message.
func TestLargestRowFits(t *testing.T) {
	r := &Report{Origin: largestOrigin, Rows: []ReportRow{longestReportRow()}}
	v := &Verdicts{Origin: largestOrigin, Age: MaxAge, Rows: []VerdictRow{longestVerdictRow()}}
	t.Logf("the largest verdict: %d bytes", len(mustEncode(t, Message{Kind: KindVerdicts, Verdicts: v})))
	b := mustEncode(t, Message{Kind: KindReport, Report: r})
	t.Logf("the largest report: %d bytes", len(b))
}
