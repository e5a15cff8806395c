package coord

import "time"

const (
	// MaxPushback is the longest that an endpoint is left alone for its own
	// sake, whatever it asked for.
	MaxPushback = 30 * time.Second

	// PushbackTold is how long what a member has seen of a pushback counts for
	// others: two must have seen one within that time.
	PushbackTold = 5 * time.Second
)

// Pushback is an endpoint's wish to be left alone by retries (Retry-After, gRPC's
// retry pushback) as one member has seen it. The zero Pushback is none.
type Pushback struct {
	Left time.Duration // of the time that was asked for
	Ago  time.Duration // when it was asked for
}

// What a member has seen is one word, so that no lock is taken: when it was, in
// milliseconds, and in the lower bits how many of them were asked for.
const pushedShift = 16

func pack(seen, d time.Duration) int64 {
	return int64(seen/time.Millisecond)<<pushedShift | int64((d+time.Millisecond-1)/time.Millisecond)
}

func unpack(word int64) (seen, until time.Duration) {
	seen = time.Duration(word>>pushedShift) * time.Millisecond
	return seen, seen + time.Duration(word&(1<<pushedShift-1))*time.Millisecond
}

// PushedBack notes that an attempt has come back with the wish to be left alone
// for d, of which MaxPushback counts. Of several the one counts that ends last,
// until it is too old to be told to others.
func (e *Endpoint) PushedBack(now, d time.Duration) {
	if e == nil || d <= 0 {
		return
	}
	d = min(d, MaxPushback)
	next := pack(now, d)
	for {
		old := e.pushed.Load()
		seen, until := unpack(old)
		if old != 0 && now-seen <= PushbackTold && until > now+d || e.pushed.CompareAndSwap(old, next) {
			return
		}
	}
}

// pushback is what there is to tell others.
func (e *Endpoint) pushback(now time.Duration) Pushback {
	word := e.pushed.Load()
	seen, until := unpack(word)
	if word == 0 || now-seen > PushbackTold || until <= now {
		return Pushback{}
	}
	return Pushback{Left: until - now, Ago: max(now-seen, 0)}
}

// Pushback is how long retries to the endpoint are to wait, as the cluster has
// it: 0 for not at all.
func (a *Advice) Pushback(now time.Duration) time.Duration {
	if a.Until == 0 {
		return 0
	}
	return max(a.Until-now, 0)
}

// Pushback returns how long retries to the service are to wait, and how many
// members are failing, at the endpoint that takes retries soonest: like Mode it is
// for callers that do not say which one they turn to.
func (s *Service) Pushback(now time.Duration) (left time.Duration, failing int) {
	if s == nil {
		return 0, 0
	}
	found := false
	for _, e := range *s.endpoints.Load() {
		a := e.advice.Load()
		if a.Phi < PhiFull || a.RetryMode() == RetryNone {
			continue
		}
		if l := a.Pushback(now); !found || l < left || l == left && a.Failing < failing {
			found, left, failing = true, l, a.Failing
		}
	}
	return left, failing
}
