package node_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// drift is what the node knows, nil if it says nothing of svc.
func (s *single) drift() *node.Drift {
	for d := range s.node.Drifts(s.now) {
		if d.Service == "svc" {
			return &d
		}
	}
	return nil
}

// drifting is a verdict that tells of members whose policy is not that of most.
func drifting(policy uint32, drift uint64) wire.VerdictRow {
	row := closed
	row.Policy, row.Drift = policy, drift
	return row
}

// uses gives the member a policy.
func (s *single) uses(policy uint32) {
	s.samples[0].Policy = policy
	s.tick()
}

func TestDriftTakesTwoStewards(t *testing.T) {
	s := newMember(t)
	s.uses(7)
	if d := s.drift(); d != nil {
		t.Fatalf("nobody is heard: %+v", d)
	}
	s.hear(s.stewards[0], drifting(9, 1))
	if d := s.drift(); d != nil {
		t.Fatalf("one is heard: %+v", d)
	}
	s.hear(s.stewards[1], closed)
	if d := s.drift(); d == nil || d.Policy != 0 || d.Members != 0 || d.IsOdd() {
		t.Fatalf("one says so, and one does not: %+v", d)
	}
	s.hear(s.stewards[2], drifting(9, 5))
	want := node.Drift{Service: "svc", Own: 7, Policy: 9, Members: 1}
	if d := s.drift(); d == nil || !reflect.DeepEqual(*d, want) || !d.IsOdd() {
		t.Fatalf("two say so: %+v", d)
	}
	s.uses(9)
	if d := s.drift(); d == nil || d.IsOdd() || d.Policy != 9 {
		t.Fatalf("corrected: %+v", d)
	}
	s.hear(s.stewards[2], closed)
	if d := s.drift(); d == nil || d.Policy != 0 {
		t.Fatalf("one has seen it corrected: %+v", d)
	}
	s.wait(16 * time.Second)
	if d := s.drift(); d != nil {
		t.Fatalf("nobody is heard any more: %+v", d)
	}
}

// What a steward says last, of whichever endpoint, is what it says of the service.
func TestDriftIsOfTheService(t *testing.T) {
	s := newMember(t)
	other := drifting(3, 2)
	other.Endpoint = "other"
	s.hear(s.stewards[0], drifting(9, 1))
	s.hear(s.stewards[0], other)
	s.hear(s.stewards[1], other)
	if d := s.drift(); d == nil || d.Policy != 3 || d.Members != 2 || d.IsOdd() { // it has none of its own
		t.Errorf("got %+v", d)
	}
}

// What a member takes for the policy of most is what two stewards claim, and so is the
// number of those who differ.
func TestNoStewardAloneClaimsDrift(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newMember(t)
		s.uses(1)
		count := map[uint32][]uint64{}
		for _, steward := range s.stewards {
			row := drifting(rapid.Uint32Range(0, 2).Draw(t, "policy"), rapid.Uint64Range(0, 3).Draw(t, "drift"))
			s.hear(steward, row)
			if row.Policy != 0 {
				count[row.Policy] = append(count[row.Policy], row.Drift)
			}
		}
		var want node.Drift
		for policy, all := range count {
			slices.Sort(all)
			if len(all) > 1 && all[len(all)-2] > 0 {
				want.Policy, want.Members = policy, int(all[len(all)-2])
			}
		}
		want.Service, want.Own = "svc", 1
		if d := s.drift(); d == nil || !reflect.DeepEqual(*d, want) {
			t.Fatalf("got %+v, want %+v", d, want)
		}
	})
}

// lastVerdict is the last one that the steward has sent in this tick.
func (s *single) lastVerdict() (row wire.VerdictRow) {
	s.t.Helper()
	for _, send := range s.out.Sends {
		m, err := wire.Decode(send.Data)
		if err != nil {
			s.t.Fatalf("%v", err)
		}
		if m.Verdicts != nil {
			row = m.Verdicts.Rows[0]
		}
	}
	return row
}

func (s *single) reportPolicy(from string, policy uint32) {
	row := reportRow("e", s.seq)
	row.Policy = policy
	s.report(from, row)
}

