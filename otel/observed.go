package otel

import (
	"context"
	"errors"
	"sync"
	"weak"

	"go.opentelemetry.io/otel/metric"

	"github.com/murmuration-go/murmuration/gossip"
	"github.com/murmuration-go/murmuration/retry"
)

// observed is what is looked at whenever metrics are collected, and not recorded when
// it changes: so it is there for a reader who starts late or forgets.
type observed struct {
	targets *targets

	mu      sync.Mutex
	cluster *gossip.Cluster // that joined last
	budgets []heldBudget    // at most maxTargets
}

type heldBudget struct {
	service string
	budget  weak.Pointer[retry.Budget]
}

func (o *observed) joined(c *gossip.Cluster) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cluster = c
}

func (o *observed) made(service string, b *retry.Budget) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.budgets) >= maxTargets {
		o.forget()
	}
	if len(o.budgets) < maxTargets {
		o.budgets = append(o.budgets, heldBudget{service, weak.Make(b)})
	}
}

// forget drops the budgets that are gone.
func (o *observed) forget() {
	kept := o.budgets[:0]
	for _, h := range o.budgets {
		if h.budget.Value() != nil {
			kept = append(kept, h)
		}
	}
	clear(o.budgets[len(kept):])
	o.budgets = kept
}

// levels are the tokens that the budgets of each service hold together.
func (o *observed) levels() map[string]float64 {
	o.mu.Lock()
	o.forget()
	budgets := append([]heldBudget(nil), o.budgets...)
	o.mu.Unlock()
	sums := map[string]float64{}
	for _, h := range budgets {
		if b := h.budget.Value(); b != nil {
			sums[h.service] += b.Tokens()
		}
	}
	return sums
}

// gauges makes instruments that are observed, each as a function that does so; of one
// that could not be made it does nothing.
type gauges struct {
	meter  metric.Meter
	made   []metric.Observable
	faults []error
}

type (
	number func(to metric.Observer, n float64, with ...metric.ObserveOption)
	count  func(to metric.Observer, n int64, with ...metric.ObserveOption)
)

func (g *gauges) number(name, unit, description string) number {
	i, err := g.meter.Float64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(description))
	if !g.keep(i, err) {
		return func(metric.Observer, float64, ...metric.ObserveOption) {}
	}
	return func(to metric.Observer, n float64, with ...metric.ObserveOption) { to.ObserveFloat64(i, n, with...) }
}

func (g *gauges) count(name, unit, description string) count {
	i, err := g.meter.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(description))
	return g.counted(i, err)
}

func (g *gauges) total(name, unit, description string) count {
	i, err := g.meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
	return g.counted(i, err)
}

func (g *gauges) counted(i metric.Int64Observable, err error) count {
	if !g.keep(i, err) {
		return func(metric.Observer, int64, ...metric.ObserveOption) {}
	}
	return func(to metric.Observer, n int64, with ...metric.ObserveOption) { to.ObserveInt64(i, n, with...) }
}

func (g *gauges) keep(i metric.Observable, err error) bool {
	g.faults = append(g.faults, err)
	if err != nil {
		return false
	}
	g.made = append(g.made, i)
	return true
}

func (o *observed) init(m metric.Meter) error {
	g := gauges{meter: m}
	budgets := o.budgetGauges(&g)
	endpoints := o.endpointGauges(&g)
	drift := o.driftGauge(&g)
	orders := overrideGauge(&g)
	cluster := clusterGauges(&g)
	_, err := m.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		budgets(to)
		o.mu.Lock()
		c := o.cluster
		o.mu.Unlock()
		if c != nil {
			endpoints(to, c.Endpoints())
			h := c.Health()
			drift(to, h.PolicyDrift)
			orders(to, c.Overrides())
			cluster(to, h)
		}
		return nil
	}, g.made...)
	return errors.Join(append(g.faults, err)...)
}

func (o *observed) budgetGauges(g *gauges) func(metric.Observer) {
	level := g.number(budgetLevelName, "{token}", "Retry tokens that the budget holds.")
	return func(to metric.Observer) {
		for service, n := range o.levels() {
			if t := o.targets.get(service, ""); t != o.targets.overflow {
				level(to, n, metric.WithAttributes(t.attrs...))
			}
		}
	}
}

