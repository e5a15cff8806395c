package plan

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const tick = 250 * time.Millisecond

// two is a service of zones a and b, each at home at the endpoint of its name,
// whose members follow sigma to the letter.
type two struct {
	t        *testing.T
	p        Plan
	now      time.Duration
	demand   map[string]float64 // of a zone, a second
	capacity map[string]float64 // as configured
	health   map[string]Health  // of an endpoint
	failing  map[string]float64 // share of a zone's first tries that fail or are dimmed
	slow     map[string]float64 // share of an endpoint's successes
	diverted map[string]float64 // to an endpoint, a second
	missing  bool
}

func newTwo(t *testing.T) *two {
	return &two{
		t: t, demand: map[string]float64{"a": 480, "b": 200}, capacity: map[string]float64{"a": 600, "b": 400},
		health: map[string]Health{}, failing: map[string]float64{}, slow: map[string]float64{}, diverted: map[string]float64{},
	}
}

func (w *two) run(d time.Duration) {
	for end := w.now + d; w.now < end; {
		w.now += tick
		t := Tick{Now: w.now, Missing: w.missing}
		for _, here := range []string{"a", "b"} {
			there := map[string]string{"a": "b", "b": "a"}[here]
			w.diverted[here] = w.demand[there] * w.failing[there] * w.p.Sigma(there, here)
			own := w.demand[here]
			if w.health[here] == Tripped {
				own = 3
			}
			all := (own + w.diverted[here]) / 4
			t.Endpoints = append(t.Endpoints, EndpointTick{
				Name: here, Capacity: w.capacity[here], Health: w.health[here],
				Attempts: all, Foreign: w.diverted[here] / 4, OK: all, Strained: all * w.slow[here],
				Zones: []ZoneTick{{here, true, w.demand[here] / 4, w.demand[here] / 4 * w.failing[here]}},
			})
		}
		w.p.Step(t)
	}
}

func (w *two) wants(zone, endpoint string, least, most float64) {
	w.t.Helper()
	if got := w.p.Sigma(zone, endpoint); got < least || got > most {
		w.t.Errorf("at %v sigma of %s at %s is %.3f, want %.3f to %.3f", w.now, zone, endpoint, got, least, most)
	}
}

// What is free at b is 302 (U of 400) less its own 200.
func TestHelpGrowsToWhatIsFree(t *testing.T) {
	w := newTwo(t)
	w.run(time.Minute)
	w.wants("a", "b", .02, .15) // a standing allowance, within what b is known to bear
	w.wants("a", "a", 0, 0)
	w.health["a"], w.failing["a"] = Tripped, 1
	w.run(12 * time.Second)
	if got := w.diverted["b"]; got < 90 || got > 102.1 {
		t.Errorf("12 s after a has died b is sent %.1f of what is a's, want about 102", got)
	}
	w.wants("b", "a", 0, 0) // nobody is helped by what is down
	w.health["a"], w.failing["a"] = Well, 0
	w.run(time.Minute)
	if w.diverted["b"] != 0 {
		t.Errorf("b is still sent %.1f", w.diverted["b"])
	}
}

// A plan that is new knows after a second what is wanted, and no chance peak of its
// first ticks stays in its memory.
func TestNewPlan(t *testing.T) {
	w := newTwo(t)
	w.health["a"], w.failing["a"] = Tripped, 1
	w.run(time.Second)
	if got := w.p.remembers("b"); got < 190 || got > 210 {
		t.Errorf("after a second the plan remembers that %v are wanted of b", got)
	}
	w.p.AdoptGood("b", 400)
	w.run(2 * time.Second)
	if got := w.diverted["b"]; got < 60 || got > 102.1 {
		t.Errorf("after three seconds b is sent %.0f, want about 102", got)
	}

	w = newTwo(t)
	for i := range 40 {
		if w.demand["b"] = 200; i == 0 {
			w.demand["b"] = 400
		}
		w.run(tick)
	}
	if got := w.p.remembers("b"); got > 255 {
		t.Errorf("a first tick of twice as much stays in the memory: %v", got)
	}
}

func (p *Plan) remembers(endpoint string) (wants float64) {
	_, zones := p.Shares(endpoint)
	for _, z := range zones {
		wants += z.Memory
	}
	return wants
}

