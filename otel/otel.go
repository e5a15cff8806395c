// Package otel makes OpenTelemetry spans and metrics of calls, attempts,
// refusals, budgets, breakers and the cluster. No other package of the module imports
// OpenTelemetry; this one fills in their hooks.
//
//	t, err := otel.New()
//	if err != nil {
//		log.Print(err) // t works all the same, without what failed
//	}
//	g, err := failover.New("payments", failover.Config{
//		Endpoints: endpoints,
//		Cluster:   cluster, // from gossip.Join with Hooks: t.Gossip()
//		Retry:     retry.Policy{Hooks: t.Retry()},
//		Budget:    retry.BudgetConfig{Hooks: t.Budget()},
//		Breaker:   breaker.Config{Hooks: t.Breaker()},
//		Hooks:     t.Failover(),
//	})
//
// # Spans
//
// A span "murmuration.call" a call, and below it a span "murmuration.attempt"
// for each attempt that was sent. Both are of kind INTERNAL, for they send
// nothing: instrument what does, such as an HTTP client below the failover
// transport, with its own CLIENT spans, which become children of the attempt's. The
// conventions want those of HTTP to tell resends: see Telemetry.Resends.
//
// A call that succeeded in the end has no error, whatever became of its
// attempts; each attempt that failed has one. An error is a status Error and an
// error.type, one of
//
//	timeout           the attempt's, or the caller's deadline
//	canceled          by the caller
//	superseded        cut off, since the attempt beside it has decided the call;
//	                  alone of them it is no status Error
//	breaker_open      refused by a breaker, or dimmed by the cluster
//	budget_exhausted  a retry was wanted, and the budget had none left
//	retries_off       a retry was wanted, and the cluster has turned them off
//	503               and other codes from 400 to 599: the response's status
//	UNAVAILABLE       and the other names of gRPC's codes
//	_OTHER            anything else
//
// That of a call says why the call ended: why there was no further attempt, and
// otherwise what the last one ended with. A response of 4xx is the caller's own
// affair and no error, but of an attempt 429 is; neither is INVALID_ARGUMENT nor
// any other code that is no failure to package failovergrpc, but for CANCELLED.
// Messages of errors are never recorded, since they may hold URLs and names of
// members.
//
// The span of a retry or a hedge says where the budget took its token
// (murmuration.token): it held it, it came during the wait (awaited: as a loan of another
// member, or earned), or it went into debt.
//
// The span of a call that was refused, diverted, or denied a retry by a breaker
// says who decided (murmuration.decided_by: local, cluster or operator), phi,
// and what that rests on: the age of the evidence in seconds, how many members
// reported, and how many attempts failed of how many. One that left home for its
// last attempt, since its first try had failed or was dimmed, also says from where
// (murmuration.diverted_from). An operator's decision rests on the kind of his order
// (murmuration.override) and on no numbers.
//
// # Metrics
//
//	murmuration.client.call.duration     s             service, error.type
//	murmuration.client.call.refusal      {call}        service, decided_by
//	murmuration.client.attempt.duration  s             service, endpoint, error.type
//	murmuration.client.retry             {retry}       service, endpoint
//	murmuration.client.hedge             {hedge}       service, endpoint
//	murmuration.breaker.refusal          {refusal}     service, endpoint, decided_by
//	murmuration.breaker.transition       {transition}  service, endpoint, from, to
//	murmuration.budget.token             {token}       service, flow
//	murmuration.cluster.transition       {transition}  from, to
//
// Those below are observed whenever metrics are collected.
//
//	murmuration.budget.level             {token}         service
//	murmuration.endpoint.phi             1               service, endpoint
//	murmuration.endpoint.spill           1               service, endpoint
//	murmuration.policy.drift             {member}        service
//	murmuration.cluster.mode             1               mode
//	murmuration.cluster.member.count     {member}
//	murmuration.cluster.member.missing   {member}
//	murmuration.cluster.coverage         1
//	murmuration.cluster.verdict.age      s               quantile
//	murmuration.cluster.disagreement     {verdict}
//	murmuration.cluster.own_path         {endpoint}
//	murmuration.cluster.trust            1
//	murmuration.cluster.tick.late        {tick}
//	murmuration.cluster.io               By              network.io.direction
//	murmuration.cluster.packet           {packet}        network.io.direction
//	murmuration.cluster.drop             {message}       reason
//	murmuration.cluster.override         {override}      override
//
// call.refusal counts calls of which nothing was sent, breaker.refusal each
// endpoint that was passed over. A hedge, sent while the first attempt is under
// way, is also counted as a retry, as it is by the budget. budget.token counts
// those lent to other members, borrowed from them, and burned by verdicts (flow:
// lent, borrowed or burned), budget.level those that are held. Amplification is
// attempts over calls, by the counts of the two histograms.
//
// endpoint.phi and spill are what the cluster has in force: the share of first
// tries that may go, and the chance that a call which failed elsewhere may come.
// policy.drift is told of services for which there is any: how many members have another
// policy than most. Those of the cluster are what gossip.Health tells of the coordination itself;
// mode is 1 for the one of alone, degraded and coordinated that it is in, and
// verdict.age has the quantiles 0.5 and 0.99. Attributes of cluster.drop are the
// reasons for which Health counts messages as dropped or malformed.
//
// Attributes without a dot begin with "murmuration."; those that are not known are
// left out. Services and endpoints come from the configuration, and are bounded
// all the same: those beyond the first 500 pairs are counted under the service
// _OTHER. Of an endpoint named by its URL only the host is told.
//
// # Baggage
//
// How many attempts came before a request may travel as baggage: see WithBaggage
// and FromBaggage. It needs a propagator of baggage on both sides: that of an HTTP
// instrumentation, or Inject and Extract, which go by WithPropagators.
//
// # Cost
//
// While nothing records, with no SDK or before one is set, hooks allocate nothing
// and take about 80 ns a call. Metrics add one allocation an attempt, spans
// whatever their SDK takes.
package otel

