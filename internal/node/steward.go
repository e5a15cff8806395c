package node

import (
	"slices"
	"time"

	"github.com/murmuration-go/murmuration/internal/law"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// A steward tells each reporter its verdicts, in answer to a report, as soon as
// one has changed, and repeats them this often.
const (
	refreshTrouble = time.Second     // while an endpoint of the service is not CLOSED
	refreshClosed  = 5 * time.Second // while all is well
)

// duty is the law's state for one endpoint that this node watches over.
type duty struct {
	endpoint string
	law      *law.Steward
	row      wire.VerdictRow // as decided last
}

// caller is a member that reports about a service.
type caller struct {
	asked     bool // has reported since the last answer
	heard     time.Duration
	answered  time.Duration
	endpoints []string // that it reported about, sorted
}

// heardReport takes in a report, row by row. Reports that complete an epoch lead
// to a decision at once.
func (n *Node) heardReport(now time.Duration, r *wire.Report) {
	if !n.isMember[r.Origin.Member] {
		n.stats.Drop(DropStranger)
		return
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		s := n.service(now, row.Service, false)
		if s == nil {
			continue
		}
		if !s.mine {
			n.stats.Drop(DropNotMine)
			continue
		}
		d := n.duty(now, s, row.Endpoint)
		if d == nil {
			continue
		}
		switch d.law.Report(now, r.Origin, row) {
		case law.Stale:
			n.stats.Drop(DropStale)
			continue
		case law.Full:
			n.stats.Drop(DropFull)
			continue
		case law.Taken:
		}
		n.stats.Reports++
		s.called(now, r.Origin.Member, row.Endpoint)
		if decision, changed := d.law.Judge(now); changed {
			n.decided(now, s, d, decision)
			n.answer(now, []*service{s})
		}
	}
}

func (s *service) called(now time.Duration, member, endpoint string) {
	c := s.callers[member]
	if c == nil {
		c = &caller{answered: now - refreshClosed} // to be answered at once
		s.callers[member] = c
		s.callOrder = append(s.callOrder, member)
	}
	c.asked, c.heard = true, now
	if at, ok := slices.BinarySearch(c.endpoints, endpoint); !ok {
		c.endpoints = slices.Insert(c.endpoints, at, endpoint)
		c.answered = now - refreshClosed
	}
}

// duty returns the law's state for an endpoint, starting it with what the other
// stewards are known to say.
func (n *Node) duty(now time.Duration, s *service, endpoint string) *duty {
	d := s.duties[endpoint]
	if d == nil {
		v := n.view(s, endpoint)
		if v == nil {
			return nil
		}
		if s.duties == nil {
			s.duties, s.callers = map[string]*duty{}, map[string]*caller{}
		}
		d = &duty{endpoint: endpoint, law: law.New(n.self, now)}
		d.row = verdictRow(s.name, endpoint, d.law.Decision())
		for _, h := range v.held {
			d.law.Heard(h.asOf, h.origin.Member, h.row.Phi)
		}
		s.duties[endpoint] = d
		s.dutyOrder = append(s.dutyOrder, d)
		slices.SortFunc(s.dutyOrder, func(a, b *duty) int { return compare(a.endpoint, b.endpoint) })
	}
	return d
}

// decide lets the law take its step for every duty, casts what has changed and
// answers reporters that are due.
func (n *Node) decide(now time.Duration) {
	for _, s := range n.order {
		s.dutyOrder = slices.DeleteFunc(s.dutyOrder, func(d *duty) bool {
			if d.law.Idle(now) {
				delete(s.duties, d.endpoint)
				return true
			}
			n.decided(now, s, d, d.law.Step(now))
			return false
		})
		s.callOrder = slices.DeleteFunc(s.callOrder, func(member string) bool {
			gone := !n.isMember[member] || now-s.callers[member].heard > 30*time.Second
			if gone {
				delete(s.callers, member)
			}
			return gone
		})
	}
	n.answer(now, n.order)
}

// decided takes note of a decision and, if it is a change, tells everybody.
func (n *Node) decided(now time.Duration, s *service, d *duty, decision law.Decision) {
	row := verdictRow(s.name, d.endpoint, decision)
	changed := row.Phi != d.row.Phi || row.Mode != d.row.Mode || row.State != d.row.State
	d.row = row
	origin := n.origin()
	if v := s.views[d.endpoint]; v != nil {
		v.take(origin, now, row)
		if s.used {
			n.adviseOn(now, s, d.endpoint, v)
		}
	}
	if !changed {
		return
	}
	s.changed = true
	data, err := wire.AppendVerdicts(nil, &wire.Verdicts{Origin: origin, Rows: []wire.VerdictRow{row}})
	if err != nil {
		n.stats.malformed(err)
		return
	}
	n.cast(n.self, s.name, d.endpoint, data)
	for _, fellow := range s.stewards {
		if fellow != n.self && s.callers[fellow] == nil {
			n.out.Sends = append(n.out.Sends, Send{fellow, data})
		}
	}
}

// answer tells reporters the verdicts on what they reported about: all of them
// when one has changed, since gossip takes some tenths of a second, else those
// whose turn it is. Rows for one reporter go together.
func (n *Node) answer(now time.Duration, services []*service) {
	answers := map[string][]wire.VerdictRow{}
	var to []string
	for _, s := range services {
		every := refreshClosed
		for _, d := range s.dutyOrder {
			if d.row.State != wire.Closed {
				every = refreshTrouble
			}
		}
		if s.changed {
			every, s.changed = 0, false
		}
		for _, member := range s.callOrder {
			c := s.callers[member]
			if member == n.self || every > 0 && !c.asked || now-c.answered < every {
				continue
			}
			c.asked, c.answered = false, now
			if _, ok := answers[member]; !ok {
				to = append(to, member)
			}
			for _, e := range c.endpoints {
				if d := s.duties[e]; d != nil {
					answers[member] = append(answers[member], d.row)
				}
			}
		}
	}
	for _, member := range to {
		v := &wire.Verdicts{Origin: n.origin(), Rows: answers[member]}
		parts, err := wire.SplitVerdicts(v, n.nextSeq)
		if err != nil {
			n.stats.malformed(err)
			continue
		}
		for _, data := range parts {
			n.out.Sends = append(n.out.Sends, Send{member, data})
		}
	}
}

func (n *Node) cast(steward, service, endpoint string, data []byte) {
	n.out.Casts = append(n.out.Casts, Cast{steward + "\x00" + service + "\x00" + endpoint, data})
}

func verdictRow(service, endpoint string, d law.Decision) wire.VerdictRow {
	return wire.VerdictRow{
		Service: service, Endpoint: endpoint,
		Phi: d.Phi, Mode: d.Mode, State: d.State,
		L0: micro(d.L0), Thr: micro(d.Thr), Latency: micro(d.Latency), Window: micro(d.Window),
		Demand:    uint64(d.Demand*1000 + .5),
		Reporters: uint64(d.Reporters), Failures: d.Failures, Outcomes: d.Outcomes,
	}
}

func micro(d time.Duration) time.Duration { return d.Truncate(time.Microsecond) }
