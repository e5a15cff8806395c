package wire

import "testing"

func BenchmarkAppendReport(b *testing.B) {
	r := typicalReport(4)
	buf := make([]byte, 0, MaxMessage)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := AppendReport(buf, r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeReport(b *testing.B) {
	in := mustEncode(b, Message{Kind: KindReport, Report: typicalReport(4)})
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if _, err := Decode(in); err != nil {
			b.Fatal(err)
		}
	}
}
