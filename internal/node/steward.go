package node

import (
	"slices"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
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
	phi      coord.Phi // as cast last
	mode     coord.Mode
	state    wire.State
}

// caller is a member that reports about a service.
type caller struct {
	asked     bool // has reported since the last answer
	heard     time.Duration
	answered  time.Duration
	endpoints []string // that it reported about, sorted
}

// heardReport takes in a report, row by row.
func (n *Node) heardReport(now time.Duration, r *wire.Report) {
	if !n.isMember[r.Origin.Member] {
		n.stats.Drop(DropStranger)
		return
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		s := n.service(now, row.Service)
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
		}
		n.stats.Reports++
		s.called(now, r.Origin.Member, row.Endpoint)
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
		d = &duty{endpoint: endpoint, law: law.New(n.self, now), phi: coord.PhiFull}
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
	answers := map[string][]wire.VerdictRow{}
	var to []string
	for _, s := range n.order {
		if !s.mine || len(s.duties) == 0 {
			continue
		}
		rows := make(map[string]wire.VerdictRow, len(s.duties))
		trouble, changed := n.step(now, s, rows)
		every := refreshClosed
		switch {
		case changed: // all at once: gossip takes some tenths of a second
			every = 0
		case trouble:
			every = refreshTrouble
		}
		s.callOrder = slices.DeleteFunc(s.callOrder, func(member string) bool {
			c := s.callers[member]
			if !n.isMember[member] || now-c.heard > 30*time.Second {
				delete(s.callers, member)
				return true
			}
			if member == n.self || !c.asked || now-c.answered < every {
				return false
			}
			c.asked, c.answered = false, now
			if _, ok := answers[member]; !ok {
				to = append(to, member)
			}
			for _, e := range c.endpoints {
				if row, ok := rows[e]; ok {
					answers[member] = append(answers[member], row)
				}
			}
			return false
		})
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

// step decides about every endpoint of a service, and reports whether one is
// amiss and whether a decision has changed.
func (n *Node) step(now time.Duration, s *service, rows map[string]wire.VerdictRow) (trouble, anyChanged bool) {
	s.dutyOrder = slices.DeleteFunc(s.dutyOrder, func(d *duty) bool {
		if d.law.Idle(now) {
			delete(s.duties, d.endpoint)
			return true
		}
		row := verdictRow(s.name, d.endpoint, d.law.Step(now))
		rows[d.endpoint] = row
		trouble = trouble || row.State != wire.Closed
		changed := row.Phi != d.phi || row.Mode != d.mode || row.State != d.state
		anyChanged = anyChanged || changed
		d.phi, d.mode, d.state = row.Phi, row.Mode, row.State
		origin := n.origin()
		if v := s.views[d.endpoint]; v != nil {
			v.take(origin, now, row)
		}
		if !changed {
			return false
		}
		data, err := wire.AppendVerdicts(nil, &wire.Verdicts{Origin: origin, Rows: []wire.VerdictRow{row}})
		if err != nil {
			n.stats.malformed(err)
			return false
		}
		n.cast(n.self, s.name, d.endpoint, data)
		for _, fellow := range s.stewards {
			if fellow != n.self && s.callers[fellow] == nil {
				n.out.Sends = append(n.out.Sends, Send{fellow, data})
			}
		}
		return false
	})
	return trouble, anyChanged
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
