// Package coord is the vocabulary that the parts of the library share: what a
// member counts about an endpoint, and what the cluster advises about it.
//
// It sits below everything else. Packages retry, breaker and failover read
// advice and write counters through it; package gossip moves counters out and
// advice in. Nothing here sends, waits or keeps a goroutine.
package coord

import (
	"fmt"
	"reflect"
)

// Cluster is the coordination that a member takes part in. *gossip.Cluster
// implements it. A nil Cluster, and a nil pointer stored in one, both mean "no
// cluster": every user of the interface then works from local evidence alone.
//
// Implementations must be safe for concurrent use.
type Cluster interface {
	// CoordService returns the member's shared state for one upstream
	// service, the same pointer for the same name. It returns nil when the
	// service cannot take part (no cluster, closed, or too many services);
	// callers then work locally.
	CoordService(name string) *Service
}

// Resolve returns the member's state for a service, or nil when there is no
// cluster to take part in.
func Resolve(c Cluster, service string) *Service {
	if !Present(c) {
		return nil
	}
	return c.CoordService(service)
}

// Present reports whether c is a cluster at all: neither nil nor a nil pointer.
func Present(c Cluster) bool {
	if c == nil {
		return false
	}
	v := reflect.ValueOf(c)
	return v.Kind() != reflect.Pointer || !v.IsNil()
}

// Source says who took a decision.
type Source uint8

// The sources of a decision, in rising order of authority.
const (
	SourceLocal    Source = iota // this member, on its own evidence
	SourceCluster                // the stewards, on pooled evidence
	SourceOperator               // a person, by a signed override
)

func (s Source) String() string {
	switch s {
	case SourceLocal:
		return "local"
	case SourceCluster:
		return "cluster"
	case SourceOperator:
		return "operator"
	}
	return "unknown"
}

// MarshalText writes the source's name.
func (s Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Source) UnmarshalText(b []byte) error { return unmarshal(s, SourceOperator, "source", b) }

// unmarshal reads the name of one of the values from 0 to last.
func unmarshal[T interface {
	~uint8
	fmt.Stringer
}](to *T, last T, what string, b []byte) error {
	for v := T(0); v <= last; v++ {
		if v.String() == string(b) {
			*to = v
			return nil
		}
	}
	return fmt.Errorf("no %s %q", what, b)
}

// Mode says which retries an endpoint may be sent. A higher Mode is more
// restrictive.
type Mode uint8

// The retry modes.
const (
	RetryAll   Mode = iota // whatever the budget allows
	RetryRatio             // only what first tries earned; no stipend, no loans
	RetryNone              // none at all
)

func (m Mode) String() string {
	switch m {
	case RetryAll:
		return "all"
	case RetryRatio:
		return "ratio"
	case RetryNone:
		return "none"
	}
	return "unknown"
}

// MarshalText writes the mode's name.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (m *Mode) UnmarshalText(b []byte) error { return unmarshal(m, RetryNone, "retry mode", b) }

// Phi is the dimmer as it travels and is applied: a fraction in steps of
// 1/65535, so that every member and steward works with the same number.
type Phi uint16

// PhiFull is the dimmer of a healthy endpoint: every first try may go.
const PhiFull Phi = 65535

// PhiOf rounds a fraction to a Phi; it clamps to [0, 1], and NaN becomes 1.
func PhiOf(f float64) Phi {
	switch {
	case f >= 1 || f != f:
		return PhiFull
	case f <= 0:
		return 0
	}
	return Phi(f*65535 + .5)
}

// Float returns the fraction.
func (p Phi) Float() float64 { return float64(p) / 65535 }
