package scenario

import (
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]int{
		"S1": 1, "s1": 1, "S1,S3r": 2, "S4": 4, "S4-30f": 1, "S9": 2, "S9r": 11, "S9rc": 11, "all": len(All),
	} {
		l, err := Find(list)
		if err != nil || len(l) != want {
			t.Errorf("%s: %d scenarios, %v; want %d", list, len(l), err, want)
		}
	}
	for _, list := range []string{"S99", "S1,S99", "", "S"} {
		if _, err := Find(list); err == nil || !strings.Contains(err.Error(), "there are S1, S2") {
			t.Errorf("%q: %v", list, err)
		}
	}
	for list, want := range map[string]int{"": 0, "loss": 1, "Loss,churn": 2} {
		if l, err := FindExtras(list); err != nil || len(l) != want {
			t.Errorf("%q: %d faults, %v; want %d", list, len(l), err, want)
		}
	}
	if _, err := FindExtras("none"); err == nil {
		t.Error("no error for a fault that does not exist")
	}
}

// TestNamesAreUnique: for they are what the command line and the tables go by.
func TestNamesAreUnique(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range All {
		if seen[strings.ToLower(s.ID)] || s.Title == "" || s.Lasts <= 0 {
			t.Errorf("scenario %q, %q, %v", s.ID, s.Title, s.Lasts)
		}
		seen[strings.ToLower(s.ID)] = true
	}
	for _, x := range Extras {
		if seen[strings.ToLower(x.ID)] || x.Title == "" {
			t.Errorf("fault %q, %q", x.ID, x.Title)
		}
		seen[strings.ToLower(x.ID)] = true
	}
}

func TestMean(t *testing.T) {
	t.Parallel()
	result := func(goodput, peak, recovery float64, trips int) Result {
		return Result{Scenario: "S1", Goodput: goodput, Peak: peak, Recovery: &recovery, Trips: trips, AttemptsDown: 100 * trips, Amplification: peak}
	}
	m := Mean([]Result{result(.5, 1, 10, 2), result(.7, 3, 20, 4)})
	if m.Scenario != "S1" || m.Goodput != .6 || m.Peak != 3 || *m.Recovery != 15 || m.Trips != 6 || m.AttemptsDown != 300 || m.Amplification != 2 {
		t.Errorf("%+v, recovery %v", m, *m.Recovery)
	}
	never := result(.1, 1, 0, 0)
	never.Recovery = nil
	if m := Mean([]Result{result(.5, 1, 10, 2), never}); m.Recovery != nil {
		t.Errorf("recovered in %v, though one of two never did", *m.Recovery)
	}
}
