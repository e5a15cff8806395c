package ledger

import (
	"math"
	"testing"
	"time"
)

// A default and the same number given tell the same, and so do all that are off.
func TestText(t *testing.T) {
	for _, c := range []struct {
		text  string
		rules []Rules
	}{
		{"ratio 0.1 burst 0 stipend 10 members 0", []Rules{{}, {Ratio: .1, Stipend: 10}}},
		{"ratio 0 burst -1 stipend 0 members 7", []Rules{{-1, -1, -1, 7}, {-.5, -3, -2, 7}}},
		{"ratio 0.25 burst 2.5 stipend 3 members 0", []Rules{{.25, 2.5, 3, 0}}},
	} {
		for _, r := range c.rules {
			if got := r.String(); got != c.text {
				t.Errorf("%+v is %q, want %q", [4]any{r.Ratio, r.Burst, r.Stipend, r.MaxMembers}, got, c.text)
			}
		}
	}
	const ms, forever = time.Millisecond, time.Duration(math.MaxInt64)
	for b, want := range map[Backoff]string{
		{}:                       "10ms to 2s",
		{Base: 10 * ms}:          "10ms to 2s",
		{Max: 2000 * ms}:         "10ms to 2s",
		{Base: 1, Max: forever}:  "1ns to " + forever.String(),
		{Base: -1}:               "0s to 0s",
		{Base: -5, Max: 30 * ms}: "0s to 0s",
	} {
		if got := b.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
