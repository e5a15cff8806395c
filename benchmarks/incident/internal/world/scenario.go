// Package world is what the incident lab does to those who call: scenarios, real
// servers with a finite capacity, and the traffic.
package world

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// State is how a zone's server is at a moment.
type State struct {
	Share   float64 // of its capacity; 0: it stalls, its queue intact
	Refuses bool    // everything, at once
	Fails   float64 // chance of a quick error that has nothing to do with load: 503,
	Bug     bool    // or 500, of which it is unclear whether the same request would do better
	Loses   float64 // chance that a request is never answered, nor worked on
}

// Down reports whether nothing gets through.
func (s State) Down() bool { return s.Refuses || s.Share == 0 || s.Fails >= 1 || s.Loses >= 1 }

// Scenario is an incident. Its times are those of the lab, shorter than those of the
// simulator; what members and libraries count in seconds stays as long as it is.
type Scenario struct {
	ID, Title string
	Fault     time.Duration // from the onset to the end of the fault
	After     time.Duration // how long one looks on after that
	Zoned     bool          // zone A fails and B is to help
	Short     bool          // a queue of a tenth of a second that refuses, else a deep one
	Path      bool          // the first member's own path is broken
	Surge     float64       // demand in the fault, as a share of the capacity; 0: as ever
	Scale     float64       // by what the times that the title tells were multiplied; 0: not at all

	at func(t time.Duration) State // zone A, t from the onset; asked within the fault only
}

var well = State{Share: 1}

// At is how a zone is at t from the onset. Where the fault is a broken path or a
// surge, the servers are well.
func (s *Scenario) At(zone int, t time.Duration) State {
	if s.at == nil || zone > 0 || t < 0 || t >= s.Fault {
		return well
	}
	return s.at(t)
}

const sec = time.Second

func always(x State) func(time.Duration) State { return func(time.Duration) State { return x } }

func fails(p float64) func(time.Duration) State { return always(State{Share: 1, Fails: p}) }
func bug(p float64) func(time.Duration) State {
	return always(State{Share: 1, Fails: p, Bug: true})
}
func loses(p float64) func(time.Duration) State { return always(State{Share: 1, Loses: p}) }

// flaps refuses in the first half of each period.
func flaps(period time.Duration) func(time.Duration) State {
	return func(t time.Duration) State { return State{Share: 1, Refuses: t%period < period/2} }
}

// cold is dead for a while, and comes back at 30 % of the capacity, which grows.
func cold(dead, grows time.Duration, how State) func(time.Duration) State {
	return func(t time.Duration) State {
		if t < dead {
			return how
		}
		return State{Share: .3 + .7*float64(t-dead)/float64(grows)}
	}
}

var refuses, hole = State{Share: 1, Refuses: true}, State{Share: 1, Loses: 1}