import (
	"errors"
	"runtime/debug"

	api "go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/gossip"
	"github.com/murmuration-go/murmuration/retry"
)

// ScopeName is the instrumentation scope of all spans and metrics.
const ScopeName = "github.com/murmuration-go/murmuration/otel"

// Telemetry fills in hooks. It is safe for concurrent use, and may serve any
// number of groups; make one a process, for it stays registered with its
// MeterProvider.
type Telemetry struct {
	spans   spans
	inst    instruments
	targets targets
	seen    observed
	baggage bool // see WithBaggage

	propagators propagation.TextMapPropagator
}

// Option changes how New makes a Telemetry.
type Option func(*config)

type config struct {
	tracers trace.TracerProvider
	meters  metric.MeterProvider
	baggage bool

	propagators propagation.TextMapPropagator
}

// WithTracerProvider says who makes the spans. Default, and for nil: the global
// TracerProvider as it is when New is called. If an SDK is set only later, that
// one takes over then.
func WithTracerProvider(p trace.TracerProvider) Option {
	return func(c *config) {
		if p != nil {
			c.tracers = p
		}
	}
}

// WithMeterProvider says who keeps the metrics. Default, and for nil: the global
// MeterProvider as it is when New is called. If an SDK is set only later, that
// one takes over then.
func WithMeterProvider(p metric.MeterProvider) Option {
	return func(c *config) {
		if p != nil {
			c.meters = p
		}
	}
}

// New returns a Telemetry. It is never nil: an error tells which instruments
// could not be made, and all else works.
func New(opts ...Option) (*Telemetry, error) {
	c := config{tracers: api.GetTracerProvider(), meters: api.GetMeterProvider(), propagators: api.GetTextMapPropagator()}
	for _, o := range opts {
		if o != nil {
			o(&c)
		}
	}
	t := &Telemetry{baggage: c.baggage, propagators: c.propagators}
	t.targets.init()
	t.spans.tracer = c.tracers.Tracer(ScopeName,
		trace.WithInstrumentationVersion(version()), trace.WithSchemaURL(schemaURL))
	meter := c.meters.Meter(ScopeName, metric.WithInstrumentationVersion(version()), metric.WithSchemaURL(schemaURL))
	t.seen.targets = &t.targets
	return t, errors.Join(t.inst.init(meter), t.seen.init(meter))
}

// Retry returns the hooks for retry.Policy, also that of a failover.Config.
func (t *Telemetry) Retry() retry.Hooks {
	return retry.Hooks{
		CallStart:    t.callStart,
		CallEnd:      t.callEnd,
		AttemptStart: t.attemptStart,
		AttemptEnd:   t.attemptEnd,
		Wait:         t.wait,
	}
}

// Budget returns the hooks for retry.BudgetConfig, also that of a failover.Config.
func (t *Telemetry) Budget() retry.BudgetHooks {
	return retry.BudgetHooks{Made: t.seen.made, Lent: t.flow(lent), Borrowed: t.flow(borrowed), Burned: t.flow(burned)}
}

// Breaker returns the hooks for breaker.Config, also that of a failover.Config.
func (t *Telemetry) Breaker() breaker.Hooks {
	return breaker.Hooks{StateChange: t.stateChange, Refused: t.refused}
}

// Failover returns the hooks for failover.Config.
func (t *Telemetry) Failover() failover.Hooks {
	return failover.Hooks{Routed: t.routed, DivertedFor: t.diverted, Refused: t.callRefused}
}

// Gossip returns the hooks for gossip.Config. With several clusters in a
// process, what is observed is the one that joined last.
func (t *Telemetry) Gossip() gossip.Hooks {
	return gossip.Hooks{ModeChange: t.modeChange, Joined: t.seen.joined}
}

// version is the module's, as it was built into the program.
func version() string {
	const module = "github.com/murmuration-go/murmuration"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == module {
			return m.Version
		}
	}
	return ""
}
