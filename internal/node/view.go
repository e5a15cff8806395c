package node

import (
	"cmp"
	"slices"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/rendezvous"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// How long verdicts count, and how advice fades without them.
const (
	validTrouble = 5 * time.Second
	validClosed  = 15 * time.Second
	holdFor      = 10 * time.Second // the last phi < 1 is kept this long
	lately       = 5 * time.Second  // stewards who are heard no more are waited for this long
	planned      = 45 * time.Second // and their plan is followed this long: it may take half a minute until the smaller side of a split has given up the other
	wellStep     = time.Second      // in which Advice.Well moves on
	wellGap      = 5 * time.Second  // in which nothing was seen; more than that is not all the time
)

// view is what a node knows of one endpoint: the newest verdict of each steward,
// and the advice it follows.
type view struct {
	held   []held // at most one a steward
	voices voices // of stewards
	own    bool   // this member uses the endpoint
	place  coord.Place
	known  remembered

	advice  coord.Advice
	l0      time.Duration
	share   float64       // Advice.Sigma, not rounded,
	shareAt time.Duration // and when it was worked out

	coordinated   bool // two verdicts have been fresh,
	coordinatedAt time.Duration

	illSince bool // two have seen most attempts fail, since Advice.Well

	// While fewer than two verdicts are fresh, phi is held and then fades.
	lost   bool
	lostAt time.Duration
	heldAt coord.Phi // phi when the verdicts were lost

	lastTotals   coord.Totals
	silent       int // ticks without traffic
	seenTraffic  bool
	trafficSince time.Duration
}

type held struct {
	origin wire.Origin
	asOf   time.Duration // local time at which the verdict was decided
	row    wire.VerdictRow
	ends   time.Duration // the latest end of a pushback that it has spoken of
}

func (h *held) fresh(now time.Duration) bool {
	valid := validTrouble
	if h.row.State == wire.Closed && h.row.Phi == coord.PhiFull && h.row.Mode == coord.RetryAll {
		valid = validClosed
	}
	return now-h.asOf < valid
}

func newView() *view { return &view{advice: coord.Advice{Phi: coord.PhiFull}} }

// keep forgets what those say who are no stewards any more.
func (v *view) keep(stewards []string) {
	v.held = slices.DeleteFunc(v.held, func(h held) bool { return !slices.Contains(stewards, h.origin.Member) })
}

// take holds a verdict if it is newer than the one held from the same steward.
// It reports whether it was, and whether what it decides differs.
func (v *view) take(o wire.Origin, asOf time.Duration, row wire.VerdictRow) (newer, changed bool) {
	for i := range v.held {
		h := &v.held[i]
		if h.origin.Member != o.Member {
			continue
		}
		if !o.Newer(h.origin) {
			return false, false
		}
		next := held{origin: o, asOf: asOf, row: row}
		changed = next.prolongs(h) || row.Phi != h.row.Phi || row.Mode != h.row.Mode || row.State != h.row.State
		*h = next
		return true, changed
	}
	next := held{origin: o, asOf: asOf, row: row}
	changed = next.prolongs(&held{ends: asOf - pushNews}) || row.State != wire.Closed
	v.held = append(v.held, next)
	return true, changed
}

// heardVerdicts takes in another steward's verdicts, follows them at once, and
// passes on what is a change first seen.
func (n *Node) heardVerdicts(now time.Duration, m *wire.Verdicts) {
	from := m.Origin.Member
	switch {
	case from == n.self: // an echo, or somebody else's idea of us: outrank it
		if m.Origin.Incarnation == n.incarnation && m.Origin.Seq < 1<<62 {
			n.seq = max(n.seq, m.Origin.Seq)
		}
		n.stats.Drop(DropStale)
		return
	case !n.roster.Has(from):
		n.stats.Drop(DropStranger)
		return
	}
	for _, row := range m.Rows {
		s := n.known(now, row.Service, from, from, DropNotSteward)
		if s == nil {
			continue
		}
		v := n.heardView(now, s, row.Endpoint, from)
		if v == nil {
			continue
		}
		row.Phi = max(row.Phi, 1) // nobody may close an endpoint for good
		asOf := now - m.Age
		newer, changed := v.take(m.Origin, asOf, row)
		if !newer {
			n.stats.Drop(DropStale)
			continue
		}
		n.stats.Verdicts++
		v.remember(now)
		if d := s.duties[row.Endpoint]; d != nil {
			d.law.Heard(asOf, from, row.Phi)
		}
		if changed {
			relay := &wire.Verdicts{Origin: m.Origin, Age: m.Age, Rows: []wire.VerdictRow{row}}
			if data, err := wire.AppendVerdicts(nil, relay); err == nil {
				n.cast(from, s.name, row.Endpoint, data)
			}
		}
		if s.used {
			n.adviseOn(now, s, row.Endpoint, v)
		}
	}
}

// advise works out the advice on every endpoint in use.
func (n *Node) advise(now time.Duration) {
	for _, s := range n.order {
		if !s.used {
			continue
		}
		for _, name := range s.names {
			n.adviseOn(now, s, name, s.views[name])
		}
	}
}

func (n *Node) adviseOn(now time.Duration, s *service, endpoint string, v *view) {
	next := v.next(now, n.roster.Len(), s.amiss())
	if next.Planned && next.Fresh < 2 {
		next.Sigma = s.loneSigma(endpoint, v, "")
	}
	next.Sigma = s.ease(now, endpoint, v, next.Sigma)
	was := v.advice
	next = next.Numbered(&was)
	v.advice = next
	// While advice is in force its age grows, and so does the error that
	// tells it; otherwise nobody looks at the age.
	if next.InForce() || next != was {
		n.out.Advice = append(n.out.Advice, Advice{s.name, endpoint, next})
		n.lendingOf(now, s)
	}
}

// next makes advice of the fresh verdicts: of phi and of the retry mode each the
// second most restrictive, so that no steward alone decides anything. A member
// alone takes no advice, not even its own. A verdict that rests on the word of
// one reporter binds nobody else.
func (v *view) next(now time.Duration, members int, amiss bool) coord.Advice {
	var fresh [rendezvous.Stewards]held
	n := 0
	for _, h := range v.held {
		if !h.fresh(now) || n == len(fresh) {
			continue
		}
		if h.row.Reporters == 1 && !v.reporting(now) {
			h.row.Phi, h.row.Mode = coord.PhiFull, coord.RetryAll
		}
		fresh[n] = h
		n++
	}
	if n < 2 || members < 2 {
		return v.fade(now, n)
	}
	v.lost = false
	// The second of any order is what no single one of them decides.
	f := fresh[:n]
	second := func(less func(a, b *wire.VerdictRow) int) held {
		slices.SortStableFunc(f, func(a, b held) int { return less(&a.row, &b.row) })
		return f[1]
	}
	v.l0 = second(func(a, b *wire.VerdictRow) int { return cmp.Compare(a.L0, b.L0) }).row.L0
	a := coord.Advice{Fresh: n, Lately: true, Planned: true}
	a.Well, a.WellFrom = v.well(f)
	v.coordinated, v.coordinatedAt = true, now
	a.Thr = second(func(a, b *wire.VerdictRow) int { return cmp.Compare(a.Thr, b.Thr) }).row.Thr
	a.Mode = second(func(a, b *wire.VerdictRow) int { return cmp.Compare(b.Mode, a.Mode) }).row.Mode
	a.Failing = scale(second(func(a, b *wire.VerdictRow) int { return cmp.Compare(b.Failing, a.Failing) }).row.Failing)
	// Of those that say the same, one that has seen something is the one to quote.
	by := second(func(a, b *wire.VerdictRow) int {
		return cmp.Or(cmp.Compare(a.Phi, b.Phi), cmp.Compare(min(a.Outcomes, 1), min(b.Outcomes, 1)))
	})
	a.Phi = by.row.Phi
	a.Until = v.until(now, f)
	a.Sigma = v.sigma(now, f, amiss)
	if a.InForce() {
		a.Source, a.AsOf, a.Evidence = coord.SourceCluster, by.asOf, v.evidence(&by, f)
	}
	return a
}

// well is the time as of which two stewards have seen most attempts succeed, and since
// when they have seen it without a gap. It moves on in steps, or there would be news at
// every tick.
func (v *view) well(fresh []held) (at, from time.Duration) {
	var first, second time.Duration
	ill := 0
	for i := range fresh {
		h := &fresh[i]
		switch at := h.asOf - h.row.Window; { // all of what it tells has ended since
		case h.row.Outcomes == 0:
		case h.row.Failures > h.row.Outcomes/2:
			ill++
		case at > first:
			first, second = at, first
		default:
			second = max(second, at)
		}
	}
	v.illSince = v.illSince || ill > 1
	was := &v.advice
	switch {
	case second-was.Well < wellStep:
		return was.Well, was.WellFrom
	case v.illSince || second-was.Well > wellGap:
		v.illSince = false
		return second, second
	}
	return second, was.WellFrom
}

// fade is the advice when the cluster has fallen silent: the last phi is held,
// then doubles each second until nothing is left of it; retries are off. A pushback
// has an end of its own.
func (v *view) fade(now time.Duration, fresh int) coord.Advice {
	a := coord.Advice{
		Phi: coord.PhiFull, Fresh: fresh, Thr: v.advice.Thr, Well: v.advice.Well, WellFrom: v.advice.WellFrom, Until: notYet(now, v.advice.Until),
		Lately: v.coordinated && now-v.coordinatedAt < lately, Planned: v.coordinated && now-v.coordinatedAt < planned,
	}
	if !v.lost {
		v.lost, v.lostAt, v.heldAt = true, now, v.advice.Phi
	}
	phi := v.heldAt
	if gone := now - v.lostAt; gone > holdFor {
		doublings := min(int((gone-holdFor)/time.Second)+1, 17)
		phi = coord.PhiOf(min(phi.Float()*float64(uint32(1)<<doublings), 1))
	}
	if phi == coord.PhiFull {
		v.heldAt = phi
		return a
	}
	a.Phi, a.Mode, a.Source = phi, coord.RetryNone, coord.SourceCluster
	a.AsOf, a.Evidence = v.advice.AsOf, v.advice.Evidence
	return a
}
