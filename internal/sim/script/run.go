package script

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/murmuration-go/murmuration/internal/ledger"
	"github.com/murmuration-go/murmuration/internal/rendezvous"
	"github.com/murmuration-go/murmuration/internal/sim"
	"github.com/murmuration-go/murmuration/internal/sim/guarantee"
)

// Options are how a script is run. Zero means the default.
type Options struct {
	Output io.Writer // gets what the script shows and traces, indented; nil: nobody does
	Echo   bool      // and the lines of the script as well, each before what it leads to
	Trace  bool      // everything is traced, whether or not the script says so

	Strategy sim.Strategy // default: what is shipped, as it is shipped
	Watch    sim.Watch    // looks on instead of the checker of guarantees
}

// Outcome is what became of a script.
type Outcome struct {
	Checks  map[string]uint64 // by guarantee
	Probes  float64           // largest ratio of first tries that reached a dead endpoint to what G5 means by few
	Events  uint64
	Elapsed time.Duration // virtual

	Kind     string // of budget
	Budget   guarantee.Budget
	Lending  sim.Lending
	Members  int // that live
	Calls    Sums
	Messages sim.Messages
}

// Sums are what became of all calls.
type Sums struct{ Firsts, OK, Refused, Attempts, Retries int }

// run is a script under way.
type run struct {
	config  sim.Config
	service sim.ServiceConfig
	server  sim.ServerConfig // of each endpoint
	tier    int              // endpoints a zone, 0 is one
	loaded  bool             // the script says what the load is
	budget  string           // one of the words below; "" is elastic
	joins   int              // that the script holds

	w     *sim.World // nil until the setup is over
	watch watch
	trace gate

	effects []*effect // faults of the server that last, oldest first
	splits  int
	liar    *sim.Member // the last to begin to lie
	mended  time.Duration
	garbled bool // messages of anybody have been
	shown   shown
}

// The kinds of budget.
const (
	budgetStrict  = "strict"
	budgetElastic = "elastic"
	budgetBare    = "bare"
)

// rules are those of the members' budgets.
func (r *run) rules() (rules ledger.Rules) {
	switch r.budget {
	case budgetStrict:
		rules.MaxMembers = r.config.Members + r.joins
	case budgetBare:
		rules.Stipend = -1
		r.watch.NoStipend()
	}
	return rules
}

// gate lets the trace pass while it is on, and indents what passes.
type gate struct {
	to  io.Writer
	all bool
	on  bool
}

func (g *gate) Write(line []byte) (int, error) {
	if g.on || g.all {
		if _, err := fmt.Fprintf(g.to, "  %s", line); err != nil {
			return 0, err
		}
	}
	return len(line), nil
}

// Run runs a script. The error is a *guarantee.BrokenError if a guarantee has been
// broken, at which the script ends, or says why the script cannot be run, and
// then there is no outcome. The same script always writes the same bytes.
func Run(s Script, o Options) (*Outcome, error) {
	text := s.String()
	s, err := Parse(strings.NewReader(text)) // what cannot be written cannot be run
	if err != nil {
		return nil, err
	}
	if o.Output == nil {
		o.Output = io.Discard
	}
	r := &run{config: sim.Config{Members: 12, Strategy: o.Strategy}}
	r.server.Capacity = 1000
	r.trace.to, r.trace.all = o.Output, o.Trace
	r.watch = watch{Checker: guarantee.New(), r: r}
	if r.config.Watch = &r.watch; o.Watch != nil {
		r.config.Watch = o.Watch
	}
	if o.Trace || slices.ContainsFunc(s, func(l Line) bool { return l.Name == "trace" }) {
		r.config.Trace = &r.trace
	}
	for i := range s {
		if s[i].Name == "join" {
			r.joins++
		}
	}
	for i := range s {
		if o.Echo {
			fmt.Fprintln(o.Output, s[i])
		}
		if r.apply(&s[i]); r.watch.Err() != nil {
			break
		}
	}
	r.start()
	return r.outcome(), r.watch.Err()
}

func (r *run) apply(l *Line) {
	c, ok := find(l.Name)
	switch {
	case !ok: // prose
	case r.w == nil && !c.begins(l):
		c.setup(r, l)
	default:
		r.start()
		c.do(r, l)
	}
}

