package plan

import (
	"math"
	"time"
)

// MaxZones is the largest number of zones of a service.
const MaxZones = 8

// The constants of the plan.
const (
	demandOver = 5.          // seconds over which demand is averaged
	fastOver   = 1.          // and for those who must not be late
	loadOver   = 2.5         // and attempts
	settled    = 1.          // seconds before which a mean may be chance
	needRise   = .5          // share of the gap that need rises in a tick
	needHalf   = 2.          // seconds in which it falls by half
	memoryHalf = 300         // seconds in which remembered demand falls by half
	forgotten  = .001        // first tries a second that are as good as none
	silence    = time.Second // after which a zone yields to another, if there are too many

	useMost    = .75 // U: share of the capacity that may be used
	goodGrowth = 1.1
	startShare = .25  // of the capacity, which an endpoint is given to begin with
	startLeast = 10.  // requests a second, the same where no capacity is known
	goodSlowly = 1.01 // for slowFor after a strain
	slowFor    = 60 * time.Second

	strainLeast  = 5  // successes in a second that can tell
	strainShare  = .2 // of them slow
	strainForget = 3 * time.Second
	foreignShare = .02 // of the load; less is not to blame for a strain
	cut          = .5
	cutLeast     = .02
	cutOwn       = .25 // where the endpoint's own users strain it
	regain       = .01 // of m, a second

	standing = 1. // share of the demand that is allowed for before any verdict
	tripped  = .5 // and while zones are tripped

	// Rise is how much sigma may grow in a second, above what the whole demand of the
	// zone may use of the spare.
	Rise = .1
)

// Health is how an endpoint is, as the dimmer's side of the steward has it.
type Health uint8

// The healths of an endpoint.
const (
	Well    Health = iota // closed
	Amiss                 // failing, but not for load
	Tripped               // dimmed, or on probation
)

// Tick is what the reports of one tick add up to.
type Tick struct {
	Now time.Duration
	// Missing says that members are gone that did not leave; what they wanted
	// is then remembered undiminished.
	Missing   bool
	Endpoints []EndpointTick
}

// EndpointTick is one endpoint's part of a Tick. Counts are of the tick.
type EndpointTick struct {
	Name     string
	Capacity float64 // requests a second; 0: unknown
	Health   Health

	Attempts float64 // of everybody
	Foreign  float64 // of them those that are no first tries of zones at home here
	OK       float64
	Strained float64 // of OK those that took longer than when all is well

	Zones []ZoneTick // those that say how they stand to it, each once
}

// ZoneTick is how a zone stands to an endpoint, and what it wants of it if it is at
// home there.
type ZoneTick struct {
	Zone   string
	Home   bool
	Demand float64 // first tries
	Need   float64 // of them those that failed or were dimmed
}

// Plan is the state of one service. The zero value is ready. It is not safe for
// concurrent use.
type Plan struct {
	zones     []*zone
	endpoints []*endpoint

	ticked bool
	now    time.Duration
	second time.Duration // when the last second was over
}

type zone struct {
	name string

	demand rate    // of first tries
	memory float64 // of demand

	heard time.Duration // when anybody of it was heard of last
	ill   int           // endpoints that it is at home at and that are not well
}

type endpoint struct {
	name     string
	capacity float64
	health   Health

	load, inflow rate    // of attempts
	good         float64 // load that it has borne with ease
	m            float64 // share of the spare that is given away
	ok, strained float64 // in this second
	strainedAt   time.Duration
	hadStrain    bool

	home  []*home
	sigma []share
}

// home is what a zone that is or was at home at an endpoint wants of it.
type home struct {
	zone         *zone
	gone         bool // it is at home elsewhere by now
	demand, fast rate
	need         float64 // a second
	memory       float64
}

// share is sigma for one zone.
type share struct {
	zone  *zone
	sigma float64
}

// Step takes one tick.
func (p *Plan) Step(t Tick) {
	dt := t.Now - p.now
	if !p.ticked {
		dt, p.second = time.Second/4, t.Now
	}
	p.ticked, p.now = true, t.Now
	if dt <= 0 {
		return
	}
	sec := dt.Seconds()
	p.count(&t, dt)
	if t.Now-p.second >= time.Second-time.Millisecond {
		p.second = t.Now
		for _, e := range p.endpoints {
			p.learn(e)
		}
	}
	p.share(sec)
}

// rate is an exponentially weighted mean, a plain one to begin with: what is new is
// known at once.
type rate struct{ value, age float64 } // age in seconds

