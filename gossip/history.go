package gossip

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

const (
	pointEvery = time.Second
	maxPoints  = 900 // of an endpoint: 15 minutes
	maxPasts   = 256 // endpoints
)

// History is what has happened at the endpoints that this process uses.
type History struct {
	Series  []Series // by service and endpoint
	Without int      // endpoints of which nothing is kept, being beyond the first 256
}

// Series is the history of one endpoint, a point a second, the oldest first.
type Series struct {
	Service, Endpoint string
	Points            []Point
}

// Point is what happened at an endpoint within about a second. Rates are per second.
type Point struct {
	At  time.Time // its end
	Phi float64   // the share of first tries that may go, at its end

	Wanted  float64 // first tries of this process, dimmed ones included
	OK      float64 // attempts of this process that succeeded
	Failed  float64 // those that failed
	Retries float64 // retries among them
	Demand  float64 // first tries of the whole cluster; 0 while unknown
}

// History returns what has happened since then to the endpoints of a service, or of
// all of them where service is empty. Recording begins with the first call, and keeps
// the last 15 minutes of at most 256 endpoints, in 29 kB each. A nil Cluster has none.
func (c *Cluster) History(service string, since time.Time) History {
	if c == nil {
		return History{}
	}
	return c.history.read(service, since.UnixMilli())
}

// history is written by the driver, one endpoint after the other so that it never
// waits long for a reader.
type history struct {
	on atomic.Bool

	mu      sync.Mutex
	pasts   []*past // append-only
	without int
	voices  map[string]voice // of members
}

// voice is when a member was heard last, and how far it then trusted its own view.
type voice struct {
	at    time.Time
	trust *float64
}

// past is the history of one endpoint.
type past struct {
	service, endpoint string
	totals            coord.Totals // at the last point; the driver's

	mu       sync.Mutex
	points   []point // a ring once it is full
	count    int     // of all that were added
	verdicts []Verdict
	asOf     time.Time // of the verdicts' ages
}

// point is a Point in 32 bytes.
type point struct {
	at                                       int64 // Unix time in milliseconds
	phi, wanted, ok, failed, retries, demand float32
}

func (p *point) public() Point {
	return Point{
		At: time.UnixMilli(p.at), Phi: float64(p.phi), Wanted: float64(p.wanted), OK: float64(p.ok),
		Failed: float64(p.failed), Retries: float64(p.retries), Demand: float64(p.demand),
	}
}

func (h *history) read(service string, since int64) (all History) {
	h.on.Store(true)
	h.mu.Lock()
	pasts := h.pasts
	all.Without = h.without
	h.mu.Unlock()
	for _, p := range pasts {
		if service == "" || service == p.service {
			all.Series = append(all.Series, Series{p.service, p.endpoint, p.since(since)})
		}
	}
	slices.SortFunc(all.Series, func(a, b Series) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Endpoint, b.Endpoint))
	})
	return all
}

// open makes room for an endpoint, if there is any.
func (h *history) open(service, endpoint string, t coord.Totals) *past {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.pasts) >= maxPasts {
		return nil
	}
	p := &past{service: service, endpoint: endpoint, totals: t, points: make([]point, 0, maxPoints)}
	h.pasts = append(h.pasts, p)
	return p
}

func (h *history) note(without int, voices map[string]voice) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.without, h.voices = without, voices
}

// heard fills in when each of the members was heard.
func (h *history) heard(all []Member) []Member {
	h.mu.Lock()
	voices := h.voices // replaced, and not changed
	h.mu.Unlock()
	for i := range all {
		v := voices[all[i].Name]
		all[i].Heard, all[i].Trust = v.at, v.trust
	}
	return all
}

func (p *past) add(q point, verdicts []Verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.verdicts, p.asOf = verdicts, time.Now()
	if len(p.points) < maxPoints {
		p.points = append(p.points, q)
	} else {
		p.points[p.count%maxPoints] = q
	}
	p.count++
}

func (p *past) since(at int64) []Point {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.points)
	first := n
	for first > 0 && p.oldest(first-1).at > at {
		first--
	}
	points := make([]Point, 0, n-first)
	for i := first; i < n; i++ {
		points = append(points, p.oldest(i).public())
	}
	return points
}

// oldest is the i-th of what is kept, from 0.
func (p *past) oldest(i int) *point { return &p.points[(p.count+i)%len(p.points)] }

// record adds a point to each endpoint's history, once a second.
func (d *driver) record(now time.Duration) {
	h := &d.c.history
	span := now - d.recorded
	if !h.on.Load() || span < pointEvery-tick/2 {
		return
	}
	d.recorded = now
	at := time.Now().UnixMilli()
	without := 0
	for _, s := range d.order {
		for _, u := range s.endpoints {
			if u.past == nil {
				if u.past = h.open(s.name, u.ep.Name(), u.totals); u.past == nil {
					without++
				}
				continue
			}
			q := u.rates(span)
			q.at, q.phi, q.demand = at, float32(u.ep.Advice().Phi.Float()), d.demand(now, s.name, u.ep.Name())
			u.past.add(q, d.verdicts(now, s.name, u.ep.Name()))
		}
	}
	h.note(without, d.voices(now))
}

// verdicts are what stewards say of an endpoint.
func (d *driver) verdicts(now time.Duration, service, endpoint string) (all []Verdict) {
	for v := range d.node.Verdicts(now, service, endpoint) {
		all = append(all, Verdict{
			Service: service, Endpoint: endpoint, Steward: v.Origin.Member, State: v.Row.State.String(),
			Opinion: opinion(v.Row.Phi, v.Row.Mode), Age: v.Age, Fresh: v.Fresh,
		})
	}
	return all
}

// voices are those of the members that have been heard.
func (d *driver) voices(now time.Duration) map[string]voice {
	all := map[string]voice{}
	for _, m := range d.members {
		if h, ok := d.node.Heard(m.Name); ok {
			v := voice{at: time.Now().Add(h.At - now)}
			if h.Trust >= 0 {
				v.trust = &h.Trust
			}
			all[m.Name] = v
		}
	}
	return all
}

// rates are what the counters have grown by since the last point.
func (u *usedEndpoint) rates(span time.Duration) point {
	is, was := u.totals, u.past.totals
	u.past.totals = is
	rate := func(is, was uint64) float32 { return float32(float64(is-was) / span.Seconds()) }
	return point{
		wanted: rate(is.Demand, was.Demand), ok: rate(is.OK, was.OK),
		failed: rate(is.FailSlow+is.FailFast, was.FailSlow+was.FailFast), retries: rate(is.Retries, was.Retries),
	}
}

// demand is the cluster's at an endpoint, of which at least two stewards know.
func (d *driver) demand(now time.Duration, service, endpoint string) float32 {
	var first, second uint64
	for v := range d.node.Verdicts(now, service, endpoint) {
		switch {
		case !v.Fresh:
		case v.Row.Demand > first:
			first, second = v.Row.Demand, first
		default:
			second = max(second, v.Row.Demand)
		}
	}
	return float32(float64(second) / 1000)
}
