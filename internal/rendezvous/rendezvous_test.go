package rendezvous

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// golden are scores that must never change: members of different versions have
// to agree on the stewards of every service.
var golden = []struct {
	member, service string
	score           uint64
}{
	{"", "", 0x0000000000000000},
	{"a", "a", 0x0000000000000000},
	{"member-0", "payments", 0xf05d6de81fae3b76},
	{"member-1", "payments", 0x91163866651d9420},
	{"web-7f9c-x2x1", "search", 0x80895f4112fe1fc9},
	{"größe", "наука", 0x07636fac26866feb},
	{"payments", "member-0", 0xf05d6de81fae3b76},
}

// dumbScore follows the papers step by step, over the integers.
func dumbScore(member, service string) uint64 {
	mod := new(big.Int).Lsh(big.NewInt(1), 64)
	hash := func(s string) *big.Int {
		h, _ := new(big.Int).SetString("cbf29ce484222325", 16)
		prime := big.NewInt(0x100000001b3)
		for _, b := range []byte(s) {
			h.Xor(h, big.NewInt(int64(b)))
			h.Mul(h, prime).Mod(h, mod)
		}
		return h
	}
	z := new(big.Int).Xor(hash(member), hash(service))
	round := func(shift uint, factor string) {
		z.Xor(z, new(big.Int).Rsh(z, shift))
		f, _ := new(big.Int).SetString(factor, 16)
		z.Mul(z, f).Mod(z, mod)
	}
	round(30, "bf58476d1ce4e5b9")
	round(27, "94d049bb133111eb")
	return z.Xor(z, new(big.Int).Rsh(z, 31)).Uint64()
}

func TestScore(t *testing.T) {
	for _, g := range golden {
		if got := Score(g.member, g.service); got != g.score {
			t.Errorf("%q, %q: %#016x, want %#016x", g.member, g.service, got, g.score)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		member, service := rapid.String().Draw(t, "member"), rapid.String().Draw(t, "service")
		if got, want := Score(member, service), dumbScore(member, service); got != want {
			t.Fatalf("%#x, want %#x", got, want)
		}
		f := fnv.New64a()
		f.Write([]byte(member))
		if Hash(member) != f.Sum64() {
			t.Fatal("the hash is not FNV-1a")
		}
	})
}

// dumbTop sorts all.
func dumbTop(members []Member, service string) []string {
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b Member) int {
		x, y := Mix(a.hash^Hash(service)), Mix(b.hash^Hash(service))
		return cmp.Or(cmp.Compare(y, x), cmp.Compare(a.Name, b.Name))
	})
	top := []string{}
	for _, m := range members[:min(len(members), Stewards)] {
		top = append(top, m.Name)
	}
	return top
}

var memberNames = rapid.SliceOfDistinct(rapid.StringMatching(`[a-z]{0,3}`), func(s string) string { return s })

// TestTop compares with the dumb way; hashes of few values make ties.
func TestTop(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := List(memberNames.Draw(t, "members"))
		if rapid.Bool().Draw(t, "ties") {
			for i := range members {
				members[i].hash = rapid.Uint64Range(0, 2).Draw(t, "hash")
			}
		}
		service := rapid.String().Draw(t, "service")
		if got, want := Top(members, service), dumbTop(members, service); !slices.Equal(got, want) {
			t.Fatalf("%q, want %q", got, want)
		}
	})
}

// TestTopByScore: the best has the best score, and equal ones go by name.
func TestTopByScore(t *testing.T) {
	members := List([]string{"d", "b", "c", "a"})
	for i := range members {
		members[i].hash = 7
	}
	if got := Top(members, "s"); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("of four equals %q, want a, b and c", got)
	}
	names := []string{"member-0", "member-1", "member-2", "member-3"}
	top := Top(List(names), "payments")
	for i := 1; i < len(top); i++ {
		if Score(top[i-1], "payments") < Score(top[i], "payments") {
			t.Errorf("%q before %q", top[i-1], top[i])
		}
	}
}

// TestLeave: a member that leaves changes the stewards of only the services it
// ranked for, and there one other takes its place; the order of the list does
// not matter.
func TestLeave(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := memberNames.Filter(func(n []string) bool { return len(n) > 0 }).Draw(t, "members")
		gone := rapid.SampledFrom(names).Draw(t, "gone")
		service := rapid.String().Draw(t, "service")
		before := Top(List(names), service)
		if shuffled := Top(List(rapid.Permutation(names).Draw(t, "shuffled")), service); !slices.Equal(before, shuffled) {
			t.Fatalf("%q, in another order %q", before, shuffled)
		}
		left := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == gone })
		after := Top(List(left), service)
		stay := slices.DeleteFunc(slices.Clone(before), func(n string) bool { return n == gone })
		if !slices.Equal(after[:len(stay)], stay) || len(after) != min(len(left), Stewards) {
			t.Fatalf("%q, without %q %q", before, gone, after)
		}
	})
}

// TestSpread: no member watches over much more than its share.
func TestSpread(t *testing.T) {
	const members, services = 50, 2000
	names := make([]string, members)
	for i := range names {
		names[i] = fmt.Sprint("member-", i)
	}
	list, load := List(names), map[string]int{}
	for i := range services {
		for _, m := range Top(list, fmt.Sprint("service-", i)) {
			load[m]++
		}
	}
	for _, name := range names {
		if n, mean := load[name], services*Stewards/members; n < mean/2 || n > 2*mean {
			t.Errorf("%s watches over %d services, the mean is %d", name, n, mean)
		}
	}
}

func BenchmarkTop(b *testing.B) {
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprint("member-", i)
	}
	list := List(names)
	for b.Loop() {
		Top(list, "payments")
	}
}
