package script

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/sim"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// poison lets a member send what is well-formed and means nothing: extreme and
// random values in every field, and often of services and endpoints that nobody
// has heard of.
func (r *run) poison(m *sim.Member) {
	v := venom{r.w.FaultRand()}
	m.LieInLoans(true)
	m.SendInstead(v.loan)
	m.LieInReports(func(row *wire.ReportRow) {
		v.names(&row.Service, &row.Endpoint)
		row.Health, row.L0 = uint8(v.IntN(256)), v.span()
		row.Phi, row.Tag, row.Timeout = v.phi(), v.count(), v.span()
		row.Totals = coord.Totals{
			Demand: v.count(), OK: v.count(), OKLatency: v.sum(), FailSlow: v.count(), FailFast: v.count(),
			Retries: v.count(), RetriesOK: v.count(),
		}
		row.Tagged = coord.TagCounts{Sent: v.count(), OK: v.count(), OKLatency: v.sum(), FailSlow: v.count(), FailFast: v.count()}
		row.Pushback = coord.Pushback{Left: v.span(), Ago: v.span()}
		row.Flow = coord.Flow{Sent: v.count(), Need: v.count(), Strained: v.count()}
		row.Place = coord.Place{Zone: v.zone(), Away: v.IntN(2) == 0, Capacity: float64(v.count() % 1e9)}
	})
	m.LieInVerdicts(func(row *wire.VerdictRow) {
		v.names(&row.Service, &row.Endpoint)
		row.Phi, row.Mode, row.State = v.phi(), coord.Mode(v.IntN(3)), wire.State(v.IntN(3))
		row.L0, row.Thr, row.Latency, row.Window = v.span(), v.span(), v.span(), v.span()
		row.Demand, row.Reporters, row.Failures, row.Outcomes = v.count(), v.count(), v.count(), v.count()
		row.Failing, row.Pushback = v.count(), v.span()
		row.Good, row.Zones = float64(v.count()%1e9), nil
		for z := range v.IntN(wire.MaxZones + 1) {
			row.Zones = append(row.Zones, wire.ZoneShare{Name: fmt.Sprint("zone-", z), Sigma: coord.Share(v.IntN(256)), Memory: float64(v.count() % 1e9)})
		}
	})
}

// venom draws values as hostile members do.
type venom struct{ *rand.Rand }

func (v venom) count() uint64 {
	switch v.IntN(5) {
	case 0:
		return 0
	case 1:
		return 1
	case 2:
		return math.MaxUint64
	case 3:
		return v.Uint64N(1000)
	}
	return v.Uint64() >> v.IntN(64)
}

// loan makes up a wish for a loan or, unasked, a loan, now and then.
func (v venom) loan(self string) []byte {
	if v.IntN(12) > 0 {
		return nil
	}
	l := &wire.Loan{Origin: wire.Origin{Member: self, Incarnation: v.count(), Seq: v.count()}, Service: "svc", Nonce: v.count()}
	v.names(&l.Service)
	if v.IntN(2) == 0 {
		data, _ := wire.AppendAsk(nil, l)
		return data
	}
	l.Amount = v.count() % (wire.MaxLoan + 1)
	data, _ := wire.AppendLoan(nil, l)
	return data
}

func (v venom) zone() string { return []string{"", "zone-0", "zone-1", "elsewhere"}[v.IntN(4)] }

func (v venom) span() time.Duration { return v.sum() % (wire.MaxSpan + 1) }

func (v venom) sum() time.Duration { return time.Duration(v.count() % uint64(wire.MaxSum+1)) }

func (v venom) phi() coord.Phi {
	return []coord.Phi{0, 1, coord.PhiFull / 2, coord.PhiFull - 1, coord.PhiFull, coord.Phi(v.IntN(int(coord.PhiFull) + 1))}[v.IntN(6)]
}

// names keeps half of the names and makes up the others, a few of them as long
// as they can be.
func (v venom) names(of ...*string) {
	for _, s := range of {
		if v.IntN(2) == 0 {
			continue
		}
		n := 1 + v.IntN(8)
		if v.IntN(20) == 0 {
			n = coord.MaxName
		}
		var b strings.Builder
		for range n {
			b.WriteByte(byte('a' + v.IntN(26)))
		}
		*s = b.String()
	}
}
