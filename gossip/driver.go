package gossip

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// driver owns the node: one goroutine feeds it messages, members and time, and
// carries out what it asks for.
type driver struct {
	c    *Cluster
	node *node.Node

	members []Member
	met     bool              // somebody else was among them once
	lacking bool              // some are missing who have not left
	addrs   map[string]string // of the other live members, by name

	used  map[string]*usedService
	order []*usedService // by name

	delays [delayKept]time.Duration
	ticks  int

	mood  mood
	split bool // suspected
	since time.Time
	sum   summary

	recorded time.Duration // when the last point of the history was
}

// usedService is a service of this process as the driver sees it.
type usedService struct {
	name      string
	svc       *coord.Service
	endpoints map[string]*usedEndpoint
	early     map[string]coord.Advice // about endpoints that this process does not have, as yet
	odd       bool                    // its policy here is not that of most, which has been logged
}

type usedEndpoint struct {
	ep     *coord.Endpoint
	advice coord.Advice // of the cluster: in force unless an operator orders otherwise, or about to be
	under  under
	totals coord.Totals
	silent int           // ticks without traffic
	from   time.Duration // when the traffic began
	inUse  bool
	past   *past // nil: none is kept
}

// summary is what the driver counts for Health.
type summary struct {
	sent, cast, sendErrors, prunedCasts uint64
	lateTicks, lostTicks                uint64
}

func newDriver(c *Cluster, incarnation uint64) *driver {
	n := node.New(c.name, incarnation)
	n.Record(c.cfg.tape)
	return &driver{
		c: c, node: n,
		addrs: map[string]string{}, used: map[string]*usedService{},
		since: time.Now(), recorded: coord.Now(),
	}
}

// run drives the node until stop is closed. The ticks of different processes
// are spread over the interval by a random phase.
func (d *driver) run(stop <-chan struct{}) {
	defer d.resign()
	due := coord.Now() + rand.N(tick)
	timer := time.NewTimer(due - coord.Now())
	defer timer.Stop()
	d.meet(coord.Now())
	for {
		select {
		case <-stop:
			return
		case m := <-d.c.delegate.inbox:
			d.deliver(m)
		case <-d.c.roster.changed:
			d.meet(coord.Now())
		case <-d.c.loans:
			d.ask(coord.Now())
		case <-d.c.orders.changed:
			d.enforceAll(coord.Now())
		case <-timer.C:
			now := coord.Now()
			d.late(now - due)
			d.tick(now)
			for due += tick; due <= now; due += tick {
				d.sum.lostTicks++
			}
			timer.Reset(due - coord.Now())
		}
	}
}

func (d *driver) late(delay time.Duration) {
	d.delays[d.ticks%delayKept] = delay
	d.ticks++
	if delay > lateFrom {
		d.sum.lateTicks++
	}
}

// deliver hands a message to the node. The time that it waited is added to the
// age of what it says.
func (d *driver) deliver(m inbound) {
	now := coord.Now()
	if signed, ok := wire.Override(m.data); ok {
		_, _ = d.c.orders.take(time.Now(), signed) // what is refused is counted
		return
	}
	if age, ok := wire.Age(m.data); ok {
		wire.SetAge(m.data, age+now-m.at)
	}
	d.handle(now, m.data)
}

func (d *driver) handle(now time.Duration, data []byte) {
	out := d.node.Deliver(now, data)
	if d.heed(out.Advice) {
		d.observe(now)
	}
	d.apply(now, out)
}

// meet takes over the list of live members.
func (d *driver) meet(now time.Duration) {
	before := len(d.members)
	d.members = d.c.roster.members()
	names := make([]string, 0, len(d.members)+1)
	clear(d.addrs)
	for _, m := range d.members {
		names = append(names, m.Name)
		if !m.Self {
			d.addrs[m.Name] = m.Addr
		}
	}
	r := node.NewRoster(append(names, d.c.name))
	if d.lacking = d.c.roster.lacks(now); d.lacking {
		r = r.AsLacking()
	}
	d.node.SetMembers(r)
	d.met = d.met || len(d.addrs) > 0
	d.observe(now)
	if f := d.c.cfg.Hooks.MembersChanged; f != nil && len(d.members) != before {
		f(len(d.members))
	}
}