// Lone is what one member can know by itself.
func TestLone(t *testing.T) {
	for _, c := range []struct{ capacity, good, own, elsewhere, want float64 }{
		{400, 0, 202, 400, .25}, {400, 1000, 202, 400, .25}, {100, 0, 75, 10, 0}, {100, 0, 200, 10, 0},
		{0, 300, 200, 400, .25}, {0, 0, 0, 400, 0}, {400, 400, 0, 100, 1}, {400, 400, 0, 0, 0},
	} {
		if got := Lone(c.capacity, c.good, c.own, c.elsewhere); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// Without a configured capacity the load that has been borne before limits what
// is diverted, and grows with what is borne with ease.
func TestKnownGoodLoad(t *testing.T) {
	w := newTwo(t)
	w.capacity["b"] = 0
	w.run(time.Minute)
	w.health["a"], w.failing["a"] = Tripped, 1
	last := 0.
	for range 10 {
		w.run(time.Second)
		load := 200 + w.diverted["b"]
		if last > 0 && load > 1.2*last {
			t.Errorf("at %v the load went from %.0f to %.0f", w.now, last, load)
		}
		last = load
	}
	if last < 300 {
		t.Errorf("after ten seconds the load is %.0f", last)
	}
}

// A standby that nobody is at home at has borne nothing yet; it is given a little to
// begin with, and soon what it has room for.
func TestStandby(t *testing.T) {
	for _, capacity := range []float64{400, 0} {
		w := newTwo(t)
		w.demand["b"], w.capacity["b"] = 0, capacity
		w.run(time.Minute)
		w.health["a"], w.failing["a"] = Tripped, 1
		least := 100.
		if capacity == 0 {
			least = 10
		}
		w.run(2 * time.Second)
		if got := w.diverted["b"]; got < .6*least || got > 2*least {
			t.Errorf("capacity %v: at first b is sent %.0f", capacity, got)
		}
		w.run(30 * time.Second)
		if got := w.diverted["b"]; capacity > 0 && (got < 250 || got > 303) || capacity == 0 && got < 30 {
			t.Errorf("capacity %v: after half a minute b is sent %.0f", capacity, got)
		}
	}
}

// When b is strained what is diverted is halved, nothing comes for three seconds
// after, and it comes back slowly.
func TestStrain(t *testing.T) {
	w := newTwo(t)
	w.run(time.Minute)
	w.health["a"], w.failing["a"] = Tripped, 1
	w.run(20 * time.Second)
	before := w.p.Sigma("a", "b")
	w.slow["b"] = .3
	w.run(2 * time.Second)
	w.wants("a", "b", 0, 0)
	w.slow["b"] = 0
	w.run(2 * time.Second)
	w.wants("a", "b", 0, 0)
	w.run(2 * time.Second)
	w.wants("a", "b", .001, before/2)
	w.run(10 * time.Second)
	w.wants("a", "b", .01, .8*before)
}

// Own users come first: they are reckoned with as they were a while ago.
func TestOwnDemandIsRemembered(t *testing.T) {
	w := newTwo(t)
	w.run(time.Minute)
	w.health["a"], w.failing["a"] = Tripped, 1
	w.run(20 * time.Second)
	with := w.p.Sigma("a", "b")
	w.demand["b"] = 20
	w.run(10 * time.Second)
	w.wants("a", "b", .9*with, 1.15*with) // remembered
	w.missing = true
	w.run(10 * time.Minute)
	w.wants("a", "b", .9*with, 1.2*with) // for as long as members are missing
	w.missing = false
	w.run(30 * time.Minute)
	w.wants("a", "b", 1.5*with, 1)
	w.demand["b"] = 290
	w.run(4 * time.Second) // at once
	w.wants("a", "b", 0, .2*with)
}

// Where one of three endpoints of a tier is down, the two others take what they have
// room for, and nothing while all is well.
func TestSiblings(t *testing.T) {
	var p Plan
	diverted := 0. // to each of the others, a second
	run := func(d time.Duration, ill Health) {
		for end := p.now + d; p.now < end; {
			tk := Tick{Now: p.now + tick}
			for _, name := range []string{"a", "b", "c"} {
				e := EndpointTick{Name: name, Capacity: 200, Attempts: 25, OK: 25, Zones: []ZoneTick{{"", true, 25, 0}}}
				if name == "a" && ill != Well {
					e.Health, e.OK, e.Zones[0].Need = ill, 0, 25
				} else {
					diverted = 100 * p.Sigma("", name)
					e.Attempts += diverted / 4
					e.Foreign += diverted / 4
					e.OK = e.Attempts
				}
				tk.Endpoints = append(tk.Endpoints, e)
			}
			p.Step(tk)
		}
	}
	run(time.Minute, Well)
	for _, name := range []string{"a", "b", "c"} {
		if s := p.Sigma("", name); s != 0 {
			t.Errorf("sigma of %s is %v while all is well", name, s)
		}
	}
	for _, ill := range []Health{Amiss, Tripped} {
		run(20*time.Second, ill)
		if diverted < 38 || diverted > 50.1 {
			t.Errorf("%.0f a second go to each sibling, want 50: .75 of 200 less its own 100", diverted)
		}
		if p.Sigma("", "a") != 0 {
			t.Error("something is diverted to what is ill")
		}
		if run(10*time.Second, Well); diverted != 0 {
			t.Errorf("%.0f are diverted though all is well again", diverted)
		}
	}
}

// Nobody helps whoever is not well, and nobody who is on probation helps.
func TestTroubleEverywhere(t *testing.T) {
	w := newTwo(t)
	w.run(time.Minute)
	w.failing["a"], w.failing["b"] = 1, 1
	for _, h := range []Health{Amiss, Tripped} {
		w.health["a"], w.health["b"] = h, h
		w.run(5 * time.Second)
		w.wants("a", "b", 0, 0)
		w.wants("b", "a", 0, 0)
	}
}

// Whatever is reported, sigma is a share, nobody's own, and what it lets through
// is expected to fit; it rises slowly; and nothing grows.
func TestSigma(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p Plan
		now := time.Duration(0)
		endpoints := rapid.IntRange(1, 6).Draw(t, "endpoints")
		zones := rapid.IntRange(1, 4).Draw(t, "zones")
		amount := func(what string, most float64) float64 { return rapid.Float64Range(0, most).Draw(t, what) }
		capacity := make([]float64, endpoints)
		for i := range capacity {
			capacity[i] = rapid.SampledFrom([]float64{0, 50, 400, 3000}).Draw(t, "capacity")
		}
		for range rapid.IntRange(1, 40).Draw(t, "ticks") {
			dt := time.Duration(rapid.Int64Range(1, int64(time.Second)).Draw(t, "dt"))
			now += dt
			tk := Tick{Now: now, Missing: rapid.Bool().Draw(t, "missing")}
			for i := range endpoints {
				e := EndpointTick{
					Name: fmt.Sprint("e", i), Capacity: capacity[i], Health: rapid.SampledFrom([]Health{Well, Well, Well, Amiss, Tripped}).Draw(t, "health"),
					Attempts: amount("attempts", 500), OK: amount("ok", 500),
				}
				e.Foreign, e.Strained = e.Attempts*amount("foreign", 1), e.OK*amount("strained", 1)
				demand := amount("demand", 300)
				e.Zones = []ZoneTick{{fmt.Sprint("z", i%zones), true, demand, demand * amount("need", 1)}}
				tk.Endpoints = append(tk.Endpoints, e)
			}
			was := map[[2]string]float64{}
			for z := range zones {
				for i := range endpoints {
					k := [2]string{fmt.Sprint("z", z), fmt.Sprint("e", i)}
					was[k] = p.Sigma(k[0], k[1])
				}
			}
			p.Step(tk)
			for i, e := range p.endpoints {
				spare, load := p.spare(e), 0.
				for _, z := range p.zones {
					s := p.Sigma(z.name, e.name)
					switch {
					case math.IsNaN(s) || s < 0 || s > 1:
						t.Fatalf("sigma %v", s)
					case s > 0 && tk.Endpoints[i].Health != Well:
						t.Fatalf("%s diverts %v to %s", z.name, s, e.name)
					}
					home := i%zones == int(z.name[1]-'0')
					comes, wanted, trouble := 0., 0., false
					for k, other := range p.endpoints {
						if k == i || k%zones != int(z.name[1]-'0') {
							continue
						}
						h := other.known(z.name)
						ill := tk.Endpoints[k].Health != Well
						if ill || !home {
							comes += h.need
						}
						if ill && !trouble {
							trouble, wanted = true, 0
						}
						if ill || !trouble {
							wanted += h.memory
						}
					}
					if s > 0 && home && !trouble {
						t.Fatalf("%s diverts %v to %s, a sibling of what is well", z.name, s, e.name)
					}
					load += s * comes
					before := was[[2]string{z.name, e.name}]
					if wanted > 0 && s > max(before+.1*dt.Seconds(), spare/wanted)+1e-6 {
						t.Fatalf("sigma rises from %v to %v in %v; the spare is %v, the demand %v", before, s, dt, spare, wanted)
					}
				}
				if load > spare*(1+1e-9)+1e-9 {
					t.Fatalf("%v may come to %s, of which %v is free", load, e.name, spare)
				}
			}
		}
	})
}

