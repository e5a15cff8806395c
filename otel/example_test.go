package otel_test

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/otel"
	"github.com/murmuration-go/murmuration/retry"
)

// All groups of a process share one Telemetry. The program sets its SDK as ever,
// by the global providers or, as here, by options.
func Example() {
	recorder := tracetest.NewSpanRecorder() // stands for an exporter
	sdk := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))

	t, err := otel.New(otel.WithTracerProvider(sdk))
	if err != nil {
		fmt.Println(err) // t works all the same
	}
	g, err := failover.New("payments", failover.Config{
		Endpoints: []failover.Endpoint{{Name: "here"}, {Name: "there", Priority: 1}},
		Retry:     retry.Policy{Hooks: t.Retry()},
		Budget:    retry.BudgetConfig{Hooks: t.Budget()},
		Breaker:   breaker.Config{Hooks: t.Breaker()},
		Hooks:     t.Failover(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = g.Do(context.Background(), func(_ context.Context, e failover.Endpoint) error {
		if e.Name == "here" {
			return errors.New("connection refused")
		}
		return nil
	})
	for _, s := range recorder.Ended() {
		fmt.Println(s.Name(), "failed:", s.Status().Code == codes.Error)
	}
	// Output:
	// murmuration.attempt failed: true
	// murmuration.attempt failed: false
	// murmuration.call failed: false
}
