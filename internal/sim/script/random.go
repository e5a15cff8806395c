package script

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// Random draws a history: a cluster of 1 to 40 members, and in the course of a
// minute or a little more 3 to 12 faults of every kind, at any time and of any
// length. In half of the histories one member at most is broken at a time, in the
// others up to a tenth of them.
//
// In a quarter the endpoint stays healthy, so that what the members make of it
// can only be the work of the cluster's own faults; in another quarter the faults
// come early and a long outage follows, so that it meets a cluster that has had
// the time to settle; and in another one all faults end at last, so that what is
// healthy has to be found so.
func Random(seed uint64) Script {
	d := &draw{Rand: rand.New(rand.NewPCG(seed, 0x5c71)), aside: rand.New(rand.NewPCG(seed, 0x9a5b))}
	kind := d.IntN(4)
	d.healthy = kind == 0
	d.say(Line{Name: "seed", N: seed})
	d.setup()
	warmUp := d.between(time.Second, 7*time.Second)
	lasts := d.between(60*time.Second, 75*time.Second-warmUp)
	d.say(Line{Name: "run", For: warmUp})
	if d.liars = 1; d.IntN(2) == 0 {
		d.liars = max(d.members/10, 1)
	}
	d.one = d.liars == 1
	until := lasts - time.Second
	if kind == 1 {
		until = lasts / 4
	}
	for _, t := range d.times(3+d.IntN(10), until) {
		d.pass(t)
		if !d.healthy && d.IntN(5) < 2 {
			d.server()
		} else {
			d.cluster()
		}
	}
	if kind == 1 {
		d.pass(until)
		d.say(pick(d, Line{Name: "stall"}, Line{Name: "vanish", X: 1}))
		d.script[len(d.script)-1].For = d.between(lasts/3, lasts-until)
	}
	d.pass(lasts)
	if kind == 2 {
		d.say(Line{Name: "mend"})
		d.pass(lasts + 90*time.Second)
	}
	return d.script
}

// times are n instants up to the last, in order, some of them the same.
func (d *draw) times(n int, last time.Duration) []time.Duration {
	at := make([]time.Duration, n)
	for i := range at {
		if at[i] = d.between(0, last); i > 0 && d.IntN(4) == 0 {
			at[i] = at[i-1]
		}
	}
	slices.Sort(at)
	return at
}

// pass lets time pass until t.
func (d *draw) pass(t time.Duration) {
	if t > d.now {
		d.say(Line{Name: "run", For: t - d.now})
		d.now = t
	}
}

// draw is a history in the making.
type draw struct {
	*rand.Rand
	aside    *rand.Rand // for what histories did not have at first
	script   Script
	now      time.Duration // since the warm-up
	healthy  bool          // the endpoint is to stay so
	members  int
	load     float64
	capacity float64

	one    bool // one liar at a time
	lying  bool
	mended time.Duration
	liars  int // that may still come
}

func (d *draw) say(l Line) { d.script = append(d.script, l) }

// between is a time, in milliseconds, each as likely.
func (d *draw) between(least, most time.Duration) time.Duration {
	return least + time.Duration(d.Int64N(int64((most-least)/time.Millisecond)+1))*time.Millisecond
}

// spread is a number from least to most, each order of magnitude as likely.
func (d *draw) spread(least, most float64) float64 {
	x := least * math.Pow(most/least, d.Float64())
	return math.Round(x*100) / 100
}

// lasting is how long a fault lasts: mostly some seconds.
func (d *draw) lasting() time.Duration {
	return time.Duration(d.spread(.5, 45)*1000) * time.Millisecond
}

func (d *draw) share() float64 { return float64(1+d.IntN(100)) / 100 }

func pick[T any](d *draw, of ...T) T { return of[d.IntN(len(of))] }

func (d *draw) setup() {
	d.members = 3 + d.IntN(18)
	if d.IntN(5) == 0 {
		d.members = 1 + d.IntN(40)
	}
	d.load = d.spread(5, 400)
	zones := 1
	if d.IntN(6) == 0 {
		zones = 2 + d.IntN(2)
	}
	d.capacity = math.Round(100*d.load/float64(zones)/(.3+.9*d.Float64())) / 100
	if d.healthy { // even if all members come to be in one zone
		d.capacity = max(d.capacity, math.Ceil(1.2*d.load)) + 30
	}
	d.say(Line{Name: "members", N: uint64(d.members)})
	d.say(Line{Name: "load", X: d.load})
	d.say(Line{Name: "capacity", X: d.capacity})
	if zones > 1 {
		d.say(Line{Name: "zones", N: uint64(zones)})
	}
	if d.aside.IntN(8) == 0 {
		d.say(Line{Name: "tier", N: uint64(2 + d.aside.IntN(2))})
	}
	if !d.healthy {
		d.endpoint()
	}
	if d.IntN(3) > 0 {
		d.say(d.network())
	}
	d.say(Line{Name: "budget", Word: pick(d, budgetStrict, budgetStrict, budgetElastic, budgetBare)})
}

