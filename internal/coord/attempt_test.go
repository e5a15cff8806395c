package coord

import "testing"

func TestReadPrevious(t *testing.T) {
	for _, tc := range []struct {
		values []string
		want   int
	}{
		{nil, 0},
		{[]string{""}, 0},
		{[]string{"0"}, 0},
		{[]string{"1"}, 1},
		{[]string{"007"}, 7},
		{[]string{"10"}, 10},
		{[]string{"11"}, 10},
		{[]string{"99999999999999999999999999999999"}, 10},
		{[]string{"-1"}, 0},
		{[]string{"+1"}, 0},
		{[]string{"1.5"}, 0},
		{[]string{"9x"}, 0},
		{[]string{" 1"}, 0},
		{[]string{"1, 2"}, 0},
		{[]string{"٣"}, 0}, // a digit, but not a decimal one of ASCII
		{[]string{"2", "5", "3"}, 5},
		{[]string{"x", "2", ""}, 2},
	} {
		if got := ReadPrevious(tc.values...); got != tc.want {
			t.Errorf("%q is read as %d, want %d", tc.values, got, tc.want)
		}
	}
}