// A zone whose home is elsewhere by now is helped like any other where it was; its
// demand is still reckoned with there.
func TestHomesMove(t *testing.T) {
	var p Plan
	run := func(d time.Duration, home string) {
		for end := p.now + d; p.now < end; {
			tk := Tick{Now: p.now + tick}
			for _, name := range []string{"a", "b"} {
				e := EndpointTick{Name: name, Capacity: 400, Attempts: 25, OK: 25, Zones: []ZoneTick{{Zone: "z", Home: name == home}}}
				if name == home {
					e.Zones[0].Demand = 25
				}
				tk.Endpoints = append(tk.Endpoints, e)
			}
			p.Step(tk)
		}
	}
	run(10*time.Second, "a")
	if at, away := p.Sigma("z", "a"), p.Sigma("z", "b"); at != 0 || away == 0 {
		t.Errorf("sigma is %v at home and %v elsewhere", at, away)
	}
	run(tick, "b")
	if at := p.Sigma("z", "b"); at != 0 {
		t.Errorf("sigma is %v where the zone is at home since now", at)
	}
	run(10*time.Second, "b")
	if was := p.Sigma("z", "a"); was == 0 {
		t.Error("nothing may be diverted to where the zone was at home before")
	}
	if _, zones := p.Shares("a"); len(zones) != 1 || zones[0].Memory < 80 {
		t.Errorf("a's own users are forgotten: %+v", zones)
	}
}

