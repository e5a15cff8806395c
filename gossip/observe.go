package gossip

import (
	"slices"
	"time"

	"github.com/murmuration-go/murmuration/internal/node"
)

// observe brings Health up to date and tells of a change of mode.
func (d *driver) observe(now time.Duration) {
	delay := slices.Max(d.delays[:])
	s := situation{members: max(len(d.members), 1), missing: d.c.roster.missing(now), trust: trustOf(delay), delay: delay}
	h := Health{
		Name: d.c.name, Members: s.members, Services: len(d.order), Coverage: 1,
		Trust: s.trust, TickDelay: delay, LateTicks: d.sum.lateTicks, LostTicks: d.sum.lostTicks,
		Sent: d.sum.sent, Cast: d.sum.cast, SendErrors: d.sum.sendErrors,
	}
	var t standing
	fresh, want := 0, 0
	for _, svc := range d.order {
		for _, u := range svc.endpoints {
			if !u.inUse {
				continue
			}
			if u.ep.OwnPathBroken() {
				h.OwnPaths = append(h.OwnPaths, svc.name+"/"+u.ep.Name())
			}
			a := &u.advice
			for v := range d.node.Verdicts(now, svc.name, u.ep.Name()) {
				t.add(svc.name, u.ep.Name(), a, &v)
			}
			n := a.Fresh
			fresh += min(n, expected(s.members))
			want += expected(s.members)
			s.endpoints++
			if n < 2 {
				s.short++
			}
		}
	}
	slices.Sort(h.OwnPaths)
	t.tell(&h)
	d.drift(now, &h)
	h.Missing, h.SplitSuspected = s.missing, s.split()
	if h.SplitSuspected && !d.split {
		d.c.cfg.Logger.Warn("gossip: the network may be split, and each side decide for itself", "missing", s.missing, "members", s.members)
	}
	d.split = h.SplitSuspected
	h.Endpoints = s.endpoints
	if want > 0 {
		h.Coverage = float64(fresh) / float64(want)
	}
	s.left, s.alone = d.c.solitude()
	s.alone.met = d.met
	mode, reason := s.judge()
	if mode == ModeAlone {
		h.Coverage = 0
	}
	from := d.mood.mode
	changed := d.mood.move(now, mode, reason)
	if changed {
		d.since = time.Now()
	}
	h.Mode, h.Reason, h.Since = d.mood.mode, d.mood.reason, d.since
	d.c.setHealth(h, d.node.Stats(), d.sum.prunedCasts)
	d.mood.say(d.c.cfg.Logger, now, changed, from, &s)
	if f := d.c.cfg.Hooks.ModeChange; f != nil && changed {
		f(from, d.mood.mode, d.mood.reason)
	}
}

// heed notes advice that is about to be published, so that Health tells of it before
// any call is refused by it, and reports whether it changes what is done or who is
// heard.
func (d *driver) heed(all []node.Advice) (news bool) {
	for i := range all {
		a := &all[i]
		u := d.endpoint(a.Service, a.Endpoint)
		if u == nil {
			continue
		}
		was := &u.advice
		news = news || a.Phi != was.Phi || a.Mode != was.Mode || a.Source != was.Source || a.Fresh != was.Fresh
		u.advice = a.Advice
	}
	return news
}

// endpoint returns the endpoint if this process uses it, else nil.
func (d *driver) endpoint(service, name string) *usedEndpoint {
	if s := d.used[service]; s != nil {
		return s.endpoints[name]
	}
	return nil
}
