package node

import (
	"slices"

	"github.com/murmuration-go/murmuration/internal/rendezvous"
)

// Roster is a list of live members, made once a change and shared: any number of
// nodes may be given the same one. Nothing in it ever changes, so that it may be
// read from any goroutine. It therefore remembers no stewards either: a node asks
// once a service and change, and a memory would need a lock in the core. The zero
// value is nobody.
type Roster struct {
	members  []rendezvous.Member // by name, each once
	isMember map[string]bool
	lacking  bool
}

// NewRoster makes a list of names, in any order. It keeps nothing of the slice.
func NewRoster(names []string) *Roster {
	names = slices.Clone(names)
	slices.Sort(names)
	names = slices.Compact(names)
	r := &Roster{members: rendezvous.List(names), isMember: make(map[string]bool, len(names))}
	for _, name := range names {
		r.isMember[name] = true
	}
	return r
}

// AsLacking says of a list that members are missing in it that have not left: that
// crashed lately or were cut off. It returns another list.
func (r *Roster) AsLacking() *Roster {
	c := *r
	c.lacking = true
	return &c
}

// Lacking reports whether members are missing that have not left.
func (r *Roster) Lacking() bool { return r.lacking }

// Has reports whether the name is on the list.
func (r *Roster) Has(name string) bool { return r.isMember[name] }

// Len is the number of members.
func (r *Roster) Len() int { return len(r.members) }

// Names returns the members' names, sorted, in a slice of the caller's own.
func (r *Roster) Names() []string {
	names := make([]string, len(r.members))
	for i, m := range r.members {
		names[i] = m.Name
	}
	return names
}

// Top returns the stewards of a service, best first.
func (r *Roster) Top(service string) []string { return rendezvous.Top(r.members, service) }

// draw picks askedAtOnce members other than self, or as many as there are; r is
// random.
func (r *Roster) draw(self string, random uint64) (names []string) {
	count := len(r.members)
	at, ok := slices.BinarySearchFunc(r.members, self, func(m rendezvous.Member, name string) int { return compare(m.Name, name) })
	if ok {
		count--
	}
	pick := func(i uint64) string {
		if ok && int(i) >= at {
			i++
		}
		return r.members[i].Name
	}
	if count <= askedAtOnce {
		for i := range count {
			names = append(names, pick(uint64(i)))
		}
		return names
	}
	first := rendezvous.Mix(random+1) % uint64(count)
	second := rendezvous.Mix(^random) % uint64(count-1)
	if second >= first {
		second++
	}
	return []string{pick(first), pick(second)}
}