// endpoint draws what kind of server it is.
func (d *draw) endpoint() {
	if d.IntN(3) == 0 {
		d.say(Line{Name: "timeout", For: time.Duration(d.spread(.2, 3)*1000) * time.Millisecond})
	}
	if workers := 1 + d.IntN(8); d.IntN(3) == 0 {
		d.say(Line{Name: "workers", N: uint64(workers)})
		if workers > 1 && d.IntN(3) == 0 {
			d.say(Line{Name: "slow-workers", N: 1, X: float64(2 + d.IntN(20))})
		}
	}
	if d.IntN(4) == 0 {
		d.say(Line{Name: "queue", N: 1 + uint64(d.spread(.1, 10)*d.capacity)})
	}
	if d.IntN(3) == 0 {
		d.say(Line{Name: "work", Word: pick(d, "exponential", "bimodal")})
	}
	if d.aside.IntN(2) == 0 {
		d.say(Line{Name: "retry-after", For: time.Duration(1+d.aside.IntN(40)) * time.Second})
	}
	for _, name := range []string{"newest-first", "drops", "cancels"} {
		if d.IntN(6) == 0 {
			d.say(Line{Name: name})
		}
	}
}

func (d *draw) network() Line {
	l := Line{Name: "network"}
	some := func(most float64) float64 {
		if d.IntN(2) == 0 {
			return 0
		}
		return math.Round(1000*most*d.Float64()*d.Float64()) / 1000
	}
	l.Net = sim.Network{Loss: some(.6), Duplicate: some(.5), Reorder: some(.5), Garble: some(.05)}
	if d.healthy {
		l.Net.Garble = 0 // it makes liars of all
	}
	if l.Net.Reorder > 0 && d.IntN(2) == 0 {
		l.Net.Late = time.Duration(d.spread(.1, 8)*1000) * time.Millisecond
	}
	if d.IntN(8) == 0 {
		l.Net.Latency = time.Duration(d.spread(.001, .5)*1000) * time.Millisecond
	}
	return l
}

// server draws a fault of the server.
func (d *draw) server() {
	l := Line{Name: pick(d, "stall", "stall", "vanish", "vanish", "vanish", "errors", "errors", "refuse", "halve", "capacity", "load", "cold"), For: d.lasting()}
	switch l.Name {
	case "vanish", "errors":
		l.X = d.share()
		if d.IntN(2) == 0 {
			l.X = 1
		}
		if d.IntN(4) == 0 {
			l.Who = d.anybody()
		}
		if l.Name == "errors" && d.aside.IntN(4) == 0 {
			l.Name = "cut"
		}
	case "capacity":
		l.X = math.Round(100*max(d.capacity*(.05+1.5*d.Float64()), .01)) / 100
	case "load":
		l.X = math.Round(100*d.load*2*d.Float64()) / 100
	}
	d.say(l)
}

// cluster draws a fault of the cluster.
func (d *draw) cluster() {
	l := Line{Name: pick(d, "crash", "crash", "leave", "join", "join", "restart", "skew", "split", "split", "heal", "network", "network",
		"lie", "lie", "lie", "garble", "poison", "poison", "honest", "pause", "pause", "jump")}
	switch l.Name {
	case "pause", "jump":
		if d.healthy { // to a process that stood still it was not
			return
		}
		l.Who, l.For = d.anybody(), time.Duration(d.spread(.1, 30)*1000)*time.Millisecond
		if l.Name == "jump" && d.IntN(3) == 0 {
			l.For = pick(d, time.Hour, 24*time.Hour)
		}
	case "crash", "leave", "restart":
		l.Who = d.anybody()
	case "skew":
		if l.Who, l.X = d.anybody(), .9+math.Round(200*d.Float64())/1000; d.IntN(5) == 0 {
			l.X = pick(d, .5, 2)
		}
	case "split":
		l.X, l.OneWay = d.share(), d.IntN(3) == 0
		if d.IntN(5) > 0 {
			l.For = d.lasting()
		}
	case "network":
		if l = d.network(); d.IntN(4) == 0 {
			l.Net = sim.Network{}
		}
	case "honest":
		d.mend()
		return
	case "lie", "garble", "poison":
		d.liar(l)
		return
	}
	d.say(l)
}

func (d *draw) mend() {
	d.say(Line{Name: "honest", Who: Who{Kind: "all"}})
	d.lying, d.mended = false, d.now
}

// liar breaks a member, if one more may be broken. Where there is to be one at a
// time, the one before is mended first, and its last lies are to be forgotten.
func (d *draw) liar(l Line) {
	switch {
	case d.one && d.lying:
		d.mend()
		return
	case d.one && d.mended > 0 && d.now-d.mended < forgotten:
		return
	case !d.one && d.liars == 0:
		return
	}
	d.lying = true
	d.liars--
	for l.Who = d.anybody(); l.Who.Kind == "other" && l.Name == "lie"; {
		l.Who = d.anybody()
	}
	switch {
	case l.Name == "garble":
		l.X = d.share()
	case l.Name == "lie" && l.Who.Kind == "steward":
		l.Word = pick(d, lieClosed, lieWell)
	case l.Name == "lie":
		if l.Word = pick(d, sim.Lies()...).Name; d.IntN(5) == 0 {
			l.Word = lieLends
		}
	}
	d.say(l)
}

// anybody is somebody, a steward more often than by chance.
func (d *draw) anybody() Who {
	switch d.IntN(5) {
	case 0, 1:
		return Who{Kind: "steward", I: d.IntN(3)}
	case 2:
		return Who{Kind: "other"}
	}
	return Who{Kind: "member", I: d.IntN(d.members)}
}
