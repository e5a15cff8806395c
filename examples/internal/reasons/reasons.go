// Package reasons checks that whatever was refused or diverted says who decided, on
// what evidence and how old that was, in errors and in spans. It is for the examples,
// which count it.
package reasons

import (
	"context"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/otel"
)

// Refusal reports whether a refusal says why. While an endpoint that is back gets its
// calls step by step, the evidence is of attempts none of which have failed.
func Refusal(e *breaker.OpenError) bool { return complete(e.Source, e.Age, &e.Evidence) }

// Diversion reports whether a diversion says why.
func Diversion(e *failover.DivertedError) bool { return complete(e.Source, e.Age, &e.Evidence) }

func complete(by breaker.Source, age time.Duration, e *breaker.Evidence) bool {
	return e.Outcomes > 0 && e.Reporters > 0 && age >= 0 && (by != breaker.SourceCluster || e.Steward != "")
}

// Spans counts the spans of calls that were refused or diverted, and those of them
// that do not say why. It exports nothing.
type Spans struct {
	Refused, Unexplained           atomic.Int64 // something was refused, or a retry denied, by a breaker or a verdict
	Diverted, UnexplainedDiversion atomic.Int64
}

// Telemetry returns one whose spans are counted.
func (s *Spans) Telemetry() (*otel.Telemetry, error) {
	return otel.New(otel.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(s))))
}

// OnEnd counts a span.
func (s *Spans) OnEnd(span sdktrace.ReadOnlySpan) {
	if span.Name() != "murmuration.call" {
		return
	}
	told := map[attribute.Key]attribute.Value{}
	for _, kv := range span.Attributes() {
		told[kv.Key] = kv.Value
	}
	count(&s.Refused, &s.Unexplained, told, turnedAway(told))
	_, diverted := told["murmuration.diverted_from"]
	count(&s.Diverted, &s.UnexplainedDiversion, told, diverted)
}

func turnedAway(told map[attribute.Key]attribute.Value) bool {
	for _, key := range []attribute.Key{"error.type", "murmuration.stop"} {
		if is := told[key].AsString(); is == "breaker_open" || is == "retries_off" {
			return true
		}
	}
	_, refused := told["murmuration.refused_endpoint"]
	return refused
}

func count(all, unexplained *atomic.Int64, told map[attribute.Key]attribute.Value, counts bool) {
	if !counts {
		return
	}
	all.Add(1)
	age, aged := told["murmuration.evidence.age"]
	_, failed := told["murmuration.evidence.failures"]
	if told["murmuration.decided_by"].AsString() == "" || !aged || age.AsFloat64() < 0 || !failed ||
		told["murmuration.evidence.reporters"].AsInt64() < 1 ||
		told["murmuration.evidence.outcomes"].AsInt64() < 1 {
		unexplained.Add(1)
	}
}

// The rest of a sdktrace.SpanProcessor has nothing to do.

// OnStart does nothing.
func (s *Spans) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// Shutdown does nothing.
func (s *Spans) Shutdown(context.Context) error { return nil }

// ForceFlush does nothing.
func (s *Spans) ForceFlush(context.Context) error { return nil }
