package otel_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	api "go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/race"
	"github.com/murmuration-go/murmuration/otel"
	"github.com/murmuration-go/murmuration/retry"
)

// hooked makes a group with all hooks of t, or with none.
func hooked(tb testing.TB, t *otel.Telemetry, cluster failover.Cluster) *failover.Group {
	tb.Helper()
	c := failover.Config{Endpoints: []failover.Endpoint{{Name: "a"}}, Cluster: cluster}
	c.Retry.BaseDelay = -1
	c.Breaker.ConsecutiveFailures, c.Breaker.MinRequests = -1, 1<<30
	if t != nil {
		c.Retry.Hooks, c.Breaker.Hooks, c.Hooks = t.Retry(), t.Breaker(), t.Failover()
	}
	g, err := failover.New("svc", c)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

func TestNilOptions(t *testing.T) {
	tel, err := otel.New(nil, otel.WithTracerProvider(nil), otel.WithMeterProvider(nil))
	if err != nil || tel == nil {
		t.Fatal(err)
	}
	if err := hooked(t, tel, nil).Do(t.Context(), answers(errDown)); err != nil {
		t.Error(err)
	}
	h := tel.Gossip()
	h.Joined(nil)
	h.ModeChange(0, 1, "")
}

// The last provider that is not nil counts.
func TestNilOptionsChangeNothing(t *testing.T) {
	rec := tracetest.NewSpanRecorder()
	tel, err := otel.New(
		otel.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(rec))),
		otel.WithTracerProvider(nil),
	)
	if err != nil {
		t.Fatal(err)
	}
	_ = hooked(t, tel, nil).Do(t.Context(), answers())
	if n := len(rec.Ended()); n != 2 {
		t.Errorf("%d spans", n)
	}
}

var globalOnce sync.Once

// An SDK that the program sets after New takes over at once.
func TestGlobalProvidersSetLater(t *testing.T) {
	globalOnce.Do(func() { // it can be told apart only the first time
		tel, err := otel.New()
		if err != nil {
			t.Fatal(err)
		}
		g := hooked(t, tel, nil)
		for range 10 {
			_ = g.Do(t.Context(), answers())
		}
		rec, reader := tracetest.NewSpanRecorder(), sdkmetric.NewManualReader()
		api.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(rec)))
		api.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
		defer api.SetTracerProvider(tracenoop.NewTracerProvider())
		defer api.SetMeterProvider(metricnoop.NewMeterProvider())
		_ = g.Do(t.Context(), answers())
		l := &lab{tb: t, rec: rec, reader: reader}
		wantLines(t, l.spans(),
			"murmuration.call attempt_count=1 endpoint=a service=svc",
			"  murmuration.attempt attempt=1 endpoint=a service=svc")
		if got := l.metrics()["client.call.duration{service=svc}"]; !strings.HasPrefix(got, "1: ") {
			t.Errorf("calls: %q", got)
		}
	})
}

// lateTracers make spans only once they are switched on, and nobody can tell.
type lateTracers struct {
	tracenoop.TracerProvider
	on   *atomic.Bool
	then trace.TracerProvider
}

type lateTracer struct {
	tracenoop.Tracer
	on   *atomic.Bool
	then trace.Tracer
}

func (p lateTracers) Tracer(name string, o ...trace.TracerOption) trace.Tracer {
	return lateTracer{on: p.on, then: p.then.Tracer(name, o...)}
}

func (t lateTracer) Start(ctx context.Context, name string, o ...trace.SpanStartOption) (context.Context, trace.Span) {
	if t.on.Load() {
		return t.then.Start(ctx, name, o...)
	}
	return t.Tracer.Start(ctx, name, o...)
}

func TestATracerThatWakesUpIsNoticed(t *testing.T) {
	rec := tracetest.NewSpanRecorder()
	late := lateTracers{on: new(atomic.Bool), then: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(rec))}
	tel, err := otel.New(otel.WithTracerProvider(late), otel.WithMeterProvider(metricnoop.NewMeterProvider()))
	if err != nil {
		t.Fatal(err)
	}
	g := hooked(t, tel, nil)
	_ = g.Do(t.Context(), answers())
	late.on.Store(true)
	for i := 0; len(rec.Ended()) == 0; i++ {
		if i > 100_000 {
			t.Fatal("it is not noticed")
		}
		_ = g.Do(t.Context(), answers())
	}
	n := len(rec.Ended())
	_ = g.Do(t.Context(), answers())
	if got := len(rec.Ended()) - n; got != 2 {
		t.Errorf("%d spans once it is awake", got)
	}
}

var errNoInstrument = errors.New("no instrument")

// brokenMeters make no instruments at all.
type brokenMeters struct{ metricnoop.MeterProvider }

type brokenMeter struct{ metricnoop.Meter }

func (brokenMeters) Meter(string, ...metric.MeterOption) metric.Meter { return brokenMeter{} }

func (brokenMeter) Float64Histogram(string, ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return nil, errNoInstrument
}

