package node

import (
	"slices"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// Names come from others, and one member may make up any number of them. Hence
// what this member uses itself has room of its own; a name that two members have
// spoken of lately yields to none that only one has; and of those that rest on
// one voice the member with most of them loses one when somebody else needs it.

// spokenFor is how long a voice counts.
const spokenFor = time.Minute

// voices are the last two different members that have spoken of a name.
type voices [2]voice

type voice struct {
	member string
	at     time.Duration
}

func (v *voices) hear(now time.Duration, member string) {
	if v[0].member != member {
		v[1] = v[0]
	}
	v[0] = voice{member, now}
}

// sole returns who alone has spoken of the name lately: "" if nobody has, and
// false if two have.
func (v *voices) sole(now time.Duration) (member string, ok bool) {
	recent := func(x voice) bool { return x.member != "" && now-x.at < spokenFor }
	switch {
	case !recent(v[0]):
		return "", true
	case recent(v[1]):
		return "", false
	}
	return v[0].member, true
}

// yields picks the name that makes room for a new one of member by's: one that
// nobody has spoken of lately, else the one heard least recently of those of the
// member that alone speaks of most. It picks none if by would then have as many.
func yields(now time.Duration, by string, names []string, heard func(name string) *voices) (victim string, ok bool) {
	count := map[string]int{}
	most := by
	for _, name := range names {
		member, sole := heard(name).sole(now)
		switch {
		case !sole:
			continue
		case member == "":
			return name, true
		}
		count[member]++
		if count[member] > count[most] {
			most = member
		}
	}
	if count[most] <= count[by]+1 {
		return "", false
	}
	var since time.Duration
	for _, name := range names {
		v := heard(name)
		if member, sole := v.sole(now); sole && member == most && (!ok || v[0].at < since) {
			victim, since, ok = name, v[0].at, true
		}
	}
	return victim, ok
}

// known returns the state of a service that member by speaks of, making it if
// there is room. What is said counts only if the given member is a steward of it.
func (n *Node) known(now time.Duration, name, by, steward string, otherwise Drop) *service {
	s := n.services[name]
	if s == nil {
		if !slices.Contains(n.roster.Top(name), steward) {
			n.stats.Drop(otherwise)
			return nil
		}
		if len(n.services)-n.used >= MaxKnown-MaxUsed || n.sole[by] >= MaxUsed {
			n.stats.Drop(DropFull)
			return nil
		}
		s = n.add(name)
		n.sole[by]++
	} else if !slices.Contains(s.stewards, steward) {
		n.stats.Drop(otherwise)
		return nil
	}
	s.voices.hear(now, by)
	return s
}

func (n *Node) add(name string) *service {
	s := &service{name: name, views: map[string]*view{}}
	n.appoint(s)
	n.services[name] = s
	at, _ := slices.BinarySearchFunc(n.order, name, func(s *service, name string) int {
		return compare(s.name, name)
	})
	n.order = slices.Insert(n.order, at, s)
	return s
}

// expire forgets services that nobody has spoken of for a while, so that names
// seen once do not fill the table for ever, and counts whose names the rest are.
func (n *Node) expire(now time.Duration) {
	clear(n.sole)
	n.order = slices.DeleteFunc(n.order, func(s *service) bool {
		if s.used {
			return false
		}
		member, sole := s.voices.sole(now)
		if sole && member == "" {
			delete(n.services, s.name)
			return true
		}
		if sole {
			n.sole[member]++
		}
		return false
	})
}

// ownView returns what is known of an endpoint that this member uses. There is
// always room: a process has at most coord.MaxEndpoints of them.
func (n *Node) ownView(s *service, endpoint string) *view {
	v := s.views[endpoint]
	if v == nil {
		if s.own >= coord.MaxEndpoints {
			n.stats.Drop(DropFull)
			return nil
		}
		v = s.addView(endpoint)
	}
	if !v.own {
		v.own = true
		s.own++
	}
	return v
}

// maxHeard bounds the endpoints of a service that this member does not use: as
// many as it may have to watch over, and as many again that others do.
const maxHeard = 2 * coord.MaxEndpoints

// heardView returns what is known of an endpoint that a steward speaks of,
// making it if there is room.
func (n *Node) heardView(now time.Duration, s *service, endpoint, steward string) *view {
	v := s.views[endpoint]
	if v == nil {
		if len(s.names)-s.own >= maxHeard && !n.makeRoom(now, s, steward, s.duties[endpoint] != nil) {
			n.stats.Drop(DropFull)
			return nil
		}
		v = s.addView(endpoint)
	}
	v.voices.hear(now, steward)
	return v
}

// makeRoom forgets an endpoint that this member neither uses nor watches over.
// If need be any will do: there are at least coord.MaxEndpoints of them.
func (n *Node) makeRoom(now time.Duration, s *service, by string, need bool) bool {
	var others []string
	for _, name := range s.names {
		if !s.views[name].own && s.duties[name] == nil {
			others = append(others, name)
		}
	}
	victim, ok := yields(now, by, others, func(name string) *voices { return &s.views[name].voices })
	if !ok && need && len(others) > 0 {
		victim, ok = slices.MinFunc(others, func(a, b string) int {
			return int(s.views[a].voices[0].at - s.views[b].voices[0].at)
		}), true
	}
	if ok {
		n.forgetView(s, victim)
	}
	return ok
}

func (s *service) addView(endpoint string) *view {
	v := newView()
	s.views[endpoint] = v
	at, _ := slices.BinarySearch(s.names, endpoint)
	s.names = slices.Insert(s.names, at, endpoint)
	return v
}

// forgetView drops what is known of an endpoint, and takes back the advice.
func (n *Node) forgetView(s *service, endpoint string) {
	v := s.views[endpoint]
	delete(s.views, endpoint)
	if at, ok := slices.BinarySearch(s.names, endpoint); ok {
		s.names = slices.Delete(s.names, at, at+1)
	}
	if s.used && v.advice.InForce() {
		n.out.Advice = append(n.out.Advice, Advice{s.name, endpoint, coord.Advice{Phi: coord.PhiFull}.Numbered(&v.advice)})
	}
}

// forgetDuty drops the law's state for an endpoint.
func (s *service) forgetDuty(endpoint string) {
	delete(s.duties, endpoint)
	s.dutyOrder = slices.DeleteFunc(s.dutyOrder, func(d *duty) bool { return d.endpoint == endpoint })
	for _, c := range s.callers {
		if at, ok := slices.BinarySearch(c.endpoints, endpoint); ok {
			c.endpoints = slices.Delete(c.endpoints, at, at+1)
		}
	}
}