// All are the scenarios, in the order of tables.
var All = slices.Concat(
	[]Scenario{
		{ID: "S1", Title: "the server stalls for 6 s, its backlog intact", Fault: 6 * sec, After: 30 * sec, at: always(State{})},
		{ID: "S2", Title: "hard down for 10 s: instant refusals", Fault: 10 * sec, After: 15 * sec, at: always(refuses)},
		{ID: "S3", Title: "capacity halved for 10 s, deep queue", Fault: 10 * sec, After: 30 * sec, at: always(State{Share: .5})},
		{ID: "S3r", Title: "capacity halved for 10 s, short queue that refuses", Fault: 10 * sec, After: 15 * sec, Short: true, at: always(State{Share: .5})},
		{ID: "S4-30", Title: "30 % errors for 15 s, quick 500s", Fault: 15 * sec, After: 12 * sec, at: bug(.3)},
		{ID: "S4-30u", Title: "30 % errors for 15 s, quick 503s", Fault: 15 * sec, After: 12 * sec, at: fails(.3)},
		{ID: "S4-60", Title: "60 % errors for 15 s, quick 500s", Fault: 15 * sec, After: 12 * sec, at: bug(.6)},
		{ID: "S4-60u", Title: "60 % errors for 15 s, quick 503s", Fault: 15 * sec, After: 12 * sec, at: fails(.6)},
		{ID: "S4-30b", Title: "30 % of requests vanish for 15 s", Fault: 15 * sec, After: 12 * sec, at: loses(.3)},
		{ID: "S4-60b", Title: "60 % of requests vanish for 15 s", Fault: 15 * sec, After: 12 * sec, at: loses(.6)},
		{ID: "S5", Title: "flapping, 4 s refusing, 4 s up, for 24 s", Fault: 24 * sec, After: 12 * sec, at: flaps(8 * sec)},
		{ID: "S6", Title: "refuses for 5 s, comes back at 30 % of capacity, full after 15 s, deep queue", Fault: 20 * sec, After: 15 * sec, at: cold(5*sec, 15*sec, refuses)},
		{ID: "S6r", Title: "the same with a short queue that refuses", Fault: 20 * sec, After: 12 * sec, Short: true, at: cold(5*sec, 15*sec, refuses)},
		{ID: "S10", Title: "one member's own path is broken for 12 s", Fault: 12 * sec, After: 12 * sec, Path: true},
		{ID: "S11", Title: "demand surges to 1.5 x capacity for 12 s", Fault: 12 * sec, After: 30 * sec, Surge: 1.5},
		{ID: "S11r", Title: "the same with a short queue that refuses", Fault: 12 * sec, After: 12 * sec, Surge: 1.5, Short: true},
	},
	zoned(
		Scenario{ID: "F1r", Title: "zone A refuses for 12 s", Fault: 12 * sec, After: 15 * sec, at: always(refuses)},
		Scenario{ID: "F1b", Title: "zone A is a black hole for 12 s", Fault: 12 * sec, After: 20 * sec, at: always(hole)},
		Scenario{ID: "F2-30f", Title: "zone A: 30 % errors for 15 s, fast", Fault: 15 * sec, After: 12 * sec, at: fails(.3)},
		Scenario{ID: "F2-50f", Title: "zone A: 50 % errors for 15 s, fast", Fault: 15 * sec, After: 12 * sec, at: fails(.5)},
		Scenario{ID: "F2-70f", Title: "zone A: 70 % errors for 15 s, fast", Fault: 15 * sec, After: 12 * sec, at: fails(.7)},
		Scenario{ID: "F2-30t", Title: "zone A: 30 % of requests vanish for 15 s", Fault: 15 * sec, After: 12 * sec, at: loses(.3)},
		Scenario{ID: "F2-50t", Title: "zone A: 50 % of requests vanish for 15 s", Fault: 15 * sec, After: 12 * sec, at: loses(.5)},
		Scenario{ID: "F2-70t", Title: "zone A: 70 % of requests vanish for 15 s", Fault: 15 * sec, After: 12 * sec, at: loses(.7)},
		Scenario{ID: "F3-5", Title: "zone A flaps for 20 s, refusing for half of every 5 s", Fault: 20 * sec, After: 12 * sec, at: flaps(5 * sec)},
		Scenario{ID: "F3-10", Title: "zone A flaps for 30 s, refusing for half of every 10 s", Fault: 30 * sec, After: 12 * sec, at: flaps(10 * sec)},
		Scenario{ID: "F4", Title: "zone A is a black hole for 8 s and comes back at 30 %, full after another 15 s", Fault: 23 * sec, After: 15 * sec, at: cold(8*sec, 15*sec, hole)},
	),
)

func zoned(l ...Scenario) []Scenario {
	for i := range l {
		l[i].Zoned = true
	}
	return l
}

// Find returns the scenarios of a list of names; all stands for all of them, and
// the error names every unknown one.
func Find(list string) (found []Scenario, err error) {
	if list == "all" {
		return All, nil
	}
	var unknown []string
	for id := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(All, func(s Scenario) bool { return s.ID == id })
		if i < 0 {
			unknown = append(unknown, id)
			continue
		}
		found = append(found, All[i])
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("there is no scenario %s; see -list", strings.Join(unknown, ", "))
	}
	return found, nil
}

// Scaled is the scenario with all its times multiplied.
func (s Scenario) Scaled(by float64) Scenario {
	at := s.at
	if at != nil {
		s.at = func(t time.Duration) State { return at(time.Duration(float64(t) / by)) }
	}
	s.Scale = by
	s.Fault = time.Duration(float64(s.Fault) * by)
	s.After = time.Duration(float64(s.After) * by)
	return s
}
