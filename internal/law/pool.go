package law

import (
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// reporter is what a steward keeps of one member.
type reporter struct {
	name    string
	origin  wire.Origin // of row
	row     wire.ReportRow
	heard   time.Duration // when row came
	counted time.Duration // when the one came that was counted last
	moved   time.Duration // when its totals last differed from those before
	at      time.Duration // when it last came with traffic, of now or just before
	news    bool          // row has come since the last tick
	failed  int           // ticks for which it still counts as failing

	seen     coord.Totals // totals already pooled
	seenFlow coord.Flow

	// Tagged evidence: the tag of row, its counts when the epoch began, and
	// those whose latencies are pooled already.
	tag               uint64
	mark, latencySeen coord.TagCounts
	recent            mean // tagged latency, each tick weighing half as much as the next

	// This tick's differences.
	demand, ok, lat, slow, fast, retries, retriesOK float64
	sent, need, strained                            float64
}

// pooled is one tick of all reporters together, after the clamps.
type pooled struct {
	present    int // heard in the last 5 s
	demand     float64
	ok         float64
	slow, fast float64
	retries    float64
	retriesOK  float64
	latency    mean

	cusum, cusum2     float64 // the step of S and S2
	failing, failing2 int     // reporters failing slowly, failing at all
}

func sub(a, b uint64) float64 {
	if a < b {
		return 0
	}
	return float64(a - b)
}

// difference takes what is new in the reporter's row. Counters that run
// backwards count as none.
func (r *reporter) difference(timeout float64) {
	r.demand, r.ok, r.lat, r.slow, r.fast, r.retries, r.retriesOK = 0, 0, 0, 0, 0, 0, 0
	r.sent, r.need, r.strained = 0, 0, 0
	if !r.news {
		return
	}
	r.news = false
	now, was := r.row.Totals, r.seen
	r.seen = now
	r.demand = sub(now.Demand, was.Demand)
	r.ok = sub(now.OK, was.OK)
	r.slow = sub(now.FailSlow, was.FailSlow)
	r.fast = sub(now.FailFast, was.FailFast)
	r.retries = sub(now.Retries, was.Retries)
	r.retriesOK = min(sub(now.RetriesOK, was.RetriesOK), r.retries)
	flow, before := r.row.Flow, r.seenFlow
	r.seenFlow = flow
	r.sent = sub(flow.Sent, before.Sent)
	r.need = sub(flow.Need, before.Need)
	r.strained = sub(flow.Strained, before.Strained)
	r.lat = bound(coord.LatencySince(now.OKLatency, was.OKLatency).Seconds(), r.ok, timeout)
	r.catchUp(r.heard - r.counted)
	r.counted = r.heard
}

// catchUp scales down what is told after a gap: where reports were lost, what a member
// has counted in the meantime did not happen in this tick. It may well have, if it is
// little, or about what is usual.
func (r *reporter) catchUp(gap time.Duration) {
	if gap <= time.Second {
		return
	}
	usual := 2 * Tick.Seconds() / gap.Seconds()
	part := func(n float64) float64 { return scale(max(4, usual*n), n) }
	f := part(r.ok + r.slow + r.fast)
	r.ok, r.lat, r.slow, r.fast, r.strained = r.ok*f, r.lat*f, r.slow*f, r.fast*f, r.strained*f
	f = part(r.retries)
	r.retries, r.retriesOK = r.retries*f, r.retriesOK*f
	r.demand *= part(r.demand)
	r.sent *= part(r.sent)
	r.need *= part(r.need)
}

// fresh is the latency of the tagged successes that are not pooled yet.
func (r *reporter) fresh(timeout float64) mean {
	n := sub(r.row.Tagged.OK, r.latencySeen.OK)
	sum := coord.LatencySince(r.row.Tagged.OKLatency, r.latencySeen.OKLatency).Seconds()
	return mean{n, bound(sum, n, timeout)}
}

// bound keeps the mean of n latencies within [0, timeout].
func bound(sum, n, timeout float64) float64 { return min(max(sum, 0), n*timeout) }

// scale shrinks counts that exceed a limit, all alike.
func scale(limit, total float64) float64 {
	if total <= limit {
		return 1
	}
	return limit / total
}

// tick pools what is new. Demand, outcomes and retries are clamped separately,
// each reporter at clampAt; of three or more reporters the one with most
// successes is left out of the sums, for that is the one a liar would want to
// be. The CUSUM steps come from all reporters, each clipped.
func (s *Steward) tick(now time.Duration) (t pooled) {
	var timeouts, demands, outcomes, retries []float64
	active, home := 0, 0
	for _, r := range s.order {
		if now-r.at < freshReport {
			t.present++
			if !r.row.Place.Away {
				home++
			}
			if r.row.Timeout > 0 {
				timeouts = append(timeouts, r.row.Timeout.Seconds())
			}
		}
	}
	if len(timeouts) > 0 {
		s.timeout = median(timeouts)
	}
	for _, r := range s.order {
		r.difference(s.timeout)
		n := r.ok + r.slow + r.fast
		if r.failed = max(r.failed-1, 0); r.slow+r.fast > 0 {
			r.failed = 2 // as long as the window of the evidence
		}
		if r.demand+n == 0 {
			continue
		}
		active++
		if home == 0 || !r.row.Place.Away { // who diverts calls here says nothing of what others want
			demands = append(demands, r.demand)
		}
		outcomes = append(outcomes, n)
		retries = append(retries, r.retries)
	}
	if home == 0 {
		home = t.present
	}
	demandMax := clampDemand(demands, home, s.demand.value*Tick.Seconds())
	outcomeMax, retryMax := clampAt(outcomes), clampAt(retries)

	var busiest *reporter
	means := make([]mean, 0, active)
	for _, r := range s.order {
		t.demand += min(r.demand, demandMax)
		f := scale(outcomeMax, r.ok+r.slow+r.fast)
		r.ok, r.lat, r.slow, r.fast, r.strained = r.ok*f, r.lat*f, r.slow*f, r.fast*f, r.strained*f
		f = scale(retryMax, r.retries)
		r.retries, r.retriesOK = r.retries*f, r.retriesOK*f
		if r.ok > 0 {
			means = append(means, mean{r.ok, r.lat})
			if busiest == nil || r.ok > busiest.ok {
				busiest = r
			}
		}
		t.steps(r)
	}
	s.flow(demandMax)
	t.latency = pool(means)
	for _, r := range s.order {
		if r == busiest && active >= 3 {
			continue
		}
		t.ok += r.ok
		t.slow += r.slow
		t.fast += r.fast
		t.retries += r.retries
		t.retriesOK += r.retriesOK
	}
	return t
}

// steps adds one reporter's part of the CUSUM steps. A reporter that doubts its
// own view weighs less.
func (t *pooled) steps(r *reporter) {
	n := r.ok + r.slow + r.fast
	if n == 0 {
		return
	}
	weight := float64(r.row.Health) / 255
	add := func(failures float64) (step float64, failing int) {
		step = failures*failStep + (n-failures)*okStep
		if failures > 0 && step > 0 {
			failing = 1
		}
		return weight * min(max(step, -reporterMax), reporterMax), failing
	}
	step, failing := add(r.slow)
	t.cusum += step
	t.failing += failing
	step, failing = add(r.slow + r.fast)
	t.cusum2 += step
	t.failing2 += failing
}
