package node

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/murmuration-go/murmuration/internal/wire"
)

const tapeBytes = 64 << 20 // that one tape may hold, about

// Tape is what one node was told, call by call, and what it answered. Since a
// node draws on nothing else, a fresh one that is told the same answers the same,
// byte for byte: Replay proves it, of a live member's tape as of a simulated one.
// (Processors that round floating point alike are taken for granted.)
//
// The zero value is an empty tape, ready for Node.Record. A tape is the node's
// goroutine's until that has ended. When it is full the calls that follow are
// only counted; what it holds still replays, for it is the beginning.
type Tape struct {
	Name        string
	Incarnation uint64
	Calls       []Call
	Lost        int // calls that came when the tape was full

	size int
}

// Call is one call into a node and what came of it.
type Call struct {
	Do  string        `json:"do"` // members, tick, deliver, ask or lend
	Now time.Duration `json:"now,omitempty"`

	Names   []string  `json:"names,omitempty"`
	Lacking bool      `json:"lacking,omitempty"`
	Samples []Samples `json:"samples,omitempty"`
	Health  uint8     `json:"health,omitempty"`
	Data    []byte    `json:"data,omitempty"`
	Service string    `json:"service,omitempty"`
	Random  uint64    `json:"random,omitempty"`
	Loan    *Asked    `json:"loan,omitempty"`
	Amount  int64     `json:"amount,omitempty"`

	Sends     []Send      `json:"sends,omitempty"`
	Casts     []TapedCast `json:"casts,omitempty"`
	Advice    []Advice    `json:"advice,omitempty"`
	Decisions []Decision  `json:"decisions,omitempty"`
	Loads     []Load      `json:"loads,omitempty"`
	Asked     []Asked     `json:"asked,omitempty"`
	Credits   []Credit    `json:"credits,omitempty"`
	Lending   []Lending   `json:"lending,omitempty"`
}

// TapedCast is a Cast. Its key is bytes, for it need not be UTF-8.
type TapedCast struct{ Key, Data []byte }

// Names of the calls.
const (
	doMembers = "members"
	doTick    = "tick"
	doDeliver = "deliver"
	doAsk     = "ask"
	doLend    = "lend"
)

// Record puts the node's members and all further calls on a tape, which must be
// empty. It comes before the first Tick or Deliver. Nil, the default, records
// nothing.
func (n *Node) Record(t *Tape) {
	if t != nil {
		t.Name, t.Incarnation = n.self, n.incarnation
	}
	n.tape = t
	t.members(n.roster)
}

func (t *Tape) members(r *Roster) {
	if t != nil {
		t.add(Call{Do: doMembers, Names: r.Names(), Lacking: r.Lacking()}, nil)
	}
}

func (t *Tape) tick(now time.Duration, samples []Samples, health uint8, out *Output) {
	if t != nil {
		t.add(Call{Do: doTick, Now: now, Samples: samples, Health: health}, out)
	}
}

func (t *Tape) deliver(now time.Duration, data []byte, out *Output) {
	if t != nil {
		t.add(Call{Do: doDeliver, Now: now, Data: data}, out)
	}
}

func (t *Tape) ask(now time.Duration, service string, r uint64, out *Output) {
	if t != nil {
		t.add(Call{Do: doAsk, Now: now, Service: service, Random: r}, out)
	}
}

func (t *Tape) lend(now time.Duration, a Asked, amount int64, out *Output) {
	if t != nil {
		t.add(Call{Do: doLend, Now: now, Loan: &a, Amount: amount}, out)
	}
}

// add copies a call, since all of it belongs to others, and what it returned.
func (t *Tape) add(c Call, out *Output) {
	c.Samples = slices.Clone(c.Samples)
	for i := range c.Samples {
		c.Samples[i].Endpoints = slices.Clone(c.Samples[i].Endpoints)
	}
	c.Data = bytes.Clone(c.Data)
	if out != nil {
		for _, s := range out.Sends {
			c.Sends = append(c.Sends, Send{s.To, bytes.Clone(s.Data)})
		}
		for _, x := range out.Casts {
			c.Casts = append(c.Casts, TapedCast{[]byte(x.Key), bytes.Clone(x.Data)})
		}
		c.Advice, c.Decisions, c.Loads = slices.Clone(out.Advice), slices.Clone(out.Decisions), slices.Clone(out.Loads)
		c.Asked, c.Credits, c.Lending = slices.Clone(out.Asked), slices.Clone(out.Credits), slices.Clone(out.Lending)
	}
	if !t.room(&c) {
		t.Lost++
		return
	}
	t.Calls = append(t.Calls, c)
}

