package wire

import (
	"math"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// The fields of rows, in the order of the wire: each write has its read below
// it. New fields go at the end, are optional, and are zero when they are missing.

// The shortest possible rows: one byte a field, two for a name, and nothing for
// what is optional.
const (
	minReportRow  = 19
	minVerdictRow = 13
)

func (row *ReportRow) write(w *writer) {
	w.name("endpoint", row.Endpoint, coord.MaxName)
	w.number(uint64(255 - row.Health))
	w.number(uint64(coord.PhiFull - row.Phi))
	w.duration("L0", row.L0, MaxSpan)
	w.number(row.Tag)
	w.duration("timeout", row.Timeout, MaxSpan)

	t := &row.Totals
	w.count(t.Demand)
	w.count(t.OK)
	w.duration("latency sum", t.OKLatency, MaxSum)
	w.count(t.FailSlow)
	w.count(t.FailFast)
	w.count(t.Retries)
	w.count(t.RetriesOK)

	g := &row.Tagged
	w.count(g.Sent)
	w.count(g.OK)
	w.duration("tagged latency sum", g.OKLatency, MaxSum)
	w.count(g.FailSlow)
	w.count(g.FailFast)

	begin := len(w.b)
	w.duration("pushback", row.Pushback.Left, MaxSpan)
	w.duration("age of the pushback", row.Pushback.Ago, MaxSpan)
	w.count(row.Flow.Sent)
	w.count(row.Flow.Need)
	w.count(row.Flow.Strained)
	w.flag(row.Place.Away)
	w.rate("capacity", row.Place.Capacity)
	w.zone(row.Place.Zone)
	if row.Place.Zone != "" {
		begin = len(w.b) // a name may end in a zero
	}
	w.number(uint64(row.Policy))
	w.flag(row.Ordered)
	w.trim(begin)
}

func (row *ReportRow) read(r *reader) {
	row.Endpoint = r.name("endpoint", coord.MaxName)
	row.Health = 255 - uint8(r.upTo("health", 255))
	row.Phi = coord.PhiFull - coord.Phi(r.upTo("phi", uint64(coord.PhiFull)))
	row.L0 = r.duration("L0", MaxSpan)
	row.Tag = r.number("tag")
	row.Timeout = r.duration("timeout", MaxSpan)

	t := &row.Totals
	t.Demand = r.count("demand")
	t.OK = r.count("ok")
	t.OKLatency = r.duration("latency sum", MaxSum)
	t.FailSlow = r.count("slow failures")
	t.FailFast = r.count("fast failures")
	t.Retries = r.count("retries")
	t.RetriesOK = r.count("retries ok")

	g := &row.Tagged
	g.Sent = r.count("tagged sent")
	g.OK = r.count("tagged ok")
	g.OKLatency = r.duration("tagged latency sum", MaxSum)
	g.FailSlow = r.count("tagged slow failures")
	g.FailFast = r.count("tagged fast failures")

	r.optional()
	row.Pushback.Left = r.duration("pushback", MaxSpan)
	row.Pushback.Ago = r.duration("age of the pushback", MaxSpan)
	row.Flow.Sent = r.count("sent")
	row.Flow.Need = r.count("need")
	row.Flow.Strained = r.count("strained")
	row.Place.Away = r.upTo("away", 1) == 1
	row.Place.Capacity = r.rate("capacity")
	row.Place.Zone = r.zone()
	row.Policy = uint32(r.upTo("policy", math.MaxUint32))
	row.Ordered = r.upTo("ordered", 1) == 1
	r.trimmed()
}

func (row *VerdictRow) write(w *writer) {
	w.name("endpoint", row.Endpoint, coord.MaxName)
	w.number(uint64(coord.PhiFull - row.Phi))
	w.upTo("mode", uint64(row.Mode), uint64(coord.RetryNone))
	w.upTo("state", uint64(row.State), uint64(Dim))
	w.duration("L0", row.L0, MaxSpan)
	w.duration("threshold", row.Thr, MaxSpan)
	w.duration("latency", row.Latency, MaxSpan)
	w.duration("window", row.Window, MaxSpan)
	w.count(row.Demand)
	w.count(row.Reporters)
	w.count(row.Failures)
	w.count(row.Outcomes)

	begin := len(w.b)
	w.count(row.Failing)
	w.duration("pushback", row.Pushback, MaxSpan)
	w.rate("good", row.Good)
	if len(row.Zones) > MaxZones {
		w.fail(errorf(BadValue, "%d zones; the limit is %d", len(row.Zones), MaxZones))
		return
	}
	w.number(uint64(len(row.Zones)))
	for i, z := range row.Zones {
		if i > 0 && z.Name <= row.Zones[i-1].Name {
			w.fail(errorf(BadValue, "zones are not in order"))
			return
		}
		w.zone(z.Name)
		w.number(uint64(z.Sigma))
		w.rate("memory", z.Memory)
		begin = len(w.b) // a zone is whole
	}
	w.number(uint64(row.Policy))
	w.count(row.Drift)
	w.trim(begin)
}

func (row *VerdictRow) read(r *reader) {
	row.Endpoint = r.name("endpoint", coord.MaxName)
	row.Phi = coord.PhiFull - coord.Phi(r.upTo("phi", uint64(coord.PhiFull)))
	row.Mode = coord.Mode(r.upTo("mode", uint64(coord.RetryNone)))
	row.State = State(r.upTo("state", uint64(Dim)))
	row.L0 = r.duration("L0", MaxSpan)
	row.Thr = r.duration("threshold", MaxSpan)
	row.Latency = r.duration("latency", MaxSpan)
	row.Window = r.duration("window", MaxSpan)
	row.Demand = r.count("demand")
	row.Reporters = r.count("reporters")
	row.Failures = r.count("failures")
	row.Outcomes = r.count("outcomes")

	r.optional()
	row.Failing = r.count("failing")
	row.Pushback = r.duration("pushback", MaxSpan)
	row.Good = r.rate("good")
	if n := r.upTo("zones", MaxZones); n > 0 {
		row.readZones(r, n)
	}
	row.Policy = uint32(r.upTo("policy", math.MaxUint32))
	row.Drift = r.count("drift")
	r.trimmed()
}

// readZones reads zones, which are whole: nothing of them is left out.
func (row *VerdictRow) readZones(r *reader, n uint64) {
	r.rest = false
	row.Zones = make([]ZoneShare, n)
	for i := range row.Zones {
		z := &row.Zones[i]
		z.Name = r.zone()
		z.Sigma = coord.Share(r.upTo("sigma", 255))
		z.Memory = r.rate("memory")
		if i > 0 && z.Name <= row.Zones[i-1].Name {
			r.fail(errorf(NonCanonical, "zones are not in order"))
		}
	}
	r.optional()
}
