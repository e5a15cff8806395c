package script

import (
	"slices"
	"strings"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// command is a command: its form, and what it does to the setup or to the world.
// What does both is of the setup as long as the world has not begun and no time
// is given.
type command struct {
	name  string
	form  []param
	setup func(r *run, l *Line)
	do    func(r *run, l *Line)
}

// begins tells whether the world has to be there for it.
func (c *command) begins(l *Line) bool {
	return c.do != nil && (c.setup == nil || l.For != 0)
}

func (c *command) usage() string {
	words := []string{c.name}
	for _, p := range c.form {
		words = append(words, p.name)
	}
	return strings.Join(words, " ")
}

const (
	maxMembers = 10_000
	maxRate    = 1e6
)

// Filled in by init, for what the commands do leads back to the table.
var (
	commands []command
	byName   = map[string]*command{}
)

func find(name string) (*command, bool) {
	c, ok := byName[name]
	return c, ok
}

func names() string {
	var l []string
	for i := range commands {
		l = append(l, commands[i].name)
	}
	return strings.Join(l, ", ")
}

func form(p ...param) []param { return p }

func init() {
	commands = slices.Concat(setupCommands(), serverCommands(), clusterCommands(), []command{
		// Time passes, and nothing else lets it.
		{name: "run", form: form(span()), do: func(r *run, l *Line) { r.w.Run(l.For) }},
		// How things are, and what has happened since the last time.
		{name: "show", do: func(r *run, _ *Line) { r.show() }},
		// What happens is written as it happens.
		{name: "trace", form: form(choice("on", "off")),
			setup: func(r *run, l *Line) { r.trace.on = l.Word == "on" },
			do:    func(r *run, l *Line) { r.trace.on = l.Word == "on" }},
	})
	for i := range commands {
		byName[commands[i].name] = &commands[i]
	}
}

// setupCommands say how the world is before anything happens in it.
func setupCommands() []command {
	return []command{
		{name: "seed", form: form(number("N", 0, 1<<64-1)), setup: func(r *run, l *Line) { r.config.Seed = l.N }},
		{name: "members", form: form(number("N", 1, maxMembers)), setup: func(r *run, l *Line) { r.config.Members = int(l.N) }},
		// The members' retry budgets: the stipend strictly bounded, by the most
		// members that there can be; as shipped; or without one.
		{name: "budget", form: form(choice(budgetStrict, budgetElastic, budgetBare)), setup: func(r *run, l *Line) { r.budget = l.Word }},
		// The timeout of an attempt.
		{name: "timeout", form: form(span()), setup: func(r *run, l *Line) { r.config.Timeout = l.For }},
		// Zones have an endpoint each, and share the members; it is the
		// endpoint of the first that suffers from faults.
		{name: "zones", form: form(number("K", 1, 8)), setup: func(r *run, l *Line) { r.config.Zones = int(l.N) }},
		// So many endpoints a zone has, which share its first tries; it is the
		// first of the first that suffers.
		{name: "tier", form: form(number("K", 1, 8)), setup: func(r *run, l *Line) { r.tier, r.service.Even = int(l.N), true }},
		{name: "workers", form: form(number("N", 1, 1000)), setup: func(r *run, l *Line) { r.server.Workers = int(l.N) }},
		{name: "queue", form: form(number("N", 1, 1e6)), setup: func(r *run, l *Line) { r.server.Queue = int(l.N) }},
		{name: "work", form: form(choice("constant", "exponential", "bimodal")), setup: func(r *run, l *Line) {
			switch l.Word {
			case "constant":
				r.server.Work = nil
			case "exponential":
				r.server.Work = sim.Exponential
			case "bimodal":
				r.server.Work = sim.Bimodal
			}
		}},
		{name: "newest-first", setup: func(r *run, _ *Line) { r.server.Order = sim.NewestFirst }},
		// What the queue does not hold gets no answer, instead of an error.
		{name: "drops", setup: func(r *run, _ *Line) { r.server.Drops = true }},
		// What those who are refused are told: to stay away for so long.
		{name: "retry-after", form: form(span()), setup: func(r *run, l *Line) { r.server.RetryAfter = l.For }},
		// The server passes over requests that nobody waits for.
		{name: "cancels", setup: func(r *run, _ *Line) { r.server.Cancels = true }},
		{name: "slow-workers", form: form(number("N", 1, 1000), amount("FACTOR", 1, 1000)), setup: func(r *run, l *Line) {
			r.server.SlowWorkers, r.server.Slowdown = int(l.N), l.X
		}},
	}
}

// serverCommands are what befalls the service and its endpoint.
func serverCommands() []command {
	onMember := optional(who("member", "steward", "other"))
	return []command{
		// First tries a second, of all members together.
		{name: "load", form: form(amount("X", 0, maxRate), optional(span())),
			setup: func(r *run, l *Line) { r.service.Load, r.loaded = l.X, true },
			do:    func(r *run, l *Line) { r.begin(l, &effect{load: l.X, loads: true}) }},
		// Requests a second that an endpoint serves.
		{name: "capacity", form: form(amount("X", .01, maxRate), optional(span())),
			setup: func(r *run, l *Line) { r.server.Capacity = l.X },
			do:    func(r *run, l *Line) { r.begin(l, &effect{capacity: l.X}) }},
		{name: "halve", form: form(span()), do: func(r *run, l *Line) { r.begin(l, &effect{factor: .5}) }},
		// Capacity starts at 30 % and grows to the full within D.
		{name: "cold", form: form(span()), do: (*run).cold},
		// The endpoint stands still, its queue intact.
		{name: "stall", form: form(span()), do: func(r *run, l *Line) { r.begin(l, &effect{stalls: true}) }},
		// Errors at once: all, or a share; for all members, or for one only.
		{name: "refuse", form: form(span(), onMember), do: func(r *run, l *Line) { r.fails(l, sim.Rejected, 1) }},
		{name: "errors", form: form(share(), span(), onMember), do: func(r *run, l *Line) { r.fails(l, sim.Rejected, l.X) }},
		// The same as of a broken connection: nobody is told anything.
		{name: "cut", form: form(share(), span(), onMember), do: func(r *run, l *Line) { r.fails(l, sim.Cut, l.X) }},
		// No answer to a share of the requests; 100 % is down.
		{name: "vanish", form: form(share(), span(), onMember), do: func(r *run, l *Line) { r.fails(l, sim.Swallowed, l.X) }},
	}
}

// clusterCommands are what befalls the members and what they tell each other.
func clusterCommands() []command {
	one := who("member", "steward", "other")
	return []command{
		{name: "crash", form: form(one), do: func(r *run, l *Line) { r.end(l, r.w.Crash) }},
		{name: "leave", form: form(one), do: func(r *run, l *Line) { r.end(l, r.w.Leave) }},
		{name: "join", do: func(r *run, _ *Line) { r.disturb(); r.w.Join() }},
		// The process starts anew, under the same name and with no state.
		{name: "restart", form: form(one), do: func(r *run, l *Line) { r.each(l, r.w.Restart) }},
		// The process stands still.
		{name: "pause", form: form(one, span()), do: func(r *run, l *Line) {
			r.each(l, func(m *sim.Member) {
				r.watch.Unwell()
				r.w.Pause(m, l.For)
				r.w.After(l.For, r.disturb)
			})
		}},
		// The clock jumps forward, or runs at RATE.
		{name: "jump", form: form(one, span()), do: func(r *run, l *Line) {
			r.each(l, func(m *sim.Member) { r.watch.Unwell(); r.w.Jump(m, l.For) })
		}},
		{name: "skew", form: form(one, amount("RATE", .1, 10)), do: func(r *run, l *Line) {
			r.each(l, func(m *sim.Member) { r.w.Skew(m, l.X) })
		}},
		// SHARE of the members, the last of them, are cut off from the rest;
		// or only cannot make themselves heard.
		{name: "split", form: form(share(), oneWay(), optional(span())), do: (*run).split},
		{name: "heal", do: func(r *run, _ *Line) { r.heal() }},
		// What happens to messages from now on; what is not said is zero.
		{name: "network", form: form(settings()),
			setup: func(r *run, l *Line) { r.config.Network = l.Net },
			do: func(r *run, l *Line) {
				r.disturb()
				r.w.Tracef("%v", l)
				r.w.SetNetwork(l.Net)
				r.network(l.Net)
			}},
		// A member reports, or a steward says, what is not so.
		{name: "lie", form: form(who("member", "steward"), lie()), do: (*run).lie},
		// Bits flip in a share of what it sends.
		{name: "garble", form: form(one, share()), do: func(r *run, l *Line) {
			r.lies(l, func(m *sim.Member) { m.Garble(l.X) })
		}},
		// All it says is made up, names of services and endpoints too.
		{name: "poison", form: form(one), do: func(r *run, l *Line) { r.lies(l, r.poison) }},
		{name: "honest", form: form(who("member", "steward", "all")), do: (*run).honest},
		// All faults end, but for clocks; the load is what the endpoint bears
		// easily. From then on what is healthy is to be let alone.
		{name: "mend", do: func(r *run, _ *Line) { r.mend() }},
	}
}

// step is how often a server that is warming up gets better.
const step = 250 * time.Millisecond
