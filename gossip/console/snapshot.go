package console

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/murmuration-go/murmuration/gossip"
)

const (
	every        = time.Second // a snapshot is made, at most
	mostShown    = 512         // members, and endpoints, of a snapshot
	mostDecided  = 200         // decisions of a snapshot
	allDecisions = math.MaxInt
	loadIsOld    = 3 * time.Second
)

// snapshot is all of the page.
type snapshot struct {
	Seq              uint64            `json:"seq"`
	At               time.Time         `json:"at"`
	Cluster          string            `json:"cluster"`
	Zone             string            `json:"zone"`
	Health           gossip.Health     `json:"health"`
	Members          []gossip.Member   `json:"members"`
	MembersLeftOut   int               `json:"members_left_out"`
	Endpoints        []endpoint        `json:"endpoints"`
	EndpointsLeftOut int               `json:"endpoints_left_out"`
	Decisions        []gossip.Decision `json:"decisions"`
	Budgets          []gossip.Budget   `json:"budgets"`
	Overrides        []gossip.Override `json:"overrides"`
	Writable         bool              `json:"writable"`
	Signs            bool              `json:"signs"`
	HistoryWithout   int               `json:"history_without"`
}

// endpoint is an endpoint with its load, and with what happened to it last.
type endpoint struct {
	gossip.Endpoint
	Load     *load            `json:"load"`
	Last     *gossip.Decision `json:"last"`
	Verdicts []gossip.Verdict `json:"verdicts"`
}

// load is a gossip.Point.
type load struct {
	Phi     float64 `json:"phi"`
	Wanted  float64 `json:"wanted"`
	OK      float64 `json:"ok"`
	Failed  float64 `json:"failed"`
	Retries float64 `json:"retries"`
	Demand  float64 `json:"demand"`
}

func look(c *gossip.Cluster, seq uint64, now time.Time) *snapshot {
	decisions := c.Decisions(allDecisions)
	s := &snapshot{
		Seq: seq, At: now, Cluster: c.Name(), Zone: c.Zone(), Health: c.Health(),
		Members: list(c.Members()), Endpoints: list(endpoints(c, decisions)),
		Decisions: list(decisions[:min(len(decisions), mostDecided)]), Budgets: list(c.Budgets()), Overrides: list(c.Overrides()),
		HistoryWithout: c.History("", now).Without,
	}
	if n := len(s.Members) - mostShown; n > 0 {
		s.Members, s.MembersLeftOut = s.Members[:mostShown], n
	}
	if n := len(s.Endpoints) - mostShown; n > 0 {
		slices.SortStableFunc(s.Endpoints, func(a, b endpoint) int { return cmp.Compare(a.trouble(), b.trouble()) })
		s.Endpoints, s.EndpointsLeftOut = s.Endpoints[:mostShown], n
	}
	return s
}

// trouble is 0 for an endpoint that a person is to look at.
func (e *endpoint) trouble() int {
	if e.DecidedBy != "local" || e.OwnPathBroken || e.Last != nil && e.Last.State != "closed" {
		return 0
	}
	return 1
}

// endpoints returns those of the member, by service and name.
func endpoints(c *gossip.Cluster, decisions []gossip.Decision) []endpoint {
	type key struct{ service, endpoint string }
	last := map[key]*gossip.Decision{}
	for i := range slices.Backward(decisions) { // the newest come first
		d := &decisions[i]
		last[key{d.Service, d.Endpoint}] = d
	}
	loads := map[key]*load{}
	for _, s := range c.History("", time.Now().Add(-loadIsOld)).Series {
		if n := len(s.Points); n > 0 {
			p := &s.Points[n-1]
			loads[key{s.Service, s.Endpoint}] = &load{p.Phi, p.Wanted, p.OK, p.Failed, p.Retries, p.Demand}
		}
	}
	verdicts := map[key][]gossip.Verdict{}
	for _, v := range c.Verdicts() {
		k := key{v.Service, v.Endpoint}
		verdicts[k] = append(verdicts[k], v)
	}
	var all []endpoint
	for _, e := range c.Endpoints() {
		k := key{e.Service, e.Name}
		all = append(all, endpoint{e, loads[k], last[k], list(verdicts[k])})
	}
	return all
}

// board is the snapshot that all viewers share.
type board struct {
	c        *gossip.Cluster
	writable bool // overrides may be placed here,
	signs    bool // also such as are not signed

	mu   sync.Mutex
	last *shot
	seq  uint64
}

// shot is a snapshot as it is sent. It is not changed.
type shot struct {
	seq   uint64
	at    time.Time
	body  []byte
	event []byte
}

// look returns the snapshot, which is at most a second old.
func (b *board) look() (*shot, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.last != nil && now.Sub(b.last.at) < every {
		return b.last, nil
	}
	next := look(b.c, b.seq+1, now)
	next.Writable, next.Signs = b.writable, b.signs
	body, err := json.Marshal(next)
	if err != nil {
		return nil, err
	}
	b.seq++
	b.last = &shot{seq: b.seq, at: now, body: body, event: fmt.Appendf(nil, "event: snapshot\nid: %d\ndata: %s\n\n", b.seq, body)}
	return b.last, nil
}

func (h *handler) snapshot(w http.ResponseWriter, _ *http.Request) {
	s, err := h.board.look()
	if err != nil {
		h.fail(w, err)
		return
	}
	write(w, s.body)
}

func (h *handler) decisions(w http.ResponseWriter, r *http.Request) {
	service, n := r.URL.Query().Get("service"), mostDecided
	if service != "" {
		n = allDecisions
	}
	all := h.c.Decisions(n)
	if service != "" {
		all = slices.DeleteFunc(all, func(d gossip.Decision) bool { return d.Service != service })
	}
	h.json(w, list(all))
}
