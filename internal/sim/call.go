package sim

import "time"

// call is one call of a member, attempt by attempt. Calls are used again; gen,
// which grows with every attempt and never starts over, tells what belongs to an
// attempt that is over.
type call struct {
	Attempt
	service *Service
	member  *Member
	client  Client
	process uint64 // the member's incarnation
	gen     uint32
	second  int // in which it arrived
	sentAt  time.Duration
}

func (w *World) begin(s *Service, m *Member) {
	if !m.alive { // crashed while it was paused
		return
	}
	if m.paused(w) {
		w.After(m.resumes-w.now, func() { w.begin(s, m) })
		return
	}
	var c *call
	if n := len(w.free); n > 0 {
		c, w.free = w.free[n-1], w.free[:n-1]
	} else {
		c = &call{}
	}
	*c = call{gen: c.gen, service: s, member: m, client: m.clients[s.index], process: m.incarnation, second: w.Second()}
	c.N = 1
	s.Count.Firsts++
	bump(&s.Count.Wanted, c.second)
	bump(&s.Count.zone(m.Zone).Wanted, c.second)
	c.attempt(w)
}

// attempt sends the call's next attempt, if its client lets it.
func (c *call) attempt(w *World) {
	s := c.service
	c.Endpoint = c.member.home(s)
	if !c.client.Admit(w.now, &c.Attempt) {
		if c.N == 1 {
			s.Count.Refused++
			bump(&s.Count.RefusedAt, w.Second())
		}
		c.over(w)
		return
	}
	c.sentAt, c.RetryAfter = w.now, 0
	s.Count.Attempts++
	bump(&s.Count.Sent, w.Second())
	switch {
	case c.Diverted:
		s.Count.Diverted++
	case c.N > 1:
		s.Count.Retries++
	}
	if w.watch != nil {
		w.watch.Sent(w, c.member, s.index, &c.Attempt)
	}
	w.timeouts.add(w, c, TimedOut)
	s.Servers[c.Endpoint].arrive(w, c)
}

// ended is told the attempt's outcome, by the server or by the clock.
func (c *call) ended(w *World, o Outcome) {
	m := c.member
	if c.orphan() {
		c.over(w)
		return
	}
	if m.paused(w) { // the process finds out when it goes on
		w.After(m.resumes-w.now, c.later(w, o))
		return
	}
	c.gen++
	c.client.End(w.now, &c.Attempt, o, w.now-c.sentAt)
	if o == OK {
		bump(&c.service.Count.OK, c.second)
		bump(&c.service.Count.zone(m.Zone).OK, c.second)
		c.over(w)
		return
	}
	wait, again := c.client.Retry(w.now, &c.Attempt, o)
	if !again {
		c.over(w)
		return
	}
	c.N++
	w.after(wait, c)
}

// later tells an outcome unless another came first.
func (c *call) later(w *World, o Outcome) func() {
	gen := c.gen
	return func() {
		if c.gen == gen {
			c.ended(w, o)
		}
	}
}

// fire is the end of the wait before a retry.
func (c *call) fire(w *World) {
	switch m := c.member; {
	case c.orphan():
		c.over(w)
	case m.paused(w):
		w.after(m.resumes-w.now, c)
	default:
		c.attempt(w)
	}
}

// orphan reports whether the process that made the call is gone.
func (c *call) orphan() bool { return !c.member.alive || c.process != c.member.incarnation }

func (c *call) over(w *World) {
	c.gen++
	w.free = append(w.free, c)
}
