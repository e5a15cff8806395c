package sim

import (
	"bytes"
	"math"
	"time"

	"github.com/murmuration-go/murmuration/internal/wire"
)

// Network is what happens to messages between members.
type Network struct {
	Loss      float64       // share of messages lost
	Duplicate float64       // share delivered twice
	Reorder   float64       // share delayed by up to Late more
	Late      time.Duration // default 1 s
	Latency   time.Duration // mean, each way; default 500 us, on top of 200 us
	Garble    float64       // share with some bits flipped
}

// Messages counts what members sent each other.
type Messages struct {
	Sends, SendBytes    uint64 // point to point: reports and answers
	Casts               uint64 // verdicts handed to gossip
	Packets, GossipSent uint64 // gossip: packets, and their bytes
	Lost                uint64 // by the network or a partition
	Delivered           uint64
	Largest             int // bytes of a message
	Pruned              uint64
}

// Blocked says between whom no message passes; nil: nobody.
type Blocked func(from, to *Member) bool

// transmit sends a message over the network.
func (w *World) transmit(from, to *Member, data []byte) {
	w.messages.Largest = max(w.messages.Largest, len(data))
	n := &w.net
	r := w.netRand
	if w.views.blocked(from, to) || n.Loss > 0 && r.Float64() < n.Loss {
		w.messages.Lost++
		return
	}
	if n.Garble > 0 && r.Float64() < n.Garble {
		data = garbled(w, data)
	}
	w.after(w.latency(), &delivery{to, data})
	if n.Duplicate > 0 && r.Float64() < n.Duplicate {
		w.after(w.latency(), &delivery{to, data})
	}
}

func (w *World) latency() time.Duration {
	n := &w.net
	mean := n.Latency
	if mean == 0 {
		mean = 500 * time.Microsecond
	}
	d := 200*time.Microsecond + time.Duration(w.netRand.ExpFloat64()*float64(mean))
	if n.Reorder > 0 && w.netRand.Float64() < n.Reorder {
		late := n.Late
		if late == 0 {
			late = time.Second
		}
		d += time.Duration(w.netRand.Float64() * float64(late))
	}
	return d
}

// delivery is a message that arrives.
type delivery struct {
	to   *Member
	data []byte
}

func (d *delivery) fire(w *World) {
	w.messages.Delivered++
	d.to.deliver(w, d.data)
}

// The gossip that the library sets memberlist to; see package gossip.
const (
	gossipEvery  = 100 * time.Millisecond
	gossipNodes  = 4
	gossipMult   = 3
	gossipBudget = 1400 - 36 - 5 // of a packet, less the overhead and a short label
	castOverhead = 3
	maxCasts     = 4096
)

// casts are the messages that a member passes on by gossip, as memberlist's
// queue does it: those sent least often first, and of them the larger and the
// newer; a newer message of the same key replaces an older one.
type casts struct {
	queued []*cast
	due    bool
}

type cast struct {
	key  string
	data []byte
	age  time.Duration // when queued
	at   time.Duration // local time at which it was queued
	n    uint64        // order of queueing
	sent int
}

func (c *casts) queue(w *World, m *Member, key string, data []byte) {
	w.planned++
	it := &cast{key: key, data: data, at: m.local(w.now), n: w.planned}
	it.age, _ = wire.Age(data)
	keep := c.queued[:0]
	for _, q := range c.queued {
		if q.key != key {
			keep = append(keep, q)
		}
	}
	keep = append(keep, it)
	c.queued = keep
	if len(c.queued) > maxCasts {
		w.messages.Pruned++
		c.queued = c.queued[1:]
	}
	if c.due {
		return
	}
	c.due = true
	// Members gossip at a fixed interval, each with a phase of its own.
	phase := time.Duration(uint64(m.Index)*0x9e3779b97f4a7c15%uint64(gossipEvery/time.Microsecond)) * time.Microsecond
	w.After(gossipEvery-(w.now+phase)%gossipEvery, func() { c.gossip(w, m) })
}

// gossip sends to some members picked at random what fits a packet each.
func (c *casts) gossip(w *World, m *Member) {
	c.due = false
	if !m.alive {
		c.queued = nil
		return
	}
	if m.paused(w) {
		c.due = true
		w.After(m.resumes-w.now, func() { c.gossip(w, m) })
		return
	}
	limit := gossipMult * int(math.Ceil(math.Log10(float64(m.width+1))))
	for _, to := range w.views.some(w, m, gossipNodes) {
		c.packet(w, m, to, limit)
	}
	if len(c.queued) > 0 {
		c.due = true
		w.After(gossipEvery, func() { c.gossip(w, m) })
	}
}

// packet fills and sends one packet.
func (c *casts) packet(w *World, m, to *Member, limit int) {
	room := gossipBudget
	var fill []*cast
	for room > 0 {
		var best *cast
		for _, q := range c.queued {
			if q.sent < limit && len(q.data)+castOverhead <= room && !in(fill, q) && (best == nil || q.before(best)) {
				best = q
			}
		}
		if best == nil {
			break
		}
		fill = append(fill, best)
		room -= len(best.data) + castOverhead
	}
	if len(fill) == 0 {
		return
	}
	w.messages.Packets++
	w.messages.GossipSent += uint64(gossipBudget - room)
	lost := w.views.blocked(m, to) || w.netRand.Float64() < w.net.Loss
	late := w.latency()
	for _, q := range fill {
		q.sent++
		if lost {
			w.messages.Lost++
			continue
		}
		data := bytes.Clone(q.data)
		wire.SetAge(data, q.age+m.local(w.now)-q.at)
		w.after(late, &delivery{to, data})
	}
	keep := c.queued[:0]
	for _, q := range c.queued {
		if q.sent < limit {
			keep = append(keep, q)
		}
	}
	clear(c.queued[len(keep):])
	c.queued = keep
}

func (q *cast) before(p *cast) bool {
	if q.sent != p.sent {
		return q.sent < p.sent
	}
	if len(q.data) != len(p.data) {
		return len(q.data) > len(p.data)
	}
	return q.n > p.n
}

func in(l []*cast, c *cast) bool {
	for _, x := range l {
		if x == c {
			return true
		}
	}
	return false
}
