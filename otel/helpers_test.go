package otel_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/otel"
	"github.com/murmuration-go/murmuration/retry"
)

var errDown = errors.New("down")

// lab is a Telemetry with an SDK that keeps everything.
type lab struct {
	*otel.Telemetry
	tb      testing.TB
	tracers *sdktrace.TracerProvider
	rec     *tracetest.SpanRecorder
	reader  *sdkmetric.ManualReader
}

func newLab(tb testing.TB, opts ...sdktrace.TracerProviderOption) *lab {
	tb.Helper()
	l := &lab{tb: tb, rec: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader()}
	l.tracers = sdktrace.NewTracerProvider(append(opts, sdktrace.WithSpanProcessor(l.rec))...)
	t, err := otel.New(
		otel.WithTracerProvider(l.tracers),
		otel.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(l.reader))),
	)
	if err != nil {
		tb.Fatal(err)
	}
	l.Telemetry = t
	return l
}

// group makes a group without waits, with all hooks and a roomy budget. The
// first endpoint is the nearest.
func (l *lab) group(change func(*failover.Config), endpoints ...string) *failover.Group {
	l.tb.Helper()
	c := failover.Config{Hooks: l.Failover(), Budget: retry.BudgetConfig{Ratio: 10, Burst: 1e6}}
	c.Retry.BaseDelay = -1
	c.Retry.Hooks, c.Breaker.Hooks = l.Retry(), l.Breaker()
	for i, e := range endpoints {
		c.Endpoints = append(c.Endpoints, failover.Endpoint{Name: e, Priority: i})
	}
	if change != nil {
		change(&c)
	}
	g, err := failover.New("svc", c)
	if err != nil {
		l.tb.Fatal(err)
	}
	return g
}

// answers returns a function for Do that answers one error after the other, and
// nil from then on.
func answers(errs ...error) func(context.Context, failover.Endpoint) error {
	return func(context.Context, failover.Endpoint) (err error) {
		if len(errs) > 0 {
			err, errs = errs[0], errs[1:]
		}
		return err
	}
}

// spans returns a line for each span that has ended, in the order of starting,
// indented by depth.
func (l *lab) spans() (lines []string) {
	order := map[trace.SpanID]int{}
	for i, s := range l.rec.Started() {
		order[s.SpanContext().SpanID()] = i
	}
	ended := l.rec.Ended()
	slices.SortFunc(ended, func(a, b sdktrace.ReadOnlySpan) int {
		return order[a.SpanContext().SpanID()] - order[b.SpanContext().SpanID()]
	})
	depth := map[trace.SpanID]int{}
	for _, s := range ended {
		d := 0
		if p := s.Parent(); p.IsValid() {
			d = depth[p.SpanID()] + 1
		}
		depth[s.SpanContext().SpanID()] = d
		line := strings.Repeat("  ", d) + s.Name() + " " + attrs(s.Attributes())
		if s.Status().Code == codes.Error {
			line += " Error"
		}
		lines = append(lines, line)
	}
	return lines
}

// attrs writes attributes in the order of their keys, without our namespace.
func attrs(list []attribute.KeyValue) string {
	set := attribute.NewSet(list...)
	var b strings.Builder
	for _, kv := range set.ToSlice() {
		fmt.Fprintf(&b, " %s=%s", strings.TrimPrefix(string(kv.Key), "murmuration."), kv.Value.Emit())
	}
	return strings.TrimSpace(b.String())
}

// metrics returns what was measured: instrument and attributes, and a count and,
// of a histogram, a sum.
func (l *lab) metrics() map[string]string {
	l.tb.Helper()
	got := map[string]string{}
	add := func(m metricdata.Metrics, set attribute.Set, format string, args ...any) {
		key := strings.TrimPrefix(m.Name, "murmuration.") + "{" + attrs(set.ToSlice()) + "}"
		got[key] = fmt.Sprintf(format, args...) + " " + m.Unit
	}
	for _, m := range l.collect() {
		switch d := m.Data.(type) {
		case metricdata.Histogram[float64]:
			for _, p := range d.DataPoints {
				add(m, p.Attributes, "%d: %g", p.Count, p.Sum)
			}
		case metricdata.Sum[int64]:
			for _, p := range d.DataPoints {
				add(m, p.Attributes, "%d", p.Value)
			}
		case metricdata.Sum[float64]:
			for _, p := range d.DataPoints {
				add(m, p.Attributes, "%g", p.Value)
			}
		case metricdata.Gauge[float64]:
			for _, p := range d.DataPoints {
				add(m, p.Attributes, "%g", p.Value)
			}
		case metricdata.Gauge[int64]:
			for _, p := range d.DataPoints {
				add(m, p.Attributes, "%d", p.Value)
			}
		default:
			l.tb.Errorf("%s is a %T", m.Name, d)
		}
	}
	return got
}

func (l *lab) collect() []metricdata.Metrics {
	l.tb.Helper()
	var rm metricdata.ResourceMetrics
	if err := l.reader.Collect(context.Background(), &rm); err != nil {
		l.tb.Fatal(err)
	}
	if len(rm.ScopeMetrics) == 0 {
		return nil
	}
	if s := rm.ScopeMetrics[0].Scope; s.Name != otel.ScopeName || s.SchemaURL == "" {
		l.tb.Errorf("the scope is %+v", s)
	}
	return rm.ScopeMetrics[0].Metrics
}

func wantLines(tb testing.TB, got []string, want ...string) {
	tb.Helper()
	if !slices.Equal(got, want) {
		tb.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// advised is a cluster that advises whatever a test publishes.
type advised struct{ service *coord.Service }

func (c advised) CoordService(string) *coord.Service { return c.service }

func (c advised) publish(endpoint string, a coord.Advice) { c.service.Endpoint(endpoint).Publish(a) }

// evidence is what the tests' cluster decides on; its steward's name must not
// get into spans and metrics.
var evidence = coord.Evidence{Steward: "member-7", Reporters: 5, Failures: 30, Outcomes: 40}
