package wire

import (
	"reflect"
	"runtime"
	"slices"
	"testing"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// TestDecodeKeepsNothing overwrites the input after decoding.
func TestDecodeKeepsNothing(t *testing.T) {
	for name, want := range goldenMessages() {
		b := mustEncode(t, want)
		m, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		for i := range b {
			b[i] = '!'
		}
		if !reflect.DeepEqual(m, want) {
			t.Errorf("%s: the message changed with its input", name)
		}
	}
}

// allocBound is what decoding n bytes may allocate. The worst are rows of
// minimal length, each in a section of its own.
func allocBound(n int) uint64 { return 2048 + 32*uint64(n) }

func TestDecodeAllocations(t *testing.T) {
	var full, each Report
	full.Origin.Member, each.Origin.Member = "m", "m"
	row := ReportRow{Service: "s", Health: 255, Sample: coord.Sample{Endpoint: "e", Phi: coord.PhiFull}}
	for i := range 45 {
		each.Rows = append(each.Rows, row)
		each.Rows[i].Service = string(rune('a' + i%2))
	}
	full.Rows = slices.Repeat([]ReportRow{row}, 55)
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0x7f}
	for name, in := range map[string][]byte{
		"one service":        mustEncode(t, Message{Kind: KindReport, Report: &full}),
		"a service each row": mustEncode(t, Message{Kind: KindReport, Report: &each}),
		"most verdicts":      verdicts(origin, service("s", slices.Repeat([][]byte{goodRow}, MaxRows)...)),
		"too many verdicts":  verdicts(origin, service("s", slices.Repeat([][]byte{goodRow}, MaxRows+1)...)),
		"huge section":       report(origin, []byte{tagService}, huge),
		"huge row":           report(origin, section(tagService, append([]byte{1, 's'}, huge...)...)),
		"huge name":          report(section(tagOrigin, huge...)),
		"empty rows":         report(origin, section(tagService, append([]byte{1, 's'}, make([]byte, 1000)...)...)),
	} {
		const runs = 100
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			_, _ = Decode(in)
		}
		runtime.ReadMemStats(&after)
		got := (after.TotalAlloc - before.TotalAlloc) / runs
		if got > allocBound(len(in)) {
			t.Errorf("%s: %d bytes allocated for %d, want at most %d", name, got, len(in), allocBound(len(in)))
		}
		t.Logf("%s: %d bytes allocated for %d", name, got, len(in))
	}
}