func TestStewardCountsPolicies(t *testing.T) {
	s := newSteward(t)
	s.reportPolicy(s.others[0], 5)
	s.reportPolicy(s.others[1], 0)
	s.tick()
	if row := s.lastVerdict(); row.Endpoint != "e" || row.Policy != 0 || row.Drift != 0 {
		t.Fatalf("of one that has told a policy: %+v", row)
	}
	for _, x := range []struct {
		policies []uint32
		most     uint32
		odd      []string
	}{
		{[]uint32{5, 5, 5}, 0, nil},
		{[]uint32{5, 9, 5}, 5, s.others[1:2]},
		{[]uint32{9, 5, 9}, 9, s.others[1:2]},
		{[]uint32{9, 9, 5}, 9, s.others[2:]},
		{[]uint32{9, 5, 0}, 5, s.others[:1]}, // none is that of most
		{[]uint32{9, 8, 7}, 7, s.others[:2]},
		{[]uint32{7, 7, 7}, 0, nil},
	} {
		for i, policy := range x.policies {
			s.reportPolicy(s.others[i], policy)
		}
		s.tick()
		d := s.drift()
		if d == nil || d.Policy != x.most || d.Members != len(x.odd) || !slices.Equal(d.Odd, x.odd) || d.IsOdd() {
			t.Errorf("%d: counted %+v", x.policies, d)
		}
		for end := s.now + 6*time.Second; s.now < end && s.lastVerdict().Endpoint == ""; { // it answers each 5 s
			s.tick()
		}
		if row := s.lastVerdict(); row.Endpoint != "e" || row.Policy != x.most || row.Drift != uint64(len(x.odd)) {
			t.Errorf("%d: told %+v", x.policies, row)
		}
	}
	s.reportPolicy(s.others[0], 8)
	s.wait(29 * time.Second)
	if d := s.drift(); d == nil || d.Policy != 7 || d.Members != 1 {
		t.Errorf("heard of late: %+v", d)
	}
	s.reportPolicy(s.others[1], 7)
	s.wait(2 * time.Second)
	if d := s.drift(); d == nil || d.Policy != 0 {
		t.Errorf("the odd one is not heard any more: %+v", d)
	}
}

// Stewards that have heard the same, in whatever order, count the same.
func TestStewardsCountTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := names(12)
		policies := rapid.MapOf(rapid.SampledFrom(all), rapid.Uint32Range(0, 4)).Draw(t, "policies")
		var first *node.Drift
		for range 2 {
			s := newAmong(t, all, true)
			s.samples = nil
			for _, member := range rapid.Permutation(all).Draw(t, "order") {
				if policy, ok := policies[member]; ok && member != s.self {
					s.reportPolicy(member, rapid.Uint32Range(0, 4).Draw(t, "before"))
					s.reportPolicy(member, policy)
				}
			}
			s.tick()
			d := s.drift()
			if first != nil && !reflect.DeepEqual(d, first) {
				t.Fatalf("%+v and %+v", d, first)
			}
			first = d
		}
	})
}

// A steward that uses the service counts itself too, and names 16 of the odd ones.
func TestOddNamesAreBounded(t *testing.T) {
	s := newAmong(t, names(60), true)
	s.uses(1)
	for i, member := range append(slices.Clone(s.stewards), s.others...) {
		policy := uint32(1)
		if i >= 30 {
			policy = uint32(i)
		}
		s.reportPolicy(member, policy)
	}
	s.tick()
	s.hear(s.stewards[0], drifting(1, 29))
	d := s.drift()
	if d == nil || d.Policy != 1 || d.Own != 1 || d.Members != 29 || len(d.Odd) != 16 || !slices.IsSorted(d.Odd) {
		t.Errorf("got %+v", d)
	}
}

// Reports carry the policy of each service to its stewards.
func TestReportsTellThePolicy(t *testing.T) {
	s := newMember(t)
	s.samples = append(s.samples, node.Samples{Service: "other", Policy: 4, Endpoints: []coord.Sample{{Endpoint: "x"}}})
	s.uses(3)
	got := map[string]bool{}
	for _, send := range s.out.Sends {
		m, err := wire.Decode(send.Data)
		if err != nil {
			t.Fatal(err)
		}
		if m.Report == nil {
			continue
		}
		for _, row := range m.Report.Rows {
			got[fmt.Sprintf("%s %d", row.Service, row.Policy)] = true
		}
	}
	if len(got) != 2 || !got["svc 3"] || !got["other 4"] {
		t.Errorf("told %v", got)
	}
}
