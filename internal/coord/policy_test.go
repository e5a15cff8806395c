package coord

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// It does not matter in which order the parts are told, what a part was before, or of
// how many parts the same is told; but any other text does.
func TestPolicyIsWhatIsToldLast(t *testing.T) {
	text := rapid.StringMatching(`[a-c]{1,3}`)
	rapid.Check(t, func(t *rapid.T) {
		last := rapid.MapOfN(rapid.StringMatching(`[a-z]{1,4}`), text, 1, 8).Draw(t, "parts")
		parts := make([]string, 0, len(last))
		for part := range last {
			parts = append(parts, part)
		}
		s, again := NewService("svc"), NewService("svc")
		for part, text := range last {
			s.TellPolicy(part, text)
		}
		for _, part := range rapid.Permutation(parts).Draw(t, "order") {
			again.TellPolicy(part, text.Draw(t, "before"))
			again.TellPolicy(part, last[part])
		}
		again.TellPolicy("one more", last[parts[0]])
		if s.Policy() == 0 || s.Policy() != again.Policy() {
			t.Fatalf("%x, and in another order %x", s.Policy(), again.Policy())
		}
		s.TellPolicy(parts[0], "something else")
		if s.Policy() == again.Policy() {
			t.Fatalf("the same %x of another text", s.Policy())
		}
	})
}

// The number must be the same in every process and every release.
func TestPolicyVector(t *testing.T) {
	s := NewService("svc")
	if s.Policy() != 0 {
		t.Errorf("of nothing: %x", s.Policy())
	}
	s.TellPolicy("budget", "budget ratio 0.1")
	for i := range MaxEndpoints + 1 {
		s.Endpoint(fmt.Sprint(i)).TellPolicy("breaker window 10s")
	}
	if got, want := s.Policy(), uint32(0xd6e3e6a7); got != want {
		t.Errorf("got %#x, want %#x", got, want)
	}
	if n := len(s.policies.parts); n != MaxEndpoints+1 {
		t.Errorf("%d parts are kept", n)
	}
	var none *Service
	none.TellPolicy("budget", "x")
	if none.Policy() != 0 {
		t.Error("no service has a policy")
	}
}