// Names of zones that are made up do not keep out those that are real, and push out
// none that are heard.
func TestInventedZones(t *testing.T) {
	var p Plan
	for i := range 200 {
		tk := Tick{Now: p.now + tick}
		for _, name := range []string{"a", "b"} {
			tk.Endpoints = append(tk.Endpoints, EndpointTick{Name: name, Attempts: 25, OK: 25, Zones: []ZoneTick{{name, true, 25, 0}}})
		}
		e := &tk.Endpoints[0]
		e.Zones = append(e.Zones, ZoneTick{fmt.Sprint("invented ", i), true, 50, 50})
		if i >= 100 {
			tk.Endpoints = append(tk.Endpoints, EndpointTick{Name: "late", Zones: []ZoneTick{{"late", true, 1, 0}}})
		}
		p.Step(tk)
		if i > 60 && (p.Sigma("a", "b") == 0 || p.Sigma("b", "b") > 0) {
			t.Fatalf("at tick %d zones a and b are %v and %v at b", i, p.Sigma("a", "b"), p.Sigma("b", "b"))
		}
	}
	if _, zones := p.Shares("late"); len(zones) == 0 {
		t.Error("there is no room for a real zone")
	}
}

func TestBounds(t *testing.T) {
	var p Plan
	tk := Tick{Now: tick}
	for i := range 200 {
		tk.Endpoints = append(tk.Endpoints, EndpointTick{Name: fmt.Sprint(i), Zones: []ZoneTick{{fmt.Sprint(i), true, 1, 1}}})
	}
	p.Step(tk)
	if len(p.endpoints) != 64 || len(p.zones) != MaxZones {
		t.Errorf("%d endpoints, %d zones", len(p.endpoints), len(p.zones))
	}
	tk.Now += tick
	tk.Endpoints = tk.Endpoints[100:103]
	for range 2 { // what they want is known after the first
		p.Step(tk)
		tk.Now += tick
	}
	if len(p.endpoints) != 3 || len(p.zones) != 3 || p.Sigma("1", "0") != 0 {
		t.Errorf("%d endpoints and %d zones are kept of three", len(p.endpoints), len(p.zones))
	}
	tk.Endpoints[0].Zones = nil
	for range 2 {
		tk.Now += 6 * time.Hour
		p.Step(tk)
	}
	if len(p.zones) != 2 {
		t.Errorf("%d zones of two that still want something", len(p.zones))
	}
}
