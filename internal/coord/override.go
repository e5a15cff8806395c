package coord

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// OverrideKind says what an operator orders.
type OverrideKind uint8

// The kinds of override.
const (
	Freeze      OverrideKind = iota + 1 // what is in force stays in force, whatever is seen
	ForceClosed                         // every first try goes, and retries as the budget allows
	ForceOpen                           // nothing goes
	Drain                               // calls move to the other endpoints, over some seconds
	Prefer                              // everybody's first tries move to this endpoint, over some seconds
	RetriesOff                          // no retries
)

var overrideKinds = [...]string{"", "freeze", "force-closed", "force-open", "drain", "prefer", "retries-off"}

func (k OverrideKind) String() string {
	if k == 0 || int(k) >= len(overrideKinds) {
		return "unknown"
	}
	return overrideKinds[k]
}

// Valid reports whether k is one of the kinds.
func (k OverrideKind) Valid() bool { return k >= Freeze && k <= RetriesOff }

// OneEndpoint reports whether such an override is about one endpoint only, and not about
// a whole service.
func (k OverrideKind) OneEndpoint() bool { return k == Drain || k == Prefer }

// MarshalText writes the kind's name.
func (k OverrideKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (k *OverrideKind) UnmarshalText(b []byte) error {
	if i := slices.Index(overrideKinds[1:], string(b)); i >= 0 {
		*k = OverrideKind(i + 1)
		return nil
	}
	return fmt.Errorf("no override %q; there are %v", b, overrideKinds[1:])
}

// Override is an operator's order about a service or one of its endpoints. It must not be
// changed once it is in force.
type Override struct {
	ID       string       `json:"id"`      // 32 hexadecimal digits
	Version  uint64       `json:"version"` // the highest of an ID counts
	Kind     OverrideKind `json:"kind"`
	Service  string       `json:"service"`
	Endpoint string       `json:"endpoint,omitempty"` // "": all of the service
	Author   string       `json:"author"`
	Reason   string       `json:"reason"`
	Issued   time.Time    `json:"issued"`
	Expires  time.Time    `json:"expires"`
	Revoked  bool         `json:"revoked,omitempty"` // it is not in force any more

	// Key is the beginning of the hash of the key that signed it, in hexadecimal, as the
	// member has it that took the override. It is not signed.
	Key string `json:"key,omitempty"`
}

func (o *Override) String() string {
	return fmt.Sprintf("%s by %s until %s: %q", o.Kind, o.Author, o.Expires.UTC().Format(time.RFC3339), o.Reason)
}

// MaxOverrideLife is how long an override can be in force.
const MaxOverrideLife = 24 * time.Hour

// Revocation returns the order that ends o before it expires, to be signed. It is kept for
// as long as any version of o could be in force.
func (o Override) Revocation(author, reason string, now time.Time) Override {
	if o.Version < math.MaxUint64 {
		o.Version++
	}
	o.Author, o.Reason, o.Revoked = author, reason, true
	o.Issued, o.Expires = now, now.Add(MaxOverrideLife)
	return o
}

// Orders are the overrides in force about one endpoint, at most one of each sort.
type Orders struct {
	Admission *Override // freeze, force-closed or force-open
	Retries   *Override // retries-off
	Routing   *Override // drain or prefer
}

// OrdersOn picks those of the overrides that count for an endpoint: of each sort what is
// said of the endpoint before what is said of the service, and what was issued last.
func OrdersOn(all []*Override, service, endpoint string) (o Orders) {
	sorts := [...]**Override{&o.Admission, &o.Retries, &o.Routing}
	for _, x := range all {
		if x.Service != service || x.Endpoint != "" && x.Endpoint != endpoint {
			continue
		}
		if first := sorts[x.Kind.sort()]; *first == nil || x.outranks(*first) {
			*first = x
		}
	}
	return o
}

// sort is which of the orders on an endpoint it is: of those of one sort one counts.
func (k OverrideKind) sort() int {
	switch {
	case k == RetriesOff:
		return 1
	case k.OneEndpoint():
		return 2
	}
	return 0
}

// Outranks reports whether p has no effect while o is in force.
func (o *Override) Outranks(p *Override) bool {
	return o.Service == p.Service && o.Kind.sort() == p.Kind.sort() && (o.Endpoint == "" || o.Endpoint == p.Endpoint) && o.outranks(p)
}

func (o *Override) outranks(p *Override) bool {
	switch {
	case (o.Endpoint == "") != (p.Endpoint == ""):
		return o.Endpoint != ""
	case !o.Issued.Equal(p.Issued):
		return o.Issued.After(p.Issued)
	}
	return o.ID > p.ID
}

// Apply makes of what the cluster advises what is in force under the orders. frozen is
// what was in force when the freeze began. What an operator orders overrules the cluster
// and the local breaker; it mints nothing, and a retry needs a token as ever.
func (o *Orders) Apply(a, frozen Advice, asOf time.Duration) Advice {
	if x := o.Admission; x != nil {
		switch x.Kind {
		case ForceClosed:
			a.Phi, a.Mode = PhiFull, RetryAll
		case ForceOpen:
			a.Phi, a.Mode, a.Sigma = 0, RetryNone, 0
		default: // Freeze
			a.Phi, a.Mode, a.Source, a.Frozen = frozen.Phi, frozen.Mode, SourceLocal, true
			a.Sigma = min(frozen.Sigma, a.Sigma) // what there is room for is no matter of orders
		}
		a.Override, a.AsOf, a.Evidence = x, asOf, Evidence{}
		if !a.Frozen || a.InForce() {
			a.Source, a.Frozen = SourceOperator, false
		}
	}
	if a.RetriesOff, a.Routing = o.Retries, o.Routing; o.Retries != nil {
		a.RetriesOffAt = asOf
	}
	return a
}

// Reopened is what is in force after a time in which an operator held phi down, by order
// x: it doubles each second from what it was, or a thirty-second, until it is the
// cluster's. Else everybody's load would come back within the same instant.
func (a Advice) Reopened(from Phi, x *Override, ended, now time.Duration) (_ Advice, over bool) {
	step := min(max(now-ended, 0)/time.Second, reopens)
	phi := Phi(min(uint32(max(from, PhiFull/32))<<step, uint32(PhiFull)))
	if step == reopens || phi >= a.Phi {
		return a, true
	}
	a.Phi, a.Source, a.Override, a.AsOf, a.Evidence = phi, SourceOperator, x, ended, Evidence{}
	return a, false
}

const reopens = 5 // doublings from a thirty-second to all
