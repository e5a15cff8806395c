package coord

import (
	"runtime"
	"sync/atomic"
	"time"
)

// Totals are a member's cumulative counters for one endpoint. They only grow.
type Totals struct {
	Demand    uint64        // first tries wanted, before dimming
	OK        uint64        // attempts that succeeded
	OKLatency time.Duration // summed over OK, in whole microseconds; see LatencySince
	FailSlow  uint64        // timed out, or took over half the attempt timeout
	FailFast  uint64        // failed in any other way
	Retries   uint64        // retries finished
	RetriesOK uint64        // retries that succeeded
}

// Flow is what the plan for diverting goes by, beside the Totals: cumulative
// counters too.
type Flow struct {
	Sent     uint64 // attempts
	Need     uint64 // calls whose first try failed, or was dimmed
	Strained uint64 // successes that took longer than when all is well
}

// TagCounts are counters of only those attempts that were sent under one tag.
type TagCounts struct {
	Sent      uint64 // neutral outcomes are taken out again
	OK        uint64
	OKLatency time.Duration
	FailSlow  uint64
	FailFast  uint64
}

// Resolved is the number of sent attempts whose outcome is known.
func (c TagCounts) Resolved() uint64 { return c.OK + c.FailSlow + c.FailFast }

// A healthy call costs four atomic additions. A count and its latency share one
// word (count in the upper 24 bits, microseconds in the lower 40), so that both
// are added at once; the reader takes differences of the whole word each tick,
// which stay exact however often either part wraps, as long as one tick holds
// less than 2^24 successes and 2^40 microseconds.
const okShift = 40

func okWord(latency time.Duration) uint64 {
	us := max(latency.Microseconds(), 0)
	return 1<<okShift + uint64(min(us, 1<<36))
}

type totalsShard struct {
	demand, ok, failSlow, failFast, retries, retriesOK atomic.Uint64
	need, strained                                     atomic.Uint64 // 64 bytes with these: one cache line a shard
}

type taggedShard struct {
	sent, neutral, ok, failSlow, failFast atomic.Uint64
	_                                     [24]byte
}

// shards is a power of two, at least the number of processors that count, so
// that calls on different processors mostly write to different cache lines.
var shards = func() int {
	n := 1
	for n < runtime.GOMAXPROCS(0) && n < 64 {
		n *= 2
	}
	return n
}()

var shardMask = uint32(shards - 1)

type tagged struct {
	shard []taggedShard
	okAcc okAccumulator
}

func newTagged() *tagged { return &tagged{shard: make([]taggedShard, shards)} }

// okAccumulator widens the packed words of one set of shards. Only the reader
// touches it, under the endpoint's read lock.
type okAccumulator struct {
	last      uint64
	count, us uint64
}

func (a *okAccumulator) advance(word uint64) (count uint64, latency time.Duration) {
	d := word - a.last
	a.last = word
	a.count += d >> okShift
	a.us = (a.us + d&(1<<okShift-1)) & (LatencyWrap - 1)
	return a.count, time.Duration(a.us) * time.Microsecond
}

// LatencyWrap is where summed latencies start over from zero, in microseconds:
// 285 years, which a thousand calls in flight add up in a hundred days.
const LatencyWrap = 1 << 53

// LatencySince is the summed latency since an earlier reading of the same sum.
func LatencySince(now, was time.Duration) time.Duration {
	if d := now - was; d >= 0 {
		return d
	}
	return now - was + LatencyWrap*time.Microsecond
}

// attempts is the number of attempts sent, whatever became of them.
func (t *tagged) attempts() (n uint64) {
	for i := range t.shard {
		n += t.shard[i].sent.Load()
	}
	return n
}

func (t *tagged) read() (c TagCounts) {
	var ok uint64
	// Outcomes are read before sends, so that an attempt in between counts
	// as unresolved and never as an outcome without a send.
	for i := range t.shard {
		s := &t.shard[i]
		ok += s.ok.Load()
		c.FailSlow += s.failSlow.Load()
		c.FailFast += s.failFast.Load()
	}
	c.OK, c.OKLatency = t.okAcc.advance(ok)
	var neutral uint64
	for i := range t.shard {
		neutral += t.shard[i].neutral.Load()
	}
	for i := range t.shard {
		c.Sent += t.shard[i].sent.Load()
	}
	c.Sent -= min(neutral, c.Sent)
	return c
}