func (brokenMeter) Int64Counter(string, ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return nil, errNoInstrument
}

func (brokenMeter) Int64ObservableGauge(string, ...metric.Int64ObservableGaugeOption) (metric.Int64ObservableGauge, error) {
	return nil, errNoInstrument
}

func TestInstrumentErrors(t *testing.T) {
	rec := tracetest.NewSpanRecorder()
	tel, err := otel.New(
		otel.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(rec))),
		otel.WithMeterProvider(brokenMeters{}),
	)
	if !errors.Is(err, errNoInstrument) || tel == nil {
		t.Fatalf("%v, %v", tel, err)
	}
	_ = hooked(t, tel, nil).Do(t.Context(), answers(errDown))
	tel.Gossip().ModeChange(0, 1, "")
	if n := len(rec.Ended()); n != 3 {
		t.Errorf("%d spans", n)
	}
}

// quiet is a Telemetry of which nothing is recorded.
func quiet(tb testing.TB) *otel.Telemetry {
	tb.Helper()
	tel, err := otel.New(
		otel.WithTracerProvider(tracenoop.NewTracerProvider()),
		otel.WithMeterProvider(metricnoop.NewMeterProvider()),
	)
	if err != nil {
		tb.Fatal(err)
	}
	return tel
}

// cases are calls of each kind, whose cost hooks must not raise.
func cases() map[string]func(ctx context.Context, g *failover.Group) error {
	return map[string]func(ctx context.Context, g *failover.Group) error{
		"healthy": func(ctx context.Context, g *failover.Group) error {
			return g.Do(ctx, func(context.Context, failover.Endpoint) error { return nil })
		},
		"failing": func(ctx context.Context, g *failover.Group) error {
			return g.Do(ctx, func(context.Context, failover.Endpoint) error { return errDown })
		},
	}
}

func TestHooksDoNotAllocateWhenNothingRecords(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	global, err := otel.New()
	if err != nil {
		t.Fatal(err)
	}
	_, parent := sdktrace.NewTracerProvider().Tracer("").Start(t.Context(), "parent")
	for ctxName, ctx := range map[string]context.Context{
		"untraced": t.Context(),
		"traced":   trace.ContextWithSpan(t.Context(), parent),
	} {
		for name, call := range cases() {
			for how, tel := range map[string]*otel.Telemetry{"no-op providers": quiet(t), "global providers": global} {
				allocs := func(tel *otel.Telemetry) float64 {
					g := hooked(t, tel, nil)
					return testing.AllocsPerRun(2000, func() { _ = call(ctx, g) })
				}
				if without, with := allocs(nil), allocs(tel); with != without {
					t.Errorf("%s %s call, %s: %v allocations, %v without hooks", ctxName, name, how, with, without)
				}
			}
		}
		dimmed := advised{coord.NewService("svc")}
		allocs := func(tel *otel.Telemetry) float64 {
			g := hooked(t, tel, dimmed)
			dimmed.publish("a", coord.Advice{Mode: coord.RetryNone, Source: coord.SourceCluster, Tag: 1})
			return testing.AllocsPerRun(2000, func() { _ = cases()["healthy"](ctx, g) })
		}
		if without, with := allocs(nil), allocs(quiet(t)); with != without {
			t.Errorf("%s refused call: %v allocations, %v without hooks", ctxName, with, without)
		}
	}
}

// Metrics alone cost the context of each attempt, and no more.
func TestMetricsAllocateOnceAnAttempt(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	tel, err := otel.New(
		otel.WithTracerProvider(tracenoop.NewTracerProvider()),
		otel.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))),
	)
	if err != nil {
		t.Fatal(err)
	}
	g := hooked(t, tel, nil)
	if n := testing.AllocsPerRun(2000, func() { _ = cases()["healthy"](t.Context(), g) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkHooks(b *testing.B) {
	recorded, err := otel.New(
		otel.WithTracerProvider(sdktrace.NewTracerProvider()),
		otel.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))),
	)
	if err != nil {
		b.Fatal(err)
	}
	for _, bc := range []struct {
		name string
		tel  *otel.Telemetry
	}{{"without", nil}, {"no-op", quiet(b)}, {"recording", recorded}} {
		b.Run(bc.name, func(b *testing.B) {
			g := hooked(b, bc.tel, nil)
			call := cases()["healthy"]
			b.ReportAllocs()
			for b.Loop() {
				_ = call(context.Background(), g)
			}
		})
	}
}

// Hooks may be called with a call that began before the SDK was there.
func TestEndWithoutStart(t *testing.T) {
	l := newLab(t)
	ctx, parent := l.tracers.Tracer("").Start(t.Context(), "parent")
	h := l.Retry()
	a := retry.Attempt{Service: "svc", Number: 1}
	h.AttemptEnd(ctx, a, errDown)
	h.Wait(ctx, a, errDown, 1)
	h.CallEnd(ctx, retry.CallInfo{Service: "svc", Err: errDown})
	if !parent.IsRecording() {
		t.Error("the caller's span was ended")
	}
}
