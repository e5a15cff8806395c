package node

import (
	"slices"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// silentTicks is how many ticks without traffic are still reported, so that the
// stewards hear the last outcomes and that there are no more.
const silentTicks = 8

// report tells the stewards of every service in use what this member has
// counted. All rows for one steward go together.
func (n *Node) report(now time.Duration, samples []Samples, health uint8) {
	rows := map[string][]wire.ReportRow{}
	var to []string
	for _, u := range samples {
		s := n.use(u.Service)
		if s == nil {
			continue
		}
		s.policy = u.Policy
		for _, e := range n.worthTelling(now, s, u.Endpoints) {
			v := s.views[e.Endpoint]
			row := wire.ReportRow{Service: s.name, Health: health, Policy: u.Policy, L0: v.l0, Sample: e}
			for _, steward := range s.stewards {
				if _, ok := rows[steward]; !ok {
					to = append(to, steward)
				}
				rows[steward] = append(rows[steward], row)
			}
		}
	}
	slices.Sort(to)
	for _, steward := range to {
		r := &wire.Report{Origin: n.origin(), Rows: rows[steward]}
		if steward == n.self {
			n.heardReport(now, r)
			continue
		}
		parts, err := wire.SplitReport(r, n.nextSeq)
		if err != nil {
			n.stats.malformed(err)
			continue
		}
		for _, data := range parts {
			n.out.Sends = append(n.out.Sends, Send{steward, data})
		}
	}
}

// idleTicks is how often a member reports an endpoint that it does not call, but
// may turn to, while it calls others of the service: the stewards are to know who
// is at home elsewhere before something happens there.
const idleTicks = 40

// worthTelling picks the samples that are worth a row: those with traffic, and now
// and then those of endpoints that calls may be diverted to.
func (n *Node) worthTelling(now time.Duration, s *service, samples []coord.Sample) []coord.Sample {
	told, active := make([]bool, len(samples)), false
	for i := range samples {
		e := &samples[i]
		if v := n.ownView(s, e.Endpoint); v != nil {
			v.place = e.Place
			told[i] = v.traffic(now, e)
			active = active || v.seenTraffic && v.silent <= silentTicks
		}
	}
	picked := make([]coord.Sample, 0, len(samples))
	for i := range samples {
		v := s.views[samples[i].Endpoint]
		if told[i] || active && v != nil && v.place.Away && v.silent%idleTicks == 1 {
			picked = append(picked, samples[i])
		}
	}
	return picked
}

// use returns the state of a service that this member uses. Room for MaxUsed of
// them is kept free, whatever names others come up with.
func (n *Node) use(name string) *service {
	s := n.services[name]
	if s != nil && s.used {
		return s
	}
	if n.used >= MaxUsed {
		n.stats.Drop(DropFull)
		return nil
	}
	if s == nil {
		s = n.add(name)
	}
	n.used++
	s.used = true
	return s
}

// A member that is silent while advice is in force asks all the same, once a
// second for a minute: its next call may come any time, and what it does not hear
// any more it would hold for ten seconds and then forget.
const (
	askTicks   = 4
	askedTicks = 240 // without traffic
)

// traffic reports whether the sample is worth a row: there was traffic lately, or
// the stewards are to answer.
func (v *view) traffic(now time.Duration, e *coord.Sample) bool {
	if e.Totals == v.lastTotals {
		v.silent++
		return v.seenTraffic && v.silent <= silentTicks ||
			v.advice.InForce() && v.silent <= askedTicks && v.silent%askTicks == 0
	}
	if !v.seenTraffic || v.silent > presentTicks {
		v.trafficSince = now
	}
	v.lastTotals, v.silent, v.seenTraffic = e.Totals, 0, true
	return true
}

// presentTicks is how long after its last traffic a member still counts as a
// reporter: until 5 s after its last report.
const presentTicks = silentTicks + 20

// reporting reports whether this member is among those whose reports the
// stewards act on, and has been for long enough to have made a difference.
func (v *view) reporting(now time.Duration) bool {
	return v.seenTraffic && v.silent <= presentTicks && now-v.trafficSince >= time.Second
}
