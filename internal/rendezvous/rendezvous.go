// Package rendezvous picks the stewards of a service: the live members that
// rank highest by rendezvous hashing (Thaler and Ravishankar, 1998). Every
// member that holds the same list picks the same ones, and a member that comes
// or goes changes the stewards of only the services it ranks high for.
package rendezvous

// Stewards is how many members watch over each service.
const Stewards = 3

// Score ranks a member for a service: mix64(FNV-1a(member) xor
// FNV-1a(service)), mix64 being the output function of SplitMix64 (Steele, Lea
// and Flood, 2014), without its increment.
func Score(member, service string) uint64 {
	return Mix(Hash(member) ^ Hash(service))
}

// Hash is FNV-1a with 64 bits.
func Hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h ^= uint64(s[i])
		h *= 1099511628211
	}
	return h
}

// Mix is the output function of SplitMix64: it maps numbers one to one, and
// neighbours far apart.
func Mix(z uint64) uint64 {
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// Member is a member's name with its hash, computed once a change of the list.
type Member struct {
	Name string
	hash uint64
}

// List prepares names for Top.
func List(names []string) []Member {
	l := make([]Member, len(names))
	for i, n := range names {
		l[i] = Member{n, Hash(n)}
	}
	return l
}

// Top returns the names of the members that rank highest for the service, best
// first, at most Stewards. Equal scores go to the smaller name.
func Top(members []Member, service string) []string {
	type ranked struct {
		name  string
		score uint64
	}
	var top [Stewards]ranked
	n := 0
	h := Hash(service)
	for _, m := range members {
		r := ranked{m.Name, Mix(m.hash ^ h)}
		i := n // its place: behind all that rank higher
		for i > 0 && (r.score > top[i-1].score || r.score == top[i-1].score && r.name < top[i-1].name) {
			i--
		}
		if i == Stewards {
			continue
		}
		n = min(n+1, Stewards)
		copy(top[i+1:n], top[i:n-1])
		top[i] = r
	}
	names := make([]string, n)
	for i := range names {
		names[i] = top[i].name
	}
	return names
}
