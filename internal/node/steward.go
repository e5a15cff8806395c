package node

import (
	"slices"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/law"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// A steward tells each reporter its verdicts, in answer to a report, as soon as
// one has changed, and repeats them this often. Its fellow stewards need not
// report; they are told what is not CLOSED, for they work out from it which phi
// is in force.
const (
	refreshTrouble = time.Second     // while an endpoint of the service is not CLOSED, or pushes back
	refreshClosed  = 5 * time.Second // while all is well
)

// duty is the law's state for one endpoint that this node watches over.
type duty struct {
	endpoint string
	voices   voices // of reporters
	law      *law.Steward
	row      wire.VerdictRow  // as decided last
	decided  law.Decision     // the same in the law's words
	changed  bool             // and nobody has been told
	told     []wire.ZoneShare // the most that its shares were told since they last were news

	until, cast time.Duration // end of the pushback as decided, and as cast, last
}

// caller is a member that reports about a service.
type caller struct {
	asked     bool // has reported since the last answer
	heard     time.Duration
	answered  time.Duration
	endpoints []string // that it reported about, sorted
	policy    uint32   // as it has told last, 0 if it has not
}

// heardReport takes in a report, row by row. Reports that complete an epoch lead
// to a decision at once.
func (n *Node) heardReport(now time.Duration, r *wire.Report) {
	if !n.roster.Has(r.Origin.Member) {
		n.stats.Drop(DropStranger)
		return
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		s := n.known(now, row.Service, r.Origin.Member, n.self, DropNotMine)
		if s == nil {
			continue
		}
		d := n.duty(now, s, row.Endpoint, r.Origin.Member)
		if d == nil {
			n.stats.Drop(DropFull)
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
		d.voices.hear(now, r.Origin.Member)
		s.called(now, r.Origin.Member, row)
		if decision, changed := d.law.Judge(now); changed {
			n.decided(now, s, d, decision)
			n.answer(now, []*service{s})
		}
	}
}

func (s *service) called(now time.Duration, member string, row *wire.ReportRow) {
	c := s.callers[member]
	if c == nil {
		c = &caller{answered: now - refreshClosed} // to be answered at once
		s.callers[member] = c
		s.callOrder = append(s.callOrder, member)
	}
	c.asked, c.heard = true, now
	if c.policy != row.Policy {
		c.policy, s.tally.changed = row.Policy, true
	}
	if at, ok := slices.BinarySearch(c.endpoints, row.Endpoint); !ok {
		c.endpoints = slices.Insert(c.endpoints, at, row.Endpoint)
		c.answered = now - refreshClosed
	}
}

// duty returns the law's state for an endpoint that a member reports about,
// starting it, if there is room, with what the other stewards are known to say.
func (n *Node) duty(now time.Duration, s *service, endpoint, reporter string) *duty {
	d := s.duties[endpoint]
	if d != nil {
		return d
	}
	if s.duties == nil {
		s.duties, s.callers = map[string]*duty{}, map[string]*caller{}
	}
	if len(s.duties) >= coord.MaxEndpoints {
		var names []string
		for _, d := range s.dutyOrder {
			names = append(names, d.endpoint)
		}
		victim, ok := yields(now, reporter, names, func(name string) *voices { return &s.duties[name].voices })
		if !ok {
			return nil
		}
		s.forgetDuty(victim)
	}
	d = &duty{endpoint: endpoint, law: law.New(n.self, now), until: now, cast: now - pushNews}
	d.decided = d.law.Decision()
	d.row = verdictRow(s.name, endpoint, d.decided)
	if v := s.views[endpoint]; v != nil {
		for _, h := range v.held {
			d.law.Heard(h.asOf, h.origin.Member, h.row.Phi)
		}
	}
	s.duties[endpoint] = d
	at, _ := slices.BinarySearchFunc(s.dutyOrder, endpoint, func(d *duty, name string) int { return compare(d.endpoint, name) })
	s.dutyOrder = slices.Insert(s.dutyOrder, at, d)
	return d
}

// decide lets the law take its step for every duty, casts what has changed and
// answers reporters that are due.
func (n *Node) decide(now time.Duration) {
	for _, s := range n.order {
		for _, d := range slices.Clone(s.dutyOrder) {
			if d.law.Idle(now) {
				s.forgetDuty(d.endpoint)
				continue
			}
			d.law.Step(now)
		}
		n.divert(now, s)
		s.count()
		for _, d := range s.dutyOrder {
			n.decided(now, s, d, d.law.Decision())
		}
		s.callOrder = slices.DeleteFunc(s.callOrder, func(member string) bool {
			gone := !n.roster.Has(member) || now-s.callers[member].heard > 30*time.Second
			if gone {
				delete(s.callers, member)
				s.tally.changed = true
			}
			return gone
		})
	}
	n.answer(now, n.order)
}

// decided takes note of a decision and, if it is a change, tells everybody. (Of a
// pushback see pushback.go.)
func (n *Node) decided(now time.Duration, s *service, d *duty, decision law.Decision) {
	row := verdictRow(s.name, d.endpoint, decision)
	changed := row.Phi != d.row.Phi || row.Mode != d.row.Mode || row.State != d.row.State
	tell, news := d.pushed(now, row.Pushback)
	if changed {
		n.out.Decisions = append(n.out.Decisions, Decision{s.name, d.endpoint, d.decided, decision})
	}
	row.Policy, row.Drift = s.tally.policy, uint64(len(s.tally.odd))
	row.Good, row.Zones = d.row.Good, d.row.Zones // as planned last
	if row.State != wire.Closed {                 // between two ticks, since the plan has seen it
		row.Zones = withoutSigma(row.Zones)
	}
	d.row, d.decided = row, decision
	origin := n.origin()
	if v := s.views[d.endpoint]; v != nil {
		v.take(origin, now, row)
		v.remember(now)
		if s.used {
			n.adviseOn(now, s, d.endpoint, v)
		}
	}
	d.changed = d.changed || changed || tell
	if !changed && !news {
		return
	}
	if row.Pushback > 0 {
		d.cast = d.until
	}
	data, err := wire.AppendVerdicts(nil, &wire.Verdicts{Origin: origin, Rows: []wire.VerdictRow{row}})
	if err != nil {
		n.stats.malformed(err)
		return
	}
	n.cast(n.self, s.name, d.endpoint, data)
}

// answer tells reporters the verdicts on what they reported about: what has
// changed at once, since gossip takes some tenths of a second, and all of it when
// it is their turn. Fellow stewards hear what has changed and what is not CLOSED.
// Rows for one member go together.
func (n *Node) answer(now time.Duration, services []*service) {
	answers := map[string][]wire.VerdictRow{}
	var to []string
	for _, s := range services {
		if len(s.dutyOrder) == 0 {
			continue
		}
		every := s.refresh()
		fellows := every == refreshTrouble && now-s.toldFellows >= every
		if fellows {
			s.toldFellows = now
		}
		for _, member := range s.listeners() {
			c := s.callers[member]
			due := c != nil && c.asked && now-c.answered >= every
			if due {
				c.asked, c.answered = false, now
			}
			fellow := slices.Contains(s.stewards, member)
			for _, d := range s.dutyOrder {
				about := c != nil && c.about(d.endpoint)
				if about && (due || d.changed) || fellow && (d.changed || fellows && d.row.State != wire.Closed) {
					if answers[member] == nil {
						to = append(to, member)
					}
					answers[member] = append(answers[member], d.row)
					d.told = mostShares(d.told, d.row.Zones)
				}
			}
		}
		for _, d := range s.dutyOrder {
			d.changed = false
		}
	}
	n.sendAnswers(to, answers)
}

func (n *Node) sendAnswers(to []string, answers map[string][]wire.VerdictRow) {
	for _, member := range to {
		if member == n.self {
			continue
		}
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

// refresh is how often members are told what they know already.
func (s *service) refresh() time.Duration {
	for _, d := range s.dutyOrder {
		if d.row.State != wire.Closed || d.row.Pushback > 0 {
			return refreshTrouble
		}
	}
	return refreshClosed
}

// listeners are the members that may have to be told something: the reporters,
// and the stewards that are none.
func (s *service) listeners() []string {
	l := s.callOrder
	for _, steward := range s.stewards {
		if s.callers[steward] == nil {
			l = append(slices.Clip(l), steward)
		}
	}
	return l
}

func (c *caller) about(endpoint string) bool {
	_, ok := slices.BinarySearch(c.endpoints, endpoint)
	return ok
}

func (n *Node) cast(steward, service, endpoint string, data []byte) {
	// Names may hold any byte; with its length before it each is unambiguous.
	key := string([]byte{byte(len(steward)), byte(len(service))}) + steward + service + endpoint
	n.out.Casts = append(n.out.Casts, Cast{key, data})
}

func verdictRow(service, endpoint string, d law.Decision) wire.VerdictRow {
	return wire.VerdictRow{
		Service: service, Endpoint: endpoint,
		Phi: d.Phi, Mode: d.Mode, State: d.State,
		L0: micro(d.L0), Thr: micro(d.Thr), Latency: micro(d.Latency), Window: micro(d.Window),
		Demand:    uint64(min(d.Demand*1000+.5, wire.MaxCount)),
		Reporters: uint64(d.Reporters), Failures: d.Failures, Outcomes: d.Outcomes,
		Failing: uint64(d.Failing), Pushback: micro(d.Pushback),
	}
}

func micro(d time.Duration) time.Duration { return d.Truncate(time.Microsecond) }
