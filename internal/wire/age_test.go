package wire

import (
	"reflect"
	"testing"
	"time"
)

func TestSetAge(t *testing.T) {
	v := typicalVerdicts()
	b := mustEncode(t, Message{Kind: KindVerdicts, Verdicts: v})
	for _, tt := range []struct{ set, want time.Duration }{
		{0, 0},
		{-time.Hour, 0},
		{999 * us, 0},
		{1500*ms + 999*us, 1500 * ms},
		{MaxAge, MaxAge},
		{MaxAge + 1, MaxAge},
		{1<<63 - 1, MaxAge},
	} {
		if !SetAge(b, tt.set) {
			t.Fatalf("SetAge(%v) refused", tt.set)
		}
		if got, ok := Age(b); !ok || got != tt.want {
			t.Errorf("SetAge(%v): Age is %v, %v; want %v", tt.set, got, ok, tt.want)
		}
		v.Age = tt.want
		if m, err := Decode(b); err != nil || !reflect.DeepEqual(m.Verdicts, v) {
			t.Errorf("SetAge(%v): decoded %+v, error %v", tt.set, m.Verdicts, err)
		}
	}
	for name, b := range map[string][]byte{
		"nothing": nil,
		"short":   b[:headerSize+ageSize-1],
		"report":  mustEncode(t, Message{Kind: KindReport, Report: typicalReport(1)}),
		"future":  message(KindVerdicts, Version+1, origin),
	} {
		before := string(b)
		if SetAge(b, time.Second) {
			t.Errorf("%s: SetAge accepted it", name)
		}
		if _, ok := Age(b); ok {
			t.Errorf("%s: Age accepted it", name)
		}
		if string(b) != before {
			t.Errorf("%s: SetAge changed it", name)
		}
	}
}