// start begins the world once the setup is over.
func (r *run) start() {
	if r.w != nil {
		return
	}
	for zone := range max(r.config.Zones, 1) {
		e := r.server
		e.Zone = zone
		for range max(r.tier, 1) {
			r.service.Servers = append(r.service.Servers, e)
		}
	}
	if !r.loaded {
		r.service.Load = .8 * r.server.Capacity * float64(len(r.service.Servers))
	}
	r.config.Services = []sim.ServiceConfig{r.service}
	if r.config.Strategy.New == nil {
		r.config.Strategy = sim.Ours(sim.Options{Rules: r.rules()})
	}
	r.w = sim.New(r.config)
	r.network(r.config.Network)
	r.settle()
}

func (r *run) outcome() *Outcome {
	n := &r.w.Service(0).Count
	return &Outcome{
		Checks: r.watch.Checks(), Probes: r.watch.Probes,
		Events: r.w.Events(), Elapsed: r.w.Now() - sim.Start,
		Kind: cmp.Or(r.budget, budgetElastic), Budget: r.watch.Budget(), Lending: r.w.Lending(),
		Members: len(r.w.Live()), Messages: r.w.Messages(),
		Calls: Sums{n.Firsts, total(n.OK), n.Refused, n.Attempts, n.Retries},
	}
}

func total(v []int) (n int) {
	for _, x := range v {
		n += x
	}
	return n
}

// shown is how things were when they were last shown.
type shown struct {
	calls    Sums
	messages sim.Messages
	lending  sim.Lending
}

// show writes how things are and what has come of the calls since the last time.
// Calls under way count as not (yet) answered.
func (r *run) show() {
	s := r.w.Service(0)
	o := r.outcome()
	was := &r.shown
	firsts := o.Calls.Firsts - was.calls.Firsts
	var b bytes.Buffer
	say := func(format string, args ...any) { fmt.Fprintf(&b, "  "+format+"\n", args...) }
	say("%.1f s: %d members, %d of them dimmed, %d restricted", o.Elapsed.Seconds(), o.Members, s.Count.Dimmed, s.Count.Restricted)
	say("%d calls, %.1f %% of them answered; %d turned away; %d attempts, %d of them retries", firsts,
		100*float64(o.Calls.OK-was.calls.OK)/float64(max(firsts, 1)), o.Calls.Refused-was.calls.Refused,
		o.Calls.Attempts-was.calls.Attempts, o.Calls.Retries-was.calls.Retries)
	if l, was := o.Lending, was.lending; l != was {
		say("%.1f tokens lent, %.1f promised by liars, %.1f borrowed", l.Lent-was.Lent, l.Forged-was.Forged, l.Borrowed-was.Borrowed)
	}
	say("%d reports and answers, %d packets of gossip; %d messages lost", o.Messages.Sends-was.messages.Sends,
		o.Messages.Packets-was.messages.Packets, o.Messages.Lost-was.messages.Lost)
	for i, m := range r.deciders() {
		for _, e := range s.Servers {
			if d, ok := m.Node().Decided(s.Name, e.Name); ok {
				say("%s of %s: %v, phi %.4f, retries %v%s (%v)", m.Name, e.Name, d.State, d.Phi.Float(), d.Mode, wait(d.Pushback), d.Why)
			} else if i < rendezvous.Stewards {
				say("%s of %s: has heard nothing", m.Name, e.Name)
			}
		}
	}
	r.shown = shown{o.Calls, o.Messages, o.Lending}
	_, _ = r.trace.to.Write(b.Bytes())
}

func wait(pushback time.Duration) string {
	if pushback == 0 {
		return ""
	}
	return fmt.Sprintf(" in %.1f s", pushback.Seconds())
}

// deciders are the stewards, best first, and then those who take themselves for
// one, in a split for instance.
func (r *run) deciders() []*sim.Member {
	l := slices.Clone(r.w.Stewards(0))
	l = slices.DeleteFunc(l, func(m *sim.Member) bool { return m.Node() == nil })
	s := r.w.Service(0)
	for _, m := range r.w.Live() {
		if m.Node() == nil || slices.Contains(l, m) {
			continue
		}
		for _, e := range s.Servers {
			if _, ok := m.Node().Decided(s.Name, e.Name); ok {
				l = append(l, m)
				break
			}
		}
	}
	return l
}