func (o *observed) endpointGauges(g *gauges) func(metric.Observer, []gossip.Endpoint) {
	phi := g.number(phiName, "1", "The share of first tries that the cluster lets go.")
	spill := g.number(spillName, "1", "The chance that a call which failed or was dimmed elsewhere may come.")
	return func(to metric.Observer, all []gossip.Endpoint) {
		for i := range all {
			e := &all[i]
			if t := o.targets.get(e.Service, e.Name); t != o.targets.overflow {
				with := metric.WithAttributes(t.attrs...)
				phi(to, e.Phi, with)
				spill(to, e.Spill, with)
			}
		}
	}
}

func (o *observed) driftGauge(g *gauges) func(metric.Observer, []gossip.Drift) {
	members := g.count(policyDriftName, "{member}", "Members whose policy for the service is not that of most.")
	return func(to metric.Observer, all []gossip.Drift) {
		for i := range all {
			if t := o.targets.get(all[i].Service, ""); t != o.targets.overflow {
				members(to, int64(all[i].Members), metric.WithAttributes(t.attrs...))
			}
		}
	}
}

func overrideGauge(g *gauges) func(metric.Observer, []gossip.Override) {
	n := g.count(overrideName, "{override}", "Operators' orders in force.")
	return func(to metric.Observer, all []gossip.Override) {
		var kinds [gossip.RetriesOff + 1]int64
		for i := range all {
			kinds[all[i].Kind]++
		}
		for k := gossip.Freeze; k <= gossip.RetriesOff; k++ {
			n(to, kinds[k], metric.WithAttributes(overrideKey.String(k.String())))
		}
	}
}

func clusterGauges(g *gauges) func(metric.Observer, gossip.Health) {
	mode := g.count(modeName, "1", "1 for how far the cluster can be relied on at present, and 0 for the others.")
	members := g.count(membersName, "{member}", "Live members of the cluster, this process included.")
	missing := g.count(missingName, "{member}", "Members found dead within five minutes, which had not left and have not come back.")
	coverage := g.number(coverageName, "1", "Fresh sources of verdicts over those expected.")
	age := g.number(verdictAgeName, "s", "Percentiles of the age of the verdicts held.")
	apart := g.count(disagreementName, "{verdict}", "Verdicts that want something else than what is in force.")
	paths := g.count(ownPathName, "{endpoint}", "Endpoints that this process alone fails to reach.")
	trust := g.number(trustName, "1", "How far this process trusts its own view; less if it runs late.")
	late := g.total(lateTickName, "{tick}", "Ticks of the coordination that came late in this process.")
	bytes := g.total(ioName, "By", "What the members tell each other, as this one sends and receives it.")
	packets := g.total(packetName, "{packet}", "Packets and streams that the members exchange.")
	drop := g.total(dropName, "{message}", "What came from others and was not heeded.")
	in, out := metric.WithAttributes(directionKey.String("receive")), metric.WithAttributes(directionKey.String("transmit"))
	return func(to metric.Observer, h gossip.Health) {
		for m := gossip.ModeAlone; m <= gossip.ModeCoordinated; m++ {
			mode(to, one(m == h.Mode), metric.WithAttributes(modeKey.String(m.String())))
		}
		members(to, int64(h.Members))
		missing(to, int64(h.Missing))
		coverage(to, h.Coverage)
		age(to, h.VerdictAgeP50.Seconds(), metric.WithAttributes(quantileKey.Float64(.5)))
		age(to, h.VerdictAgeP99.Seconds(), metric.WithAttributes(quantileKey.Float64(.99)))
		apart(to, int64(h.Disagree))
		paths(to, int64(len(h.OwnPaths)))
		trust(to, h.Trust)
		late(to, total(h.LateTicks))
		bytes(to, total(h.BytesIn), in)
		bytes(to, total(h.BytesOut), out)
		packets(to, total(h.PacketsIn), in)
		packets(to, total(h.PacketsOut), out)
		dropped := func(reason string, n uint64) {
			drop(to, total(n), metric.WithAttributes(reasonKey.String(reason)))
		}
		for reason, n := range h.Dropped {
			dropped(reason, n)
		}
		for reason, n := range h.Malformed {
			dropped("malformed-"+reason, n)
		}
		for reason, n := range h.OverridesRefused {
			dropped("override-"+reason, n)
		}
		dropped("not-decrypted", h.DecryptFailures)
		dropped("other-cluster", h.LabelMismatches)
	}
}

func one(is bool) int64 {
	if is {
		return 1
	}
	return 0
}

// total is a count as instruments take it.
func total(n uint64) int64 { return int64(n &^ (1 << 63)) }
