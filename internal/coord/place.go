package coord

// Place is how an endpoint and a member stand to each other. The zero Place is
// that of a service without zones.
type Place struct {
	Zone     string  // the member's
	Away     bool    // the member is at home elsewhere: what it sends here is diverted
	Capacity float64 // requests a second, as configured; 0: unknown
}

// Locate tells how the endpoint stands to this member. The last word counts.
func (e *Endpoint) Locate(p Place) {
	if e != nil {
		e.place.Store(&p)
	}
}

// TellOwnPath sets what knows whether this member's own path to the endpoint is
// broken. The first call wins.
func (e *Endpoint) TellOwnPath(f func() bool) {
	if e != nil {
		e.ownPath.CompareAndSwap(nil, &f)
	}
}

// OwnPathBroken reports whether this member fails to reach the endpoint while the
// cluster, which has heard of it, finds nothing amiss.
func (e *Endpoint) OwnPathBroken() bool {
	if e == nil {
		return false
	}
	f := e.ownPath.Load()
	return f != nil && (*f)()
}

// Share is a chance as it travels: a fraction in steps of 1/255.
type Share uint8

// ShareOf rounds a fraction to a Share, down, for what it stands for is bounded;
// it clamps to [0, 1], and NaN becomes 0.
func ShareOf(f float64) Share {
	switch {
	case f >= 1:
		return 255
	case f > 0:
		return Share(f * 255)
	}
	return 0
}

// Float returns the fraction.
func (s Share) Float() float64 { return float64(s) / 255 }
