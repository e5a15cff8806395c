package failoverhttp

import (
	"net/http"
	"strings"
	"time"
)

const mostRetryAfter = 30 * time.Second

// retryAfter reads the header Retry-After (RFC 9110, section 10.2.3): seconds or
// a date. A date is taken relative to the server's own Date, if there is one,
// which cancels the skew between the clocks. The wait is at most MaxRetryAfter.
func (t *Transport) retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	limit := min(orDefault(t.MaxRetryAfter, mostRetryAfter), mostRetryAfter)
	v := strings.Trim(h.Get("Retry-After"), " \t")
	if v == "" || limit == 0 {
		return 0, false
	}
	if n, ok := seconds(v, int64(limit/time.Second)+1); ok {
		return min(time.Duration(n)*time.Second, limit), true
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0, false
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return min(max(at.Sub(now), 0), limit), true
}

// seconds reads a number of digits, however many, as at most limit.
func seconds(s string, limit int64) (n int64, ok bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = min(n*10+int64(s[i]-'0'), limit)
	}
	return n, true
}
