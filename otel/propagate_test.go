package otel_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel/baggage"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failoverhttp"
	"github.com/murmuration-go/murmuration/otel"
	"github.com/murmuration-go/murmuration/retry"
)

// TestPropagation: the second attempt of a call, over a real connection, arrives with its
// own span and the number of attempts before it; and a request without either, as it is.
func TestPropagation(t *testing.T) {
	seen := tracetest.NewSpanRecorder()
	tel, err := otel.New(
		otel.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(seen))),
		otel.WithMeterProvider(noopmetric.NewMeterProvider()),
		otel.WithPropagators(nil), // is ignored
		otel.WithPropagators(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})),
		otel.WithPropagators(nil), otel.WithBaggage(),
	)
	if err != nil {
		t.Fatal(err)
	}
	type arrival struct {
		parent   trace.SpanContext
		previous int
		told     string
	}
	var arrived []arrival
	server := httptest.NewServer(tel.Extract(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		arrived = append(arrived, arrival{trace.SpanContextFromContext(ctx), retry.Previous(ctx), baggage.FromContext(ctx).String()})
		if len(arrived) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})))
	defer server.Close()
	g, err := failover.New("svc", failover.Config{
		Endpoints: []failover.Endpoint{{Name: "a", URL: server.URL, Internal: true}},
		Retry:     retry.Policy{BaseDelay: -1, Hooks: tel.Retry()},
	})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: failoverhttp.NewTransport(g, tel.Inject(nil))}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://svc/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if len(req.Header) > 0 {
		t.Errorf("the request was changed: %v", req.Header)
	}
	if resp, err = http.Get(server.URL); err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()

	attempts := map[trace.SpanID]bool{}
	for _, s := range seen.Ended() {
		if s.Name() == "murmuration.attempt" {
			attempts[s.SpanContext().SpanID()] = true
		}
	}
	if len(arrived) != 3 || len(attempts) != 2 {
		t.Fatalf("%d requests arrived, of %d attempts", len(arrived), len(attempts))
	}
	for i, a := range arrived {
		if i < 2 && (!attempts[a.parent.SpanID()] || !a.parent.IsRemote()) || i == 2 && a.parent.IsValid() {
			t.Errorf("request %d belongs to %v", i, a.parent)
		}
		if want := []int{0, 1, 0}[i]; a.previous != want || a.told != "" {
			t.Errorf("request %d: %d attempts before it, want %d; baggage %q", i, a.previous, want, a.told)
		}
	}
}