// add moves the mean, over so many seconds.
func (r *rate) add(now, over, sec float64) {
	r.age += sec
	w := 1 - math.Exp(-sec/over)
	if r.age < over {
		w = max(w, sec/r.age)
	}
	r.value += (now - r.value) * w
}

// most is what is to be remembered: the mean if it is more, and no mere chance.
func (r *rate) most(memory float64) float64 {
	if r.age < settled {
		return memory
	}
	return max(r.value, memory)
}

// count takes the tick's counts into the means. Endpoints that it does not name are
// forgotten, and in the course of time so are zones that want nothing.
func (p *Plan) count(t *Tick, dt time.Duration) {
	sec := dt.Seconds()
	p.keep(t.Endpoints)
	fade := 1.
	if !t.Missing {
		fade = Faded(1, dt)
	}
	wanted := map[*zone]ZoneTick{}
	for i := range t.Endpoints {
		x := &t.Endpoints[i]
		e := p.endpoint(x.Name)
		if e == nil {
			continue
		}
		e.capacity, e.health = x.Capacity, x.Health
		e.load.add(x.Attempts/sec, loadOver, sec)
		e.inflow.add(x.Foreign/sec, loadOver, sec)
		e.ok += x.OK
		e.strained += x.Strained
		seen := map[*zone]ZoneTick{}
		for _, y := range x.Zones {
			if !y.Home {
				if h := e.known(y.Zone); h != nil {
					h.gone = true
				}
				continue
			}
			if z := p.zone(y.Zone); z != nil {
				e.at(z).gone = false
				seen[z] = y
				all := wanted[z]
				all.Demand += y.Demand
				wanted[z] = all
			}
		}
		for _, h := range e.home {
			h.demand.add(seen[h.zone].Demand/sec, demandOver, sec)
			h.fast.add(seen[h.zone].Demand/sec, fastOver, sec)
			if n := seen[h.zone].Need / sec; n > h.need {
				h.need += needRise * (n - h.need)
			} else {
				h.need = n + (h.need-n)*math.Exp2(-sec/needHalf)
			}
			h.memory = h.demand.most(h.memory * fade)
		}
	}
	for _, z := range p.zones {
		w, told := wanted[z]
		if told {
			z.heard = t.Now
		}
		z.demand.add(w.Demand/sec, demandOver, sec)
		z.memory = z.demand.most(z.memory * fade)
	}
}

// Faded is what remains of remembered demand after a while.
func Faded(demand float64, after time.Duration) float64 {
	return demand * math.Exp2(-after.Seconds()/memoryHalf)
}

// own is what an endpoint's own users have to be reckoned with.
func (e *endpoint) own() (memory, fast float64) {
	for _, h := range e.home {
		memory += h.memory
		fast += h.fast.value
	}
	return memory, fast
}

// bears is the load that the endpoint has, or is to be reckoned with at any
// moment.
func (p *Plan) bears(e *endpoint) float64 {
	var memory, demand float64 // of what is at home elsewhere
	for _, other := range p.endpoints {
		for _, h := range other.home {
			if other != e {
				memory += h.memory
				demand += h.demand.value
			}
		}
	}
	grows := 1.
	if demand > 0 {
		grows = max(1, memory/demand)
	}
	own, _ := e.own()
	return max(e.load.value, own+e.inflow.value*grows)
}

// learn looks at the second that is over: what the endpoint has borne with ease,
// and whether it is strained.
func (p *Plan) learn(e *endpoint) {
	load := p.bears(e)
	ok, slow := e.ok, e.strained
	e.ok, e.strained = 0, 0
	if e.health == Well && ok >= strainLeast && slow >= strainShare*ok {
		if e.inflow.value > foreignShare*load {
			least := e.m
			if raw := e.spareRaw(); raw > 0 {
				least = min(least, e.inflow.value/raw)
			}
			e.m = max(cutLeast, cut*least)
		} else {
			e.m = min(e.m, cutOwn)
		}
		e.good = min(e.good, .85*load)
		e.strainedAt, e.hadStrain = p.now, true
		return
	}
	if !e.hadStrain || p.now-e.strainedAt >= strainForget {
		e.m = min(e.m+regain, 1)
	}
	if e.health == Well && e.good == 0 && !e.hadStrain { // a standby has nothing to show
		e.good = max(startShare*e.capacity, startLeast)
	}
	if e.health == Well && load > .9*e.good {
		growth := goodGrowth
		if e.hadStrain && p.now-e.strainedAt < slowFor {
			growth = goodSlowly
		}
		e.good = growth * max(e.good, load)
	}
}
