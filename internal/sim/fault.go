package sim

import (
	"bytes"
	"math"
	"slices"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// lies are what a broken or hostile member makes of the messages it sends.
type lies struct {
	report  func(*wire.ReportRow)
	verdict func(*wire.VerdictRow)
	lend    bool                     // it promises what it has not
	instead func(self string) []byte // sent in place of a message, unless it is nil
	garble  float64                  // share of its messages with bits flipped
}

// LieInReports lets the member's reports say what f makes of them; nil ends it.
func (m *Member) LieInReports(f func(*wire.ReportRow)) { m.lies.report = f }

// LieInVerdicts is the same for its verdicts.
func (m *Member) LieInVerdicts(f func(*wire.VerdictRow)) { m.lies.verdict = f }

// LieInLoans lets the member promise whole tokens that it does not have.
func (m *Member) LieInLoans(lie bool) { m.lies.lend = lie }

// SendInstead lets the member send what f makes, unless that is nil, in place of
// its messages; nil ends it.
func (m *Member) SendInstead(f func(self string) []byte) { m.lies.instead = f }

// Garble flips bits in a share of the member's messages.
func (m *Member) Garble(share float64) { m.lies.garble = share }

// Honest reports whether the member tells what it has seen.
func (m *Member) Honest() bool {
	return m.lies.report == nil && m.lies.verdict == nil && m.lies.garble == 0 && !m.lies.lend && m.lies.instead == nil
}

// Forged reports whether any message was ever made to say something else than its
// author had written.
func (w *World) Forged() bool { return w.forged }

// tamper returns what is sent instead of a message. A liar lies in its own name:
// one that also alters what it passes on for others speaks as several.
func (l *lies) tamper(w *World, self string, data []byte) []byte {
	if l.garble > 0 && w.faultRand.Float64() < l.garble {
		return garbled(w, data)
	}
	if l.instead != nil {
		if other := l.instead(self); other != nil {
			w.forged = true
			return other
		}
	}
	if l.report == nil && l.verdict == nil {
		return data
	}
	msg, err := wire.Decode(data)
	if err != nil {
		return data
	}
	var lied []byte
	switch {
	case msg.Report != nil && l.report != nil:
		for i := range msg.Report.Rows {
			l.report(&msg.Report.Rows[i])
		}
		lied, err = wire.AppendReport(nil, msg.Report)
	case msg.Verdicts != nil && l.verdict != nil && msg.Verdicts.Origin.Member == self:
		for i := range msg.Verdicts.Rows {
			l.verdict(&msg.Verdicts.Rows[i])
		}
		lied, err = wire.AppendVerdicts(nil, msg.Verdicts)
	default:
		return data
	}
	if err != nil {
		return data
	}
	w.forged = true
	return lied
}

// Garbled reports whether bits of any message were ever flipped.
func (w *World) Garbled() bool { return w.garbled }

func garbled(w *World, data []byte) []byte {
	w.forged, w.garbled = true, true
	data = bytes.Clone(data)
	for range 1 + w.faultRand.IntN(4) {
		if len(data) > 0 {
			data[w.faultRand.IntN(len(data))] ^= 1 << w.faultRand.IntN(8)
		}
	}
	return data
}

// Lie is a way in which a reporter may lie.
type Lie struct {
	Name   string
	Report func(*wire.ReportRow)
}

// Lies are the ways of lying of scenario S9r: demand, latency, successes and
// failures inflated or zeroed, among others.
func Lies() []Lie {
	const big = 1000
	return []Lie{
		{"demand inflated", func(r *wire.ReportRow) { r.Totals.Demand *= big }},
		{"demand zeroed", func(r *wire.ReportRow) { r.Totals.Demand = 0 }},
		{"latency inflated", func(r *wire.ReportRow) {
			r.Totals.OKLatency, r.Tagged.OKLatency = sumOf(big, r.Totals.OK), sumOf(big, r.Tagged.OK)
		}},
		{"latency zeroed", func(r *wire.ReportRow) { r.Totals.OKLatency, r.Tagged.OKLatency = 0, 0 }},
		{"successes inflated", func(r *wire.ReportRow) {
			n := 50 * (r.Totals.Demand + 1)
			r.Totals.OK, r.Tagged.OK, r.Tagged.Sent = n, n, n
		}},
		{"successes zeroed", func(r *wire.ReportRow) { r.Totals.OK, r.Tagged.OK = 0, 0 }},
		{"failures inflated", func(r *wire.ReportRow) {
			n := 50 * (r.Totals.Demand + 1)
			r.Totals.FailSlow, r.Tagged.FailSlow, r.Tagged.Sent = n, n, n
		}},
		{"failures zeroed", func(r *wire.ReportRow) {
			r.Totals.FailSlow, r.Totals.FailFast, r.Tagged.FailSlow, r.Tagged.FailFast = 0, 0, 0, 0
		}},
		{"sent inflated", func(r *wire.ReportRow) { r.Tagged.Sent = big * (r.Totals.Demand + 1) }},
		{"pushback inflated", func(r *wire.ReportRow) { r.Pushback = coord.Pushback{Left: time.Hour} }},
		{"says nothing", func(r *wire.ReportRow) { r.Totals, r.Tagged = coord.Totals{}, coord.TagCounts{} }},
	}
}

// sumOf is the summed latency of n successes of so many seconds each.
func sumOf(seconds float64, n uint64) time.Duration {
	return time.Duration(math.Min(seconds*float64(n), float64(wire.MaxSum/time.Second))) * time.Second
}

// ClosedToAll and AllIsWell are the lies of a steward.
func ClosedToAll(r *wire.VerdictRow) { r.Phi, r.Mode, r.State = 1, coord.RetryNone, wire.Dim }

// AllIsWell is what a steward that never sees trouble says.
func AllIsWell(r *wire.VerdictRow) { r.Phi, r.Mode, r.State = fullPhi, coord.RetryAll, wire.Closed }

// Pause lets the member's process stand still for d: it neither ticks nor reads
// nor notices answers.
func (w *World) Pause(m *Member, d time.Duration) {
	w.Tracef("%s pauses for %v", m.Name, d)
	m.resumes = max(m.resumes, w.now+d)
}

// Jump moves the member's clock forward; a process's monotonic clock does not go
// back.
func (w *World) Jump(m *Member, d time.Duration) {
	w.Tracef("%s's clock jumps by %v", m.Name, d)
	m.offset += max(d, 0)
}

// Skew sets the rate of the member's clock, 1 being true time.
func (w *World) Skew(m *Member, rate float64) {
	w.Tracef("%s's clock runs at %.4f", m.Name, rate)
	local := m.local(w.now)
	m.rate = rate
	m.offset = 0
	m.offset = local - m.local(w.now)
}

// Network is what happens to messages.
func (w *World) Network() Network { return w.net }

// SetNetwork changes what happens to messages.
func (w *World) SetNetwork(n Network) { w.net = n }

// SetLoad changes a service's first tries a second.
func (w *World) SetLoad(service int, load float64) {
	w.services[service].Load = load
	w.arrive(w.services[service])
}

// SetZoneLoad changes one zone's first tries a second.
func (w *World) SetZoneLoad(service, zone int, load float64) {
	s := w.services[service]
	s.ZoneLoads = slices.Clone(s.ZoneLoads)
	s.ZoneLoads[zone] = load
	s.Load = 0
	for _, l := range s.ZoneLoads {
		s.Load += l
	}
	w.arrive(s)
}
