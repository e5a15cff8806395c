package otel

import (
	"errors"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// instruments are what measurements are made with; none is nil.
type instruments struct {
	callDuration      metric.Float64Histogram
	callRefusal       metric.Int64Counter
	attemptDuration   metric.Float64Histogram
	retry             metric.Int64Counter
	hedge             metric.Int64Counter
	breakerRefusal    metric.Int64Counter
	breakerTransition metric.Int64Counter
	modeTransition    metric.Int64Counter
	budgetTokens      metric.Float64Counter
}

// durationBounds are those that the conventions give for HTTP requests.
var durationBounds = []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}

func (i *instruments) init(m metric.Meter) error {
	var faults []error
	histogram := func(name, description string) metric.Float64Histogram {
		h, err := m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description),
			metric.WithExplicitBucketBoundaries(durationBounds...))
		faults = append(faults, err)
		if h == nil {
			h = noop.Float64Histogram{}
		}
		return h
	}
	counter := func(name, unit, description string) metric.Int64Counter {
		c, err := m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(description))
		faults = append(faults, err)
		if c == nil {
			c = noop.Int64Counter{}
		}
		return c
	}
	i.callDuration = histogram(callDurationName, "Duration of calls, with all attempts and the waits between them.")
	i.attemptDuration = histogram(attemptDurationName, "Duration of attempts.")
	i.callRefusal = counter(callRefusalName, "{call}", "Calls of which nothing was sent.")
	i.retry = counter(retryName, "{retry}", "Attempts sent after the first of a call.")
	i.hedge = counter(hedgeName, "{hedge}", "Retries sent while the first attempt was under way.")
	i.breakerRefusal = counter(breakerRefusalName, "{refusal}", "Attempts that a breaker refused to send.")
	i.breakerTransition = counter(breakerTransitionName, "{transition}", "Changes of state of local breakers.")
	i.modeTransition = counter(modeTransitionName, "{transition}", "Changes of how far the cluster can be relied on.")

	tokens, err := m.Float64Counter(budgetTokensName, metric.WithUnit("{token}"),
		metric.WithDescription("Retry tokens lent to and borrowed from other members, and burned by verdicts of the cluster."))
	faults = append(faults, err)
	if tokens == nil {
		tokens = noop.Float64Counter{}
	}
	i.budgetTokens = tokens

	return errors.Join(faults...)
}