func (d *driver) tick(now time.Duration) {
	if d.lacking && !d.c.roster.lacks(now) {
		d.meet(now)
	}
	samples := d.sample(now)
	d.c.orders.expire(time.Now())
	d.enforceOrders(now)
	trust := trustOf(slices.Max(d.delays[:]))
	out := d.node.Tick(now, samples, uint8(trust*255+.5))
	d.heed(out.Advice)
	d.observe(now)
	d.apply(now, out)
	if q := &d.c.queue; q.NumQueued() > maxQueued {
		d.sum.prunedCasts += uint64(q.NumQueued() - maxQueued)
		q.Prune(maxQueued)
	}
	d.record(now)
}

// sample reads the counters of every service of this process.
func (d *driver) sample(now time.Duration) []node.Samples {
	d.c.mu.Lock()
	for name, svc := range d.c.services {
		if d.used[name] == nil {
			s := &usedService{name: name, svc: svc, endpoints: map[string]*usedEndpoint{}, early: map[string]coord.Advice{}}
			d.used[name] = s
			d.order = append(d.order, s)
		}
	}
	d.c.mu.Unlock()
	slices.SortFunc(d.order, func(a, b *usedService) int { return cmp.Compare(a.name, b.name) })
	samples := make([]node.Samples, 0, len(d.order))
	for _, s := range d.order {
		all := node.Samples{Service: s.name, Policy: s.svc.Policy()}
		for _, ep := range s.svc.Endpoints() {
			u := s.endpoints[ep.Name()]
			if u == nil {
				u = &usedEndpoint{ep: ep, silent: inUse}
				s.endpoints[ep.Name()] = u
				a, ok := s.early[ep.Name()]
				if !ok {
					a = coord.Advice{Phi: coord.PhiFull}
				}
				delete(s.early, ep.Name())
				d.advise(now, s, u, a)
			}
			sample := ep.Sample()
			u.note(now, sample.Totals)
			all.Endpoints = append(all.Endpoints, sample)
		}
		samples = append(samples, all)
	}
	return samples
}

// note keeps track of whether the endpoint is in use: with traffic in the last
// two seconds, and for long enough that verdicts can be expected.
func (u *usedEndpoint) note(now time.Duration, t coord.Totals) {
	switch {
	case t != u.totals:
		if u.silent >= inUse {
			u.from = now
		}
		u.totals, u.silent = t, 0
	case u.silent < inUse:
		u.silent++
	}
	u.inUse = u.silent < inUse && now-u.from >= settle
}

// apply carries out what the node asks for.
func (d *driver) apply(now time.Duration, out *node.Output) {
	for _, a := range out.Advice {
		d.publish(now, a)
	}
	for _, l := range out.Loads {
		if s := d.used[l.Service]; s != nil {
			s.svc.SetLoad(now, l.Rate, l.Members)
		}
	}
	for _, s := range out.Sends {
		addr, ok := d.addrs[s.To]
		if !ok {
			continue // gone since, or this member itself
		}
		d.sum.sent++
		if err := d.c.send(memberlist.Address{Addr: addr, Name: s.To}, s.Data); err != nil {
			d.sum.sendErrors++
		}
	}
	d.gossip(now, out)
	d.lending(now, out)
}

// gossip hands what is for everybody to memberlist.
func (d *driver) gossip(now time.Duration, out *node.Output) {
	if len(d.addrs) == 0 {
		return
	}
	for _, c := range out.Casts {
		if len(c.Data) > d.c.maxCast {
			d.sum.prunedCasts++ // it would never be sent
			continue
		}
		d.sum.cast++
		d.c.queue.QueueBroadcast(newCast(c.Key, c.Data, now))
	}
}

// publish makes advice known to this process. The node may advise on endpoints
// that only others use; that is kept until somebody here uses them.
func (d *driver) publish(now time.Duration, a node.Advice) {
	s := d.used[a.Service]
	if s == nil {
		return
	}
	if u := s.endpoints[a.Endpoint]; u != nil {
		d.advise(now, s, u, a.Advice)
		return
	}
	if _, ok := s.early[a.Endpoint]; ok || len(s.early) < coord.MaxEndpoints {
		s.early[a.Endpoint] = a.Advice
	}
}

// resign puts local rules back in force: nobody will renew any advice.
func (d *driver) resign() {
	d.c.mu.Lock()
	services := slices.Collect(maps.Values(d.c.services)) // those of the last tick, too
	d.c.mu.Unlock()
	for _, s := range services {
		s.OpenLoans(false)
		for _, ep := range s.Endpoints() {
			was := ep.Advice()
			ep.Publish(coord.Advice{Phi: coord.PhiFull, Thr: was.Thr}.Numbered(was))
		}
	}
}
