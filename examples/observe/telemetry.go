package main

import (
	"context"
	"errors"
	"os"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdoutmetric"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// exporters are what -exporter may be.
var exporters = []string{"none", "stdout", "otlp"}

// providers are a member's own, as if it were a process of its own.
type providers struct {
	meters  *sdkmetric.MeterProvider
	tracers *sdktrace.TracerProvider
}

func newProviders(ctx context.Context, s settings, number int) (*providers, error) {
	who, err := resource.Merge(resource.Default(), resource.NewSchemaless(
		attribute.String("service.name", "observe-client"),
		attribute.String("service.instance.id", strconv.Itoa(number)),
	))
	if err != nil {
		return nil, err
	}
	metrics, spans, err := newExporters(ctx, s)
	if err != nil {
		return nil, err
	}
	ofMetrics := []sdkmetric.Option{sdkmetric.WithResource(who)}
	if metrics != nil {
		ofMetrics = append(ofMetrics, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metrics, interval()...)))
	}
	if s.reader != nil {
		ofMetrics = append(ofMetrics, sdkmetric.WithReader(s.reader()))
	}
	ofSpans := []sdktrace.TracerProviderOption{sdktrace.WithResource(who)}
	if spans != nil {
		ofSpans = append(ofSpans, sdktrace.WithBatcher(spans))
	}
	return &providers{sdkmetric.NewMeterProvider(ofMetrics...), sdktrace.NewTracerProvider(ofSpans...)}, nil
}

// newExporters returns none for "none".
func newExporters(ctx context.Context, s settings) (metrics sdkmetric.Exporter, spans sdktrace.SpanExporter, err error) {
	var faults [2]error
	switch s.exporter {
	case "stdout":
		metrics, faults[0] = stdoutmetric.New(stdoutmetric.WithWriter(s.out))
		spans, faults[1] = stdouttrace.New(stdouttrace.WithWriter(s.out))
	case "otlp":
		metrics, faults[0] = otlpmetrichttp.New(ctx)
		spans, faults[1] = otlptracehttp.New(ctx)
	}
	return metrics, spans, errors.Join(faults[:]...)
}

// interval is how often metrics are exported: as the environment says, or every 5 s,
// since the SDK's minute is long for one who watches.
func interval() []sdkmetric.PeriodicReaderOption {
	if os.Getenv("OTEL_METRIC_EXPORT_INTERVAL") != "" {
		return nil
	}
	return []sdkmetric.PeriodicReaderOption{sdkmetric.WithInterval(5 * time.Second)}
}

// close exports what is left.
func (p *providers) close(ctx context.Context) error {
	return errors.Join(p.meters.Shutdown(ctx), p.tracers.Shutdown(ctx))
}