// room reports whether there is room for a call, and takes it. Nothing follows
// a call that was left out.
func (t *Tape) room(c *Call) bool {
	const call, item = 256, 256 // rounded up: what the fixed parts take
	size := call + len(c.Data) + 64*len(c.Names) + item*(len(c.Sends)+len(c.Casts)+2*len(c.Advice)+2*len(c.Decisions)+len(c.Loads)+len(c.Asked)+len(c.Credits)+len(c.Lending))
	for i := range c.Samples {
		size += item * (1 + len(c.Samples[i].Endpoints))
	}
	for i := range c.Sends {
		size += len(c.Sends[i].Data)
	}
	for i := range c.Casts {
		size += len(c.Casts[i].Data)
	}
	if t.Lost > 0 || t.size+size > tapeBytes {
		return false
	}
	t.size += size
	return true
}

// Replay tells a fresh node all that the tape holds and compares its answers
// with those on the tape. The error is about the first that differs.
func (t *Tape) Replay() error {
	n := New(t.Name, t.Incarnation)
	for i := range t.Calls {
		c := &t.Calls[i]
		var out *Output
		switch c.Do {
		case doMembers:
			r := NewRoster(c.Names)
			if c.Lacking {
				r = r.AsLacking()
			}
			n.SetMembers(r)
			out = &Output{}
		case doTick:
			out = n.Tick(c.Now, c.Samples, c.Health)
		case doDeliver:
			out = n.Deliver(c.Now, c.Data)
		case doAsk:
			out = n.Ask(c.Now, c.Service, c.Random)
		case doLend:
			if c.Loan == nil {
				return fmt.Errorf("node: tape of %s: call %d: a loan to nobody", t.Name, i)
			}
			out = n.Lend(c.Now, *c.Loan, c.Amount)
		default:
			return fmt.Errorf("node: tape of %s: call %d: there is no call %q", t.Name, i, c.Do)
		}
		if err := c.compare(out); err != nil {
			return fmt.Errorf("node: tape of %s: call %d of %d, %s at %v: %w", t.Name, i, len(t.Calls), c.Do, c.Now, err)
		}
	}
	return nil
}

func (c *Call) compare(out *Output) error {
	casts := make([]TapedCast, len(out.Casts))
	for i, x := range out.Casts {
		casts[i] = TapedCast{[]byte(x.Key), x.Data}
	}
	return cmp.Or(
		firstDifference("send", c.Sends, out.Sends,
			func(a, b Send) bool { return a.To == b.To && bytes.Equal(a.Data, b.Data) },
			func(s Send) string { return "to " + s.To + ": " + readable(s.Data) }),
		firstDifference("cast", c.Casts, casts,
			func(a, b TapedCast) bool { return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Data, b.Data) },
			func(x TapedCast) string { return fmt.Sprintf("of key %q: %s", x.Key, readable(x.Data)) }),
		firstDifference("advice", c.Advice, out.Advice, equal[Advice], show[Advice]),
		firstDifference("decision", c.Decisions, out.Decisions, equal[Decision], show[Decision]),
		firstDifference("load", c.Loads, out.Loads, equal[Load], show[Load]),
		firstDifference("wish for a loan", c.Asked, out.Asked, equal[Asked], show[Asked]),
		firstDifference("credit", c.Credits, out.Credits, equal[Credit], show[Credit]),
		firstDifference("lending", c.Lending, out.Lending, equal[Lending], show[Lending]),
	)
}

func equal[T comparable](a, b T) bool { return a == b }

func show[T any](v T) string { return fmt.Sprintf("%+v", v) }

// firstDifference shows the first place where two lists are not the same.
func firstDifference[T any](what string, taped, now []T, same func(a, b T) bool, show func(T) string) error {
	showAt := func(l []T, i int) string {
		if i >= len(l) {
			return "none"
		}
		return show(l[i])
	}
	for i := range max(len(taped), len(now)) {
		if i < len(taped) && i < len(now) && same(taped[i], now[i]) {
			continue
		}
		return fmt.Errorf("%s %d differs, of %d on the tape and %d now\n\ton the tape: %s\n\tnow:         %s",
			what, i, len(taped), len(now), showAt(taped, i), showAt(now, i))
	}
	return nil
}

// readable is a message as values and as bytes, of which one surely differs.
func readable(data []byte) string {
	m, err := wire.Decode(data)
	switch {
	case err != nil:
		return fmt.Sprintf("%v [%x]", err, data)
	case m.Report != nil:
		return fmt.Sprintf("report %+v [%x]", *m.Report, data)
	case m.Loan != nil:
		return fmt.Sprintf("loan %+v [%x]", *m.Loan, data)
	}
	return fmt.Sprintf("verdicts %+v [%x]", *m.Verdicts, data)
}
