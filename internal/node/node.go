package node

import (
	"slices"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/law"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// Bounds of a node's memory. What is refused beyond them is counted.
const (
	MaxUsed  = 256  // services that this member uses, and that one other alone speaks of
	MaxKnown = 2048 // services that it has heard of, used ones included
)

// Node is one member. It is not safe for concurrent use.
type Node struct {
	self        string
	incarnation uint64
	seq         uint64

	roster *Roster

	services map[string]*service
	order    []*service // by name, so that nothing depends on map order
	used     int
	sole     map[string]int // services that a member alone speaks of, since the last tick at most too many

	ticked   bool
	measured time.Duration // when the load was

	heard map[string]Heard // members, by name

	loans lending
	stats Stats
	out   Output
	tape  *Tape // nil: nothing is recorded
}

// service is what a node knows of one service, in either half.
type service struct {
	name     string
	used     bool
	stewards []string // the top three, best first
	mine     bool     // self is one of them
	policy   uint32   // this member's, if it uses the service
	voices   voices   // of those who report on it, if mine, or decide on it

	views map[string]*view
	names []string // keys of views, sorted
	own   int      // views of endpoints that this member uses

	duties    map[string]*duty
	dutyOrder []*duty
	callers   map[string]*caller
	callOrder []string
	tally     tally // of the callers' policies

	toldFellows time.Duration // when the other stewards were told last
	demand      uint64        // first tries when the load was measured last

	planner *planner // nil: there is nothing to plan

	loansOpen   bool // as told last
	loansPaused time.Duration
	empty       int // answers to asks, in a row
}

// New returns a node that knows of nobody but itself. The incarnation orders
// processes that share a name; names should be unique to one start of a process.
func New(self string, incarnation uint64) *Node {
	n := &Node{self: self, incarnation: incarnation, services: map[string]*service{}, heard: map[string]Heard{}, sole: map[string]int{}, loans: newLending()}
	n.SetMembers(NewRoster([]string{self}))
	return n
}

// Output is what a node wants done. It is valid until the node's next call.
type Output struct {
	Sends  []Send   // to one member each
	Casts  []Cast   // to everybody
	Advice []Advice // to be published to this process

	Decisions []Decision // what this node, as a steward, has decided anew
	Loads     []Load     // of the services in use, each second

	Asked   []Asked   // to be answered by Lend
	Credits []Credit  // for this process's budgets
	Lending []Lending // changes of whether there is anybody to ask
}

// Decision is a change of what this node says of an endpoint as its steward.
type Decision struct {
	Service, Endpoint string
	Was, Is           law.Decision
}

// Send is a message to one member.
type Send struct {
	To   string
	Data []byte
}

// Cast is a message to everybody. A newer cast of the same key replaces an
// older one that is still queued.
type Cast struct {
	Key  string
	Data []byte
}

// Advice is a change of what is advised about an endpoint.
type Advice struct {
	Service, Endpoint string
	coord.Advice
}

// SetMembers tells who all the live members are, self included. The roster is
// kept, not copied.
func (n *Node) SetMembers(r *Roster) {
	n.roster = r
	n.tape.members(r)
	for name := range n.heard {
		if !r.Has(name) {
			delete(n.heard, name)
		}
	}
	for _, s := range n.order {
		n.appoint(s)
	}
}

// Members is the number of live members.
func (n *Node) Members() int { return n.roster.Len() }

// appoint works out who watches over a service. A node that is not one of its
// stewards any more forgets the duty.
func (n *Node) appoint(s *service) {
	s.stewards = n.roster.Top(s.name)
	s.mine = slices.Contains(s.stewards, n.self)
	if !s.mine {
		s.duties, s.dutyOrder, s.callers, s.callOrder, s.planner = nil, nil, nil, nil, nil
		s.tally = tally{}
	}
	for _, d := range s.dutyOrder {
		d.law.Appoint(s.stewards)
	}
	for _, v := range s.views {
		v.keep(s.stewards)
	}
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Samples is one service's counters, read by the caller.
type Samples struct {
	Service   string
	Policy    uint32 `json:",omitempty"` // see coord.Service
	Endpoints []coord.Sample
}

// Tick takes one tick of law.Tick: it reports, decides, and works out advice.
// health is how far the member trusts its own view, 0 to 255.
func (n *Node) Tick(now time.Duration, samples []Samples, health uint8) *Output {
	n.out = Output{}
	if !n.ticked { // from now on
		n.ticked, n.measured = true, now
	}
	n.report(now, samples, health)
	n.measure(now, samples)
	n.decide(now)
	n.advise(now)
	n.lend(now)
	n.expire(now)
	n.tape.tick(now, samples, health, &n.out)
	return &n.out
}

// Deliver takes in one message as it came from the network. It keeps nothing
// of data.
func (n *Node) Deliver(now time.Duration, data []byte) *Output {
	n.out = Output{}
	n.stats.Received++
	m, err := wire.Decode(data)
	switch {
	case err != nil:
		n.stats.malformed(err)
	case m.Kind == wire.KindReport && m.Report.Origin.Member == n.self: // our own do not come this way
		n.stats.Drop(DropStale)
	case m.Kind == wire.KindReport:
		n.heardReport(now, m.Report)
	case m.Kind == wire.KindVerdicts:
		n.heardVerdicts(now, m.Verdicts)
	case m.Kind == wire.KindAsk:
		n.heardAsk(now, m.Loan)
	case m.Kind == wire.KindLoan:
		n.heardLoan(now, m.Loan)
	}
	if err == nil {
		n.heed(now, &m)
	}
	n.tape.deliver(now, data, &n.out)
	return &n.out
}

// heed notes that a member has been heard.
func (n *Node) heed(now time.Duration, m *wire.Message) {
	from, told := m.From(), Heard{At: now, Trust: -1}
	if r := m.Report; r != nil && len(r.Rows) > 0 {
		told.Trust = float64(r.Rows[0].Health) / 255
	} else if was, ok := n.heard[from]; ok {
		told.Trust = was.Trust
	}
	if from != n.self && n.roster.Has(from) {
		n.heard[from] = told
	}
}

func (n *Node) nextSeq() uint64 {
	n.seq++
	return n.seq
}

func (n *Node) origin() wire.Origin {
	return wire.Origin{Member: n.self, Incarnation: n.incarnation, Seq: n.nextSeq()}
}
