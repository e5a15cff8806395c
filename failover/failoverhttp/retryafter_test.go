package failoverhttp

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfterHeader(t *testing.T) {
	now := time.Date(2030, 5, 6, 7, 8, 9, 0, time.UTC)
	in := func(d time.Duration, layout string) string { return now.Add(d).Format(layout) }
	for _, tc := range []struct {
		value, date string
		limit       time.Duration
		want        time.Duration
		ok          bool
	}{
		{value: ""},
		{value: "0", ok: true},
		{value: "7", want: 7 * time.Second, ok: true},
		{value: " 7 ", want: 7 * time.Second, ok: true},
		{value: "007", want: 7 * time.Second, ok: true},
		{value: "-1"},
		{value: "+1"},
		{value: "1.5"},
		{value: "1e3"},
		{value: "soon"},
		{value: "31", want: 30 * time.Second, ok: true},
		{value: "9223372036854775807", want: 30 * time.Second, ok: true},
		{value: "99999999999999999999999999999999", want: 30 * time.Second, ok: true},
		{value: "7", limit: 5 * time.Second, want: 5 * time.Second, ok: true},
		{value: "7", limit: 1500 * time.Millisecond, want: 1500 * time.Millisecond, ok: true},
		{value: "31", limit: time.Hour, want: 30 * time.Second, ok: true},
		{value: "7", limit: -1},
		{value: in(9*time.Second, http.TimeFormat), want: 9 * time.Second, ok: true},
		{value: in(9*time.Second, "Monday, 02-Jan-06 15:04:05 GMT"), want: 9 * time.Second, ok: true},
		{value: in(9*time.Second, time.ANSIC), want: 9 * time.Second, ok: true},
		{value: in(-time.Hour, http.TimeFormat), ok: true},
		{value: in(time.Hour, http.TimeFormat), want: 30 * time.Second, ok: true},
		{value: "Fri, 31 Dec 9999 23:59:59 GMT", want: 30 * time.Second, ok: true},
		{value: "Mon, 01 Jan 0001 00:00:00 GMT", ok: true},
		// The server's clock is an hour ahead, or behind.
		{value: in(time.Hour+4*time.Second, http.TimeFormat), date: in(time.Hour, http.TimeFormat), want: 4 * time.Second, ok: true},
		{value: in(-time.Hour+4*time.Second, http.TimeFormat), date: in(-time.Hour, http.TimeFormat), want: 4 * time.Second, ok: true},
		{value: in(9*time.Second, http.TimeFormat), date: "garbage", want: 9 * time.Second, ok: true},
		{value: "7", date: in(time.Hour, http.TimeFormat), want: 7 * time.Second, ok: true},
	} {
		h := http.Header{}
		h.Set("Retry-After", tc.value)
		if tc.date != "" {
			h.Set("Date", tc.date)
		}
		tr := &Transport{MaxRetryAfter: tc.limit}
		if got, ok := tr.retryAfter(h, now); got != tc.want || ok != tc.ok {
			t.Errorf("%+v: got %v, %v", tc, got, ok)
		}
	}
}

func FuzzRetryAfterHeader(f *testing.F) {
	f.Add("7", "")
	f.Add("Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT")
	f.Add("-9223372036854775808", "x")
	f.Fuzz(func(t *testing.T, value, date string) {
		tr := new(Transport)
		d, ok := tr.retryAfter(http.Header{"Retry-After": {value}, "Date": {date}}, time.Unix(1e9, 0))
		if d < 0 || d > mostRetryAfter || !ok && d != 0 {
			t.Errorf("%q, %q: %v, %v", value, date, d, ok)
		}
	})
}
