package otel_test

import (
	"context"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failoverhttp"
	"github.com/murmuration-go/murmuration/gossip"
	"github.com/murmuration-go/murmuration/otel"
	"github.com/murmuration-go/murmuration/retry"
)

func TestMetricsOfCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		g := l.group(func(c *failover.Config) { c.Retry.AttemptTimeout = 2 * time.Second }, "a", "b")
		answer := answers(retry.After(errDown, time.Second), &failoverhttp.StatusError{StatusCode: 503})
		for range 2 {
			err := g.Do(t.Context(), func(ctx context.Context, e failover.Endpoint) error {
				time.Sleep(500 * time.Millisecond)
				return answer(ctx, e)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if got, want := l.metrics(), map[string]string{
			"client.call.duration{service=svc}":                                 "2: 2 s",
			"client.attempt.duration{error.type=_OTHER endpoint=a service=svc}": "1: 0.5 s",
			"client.attempt.duration{error.type=503 endpoint=b service=svc}":    "1: 0.5 s",
			"client.attempt.duration{endpoint=a service=svc}":                   "2: 1 s",
			"client.retry{endpoint=a service=svc}":                              "1 {retry}",
			"client.retry{endpoint=b service=svc}":                              "1 {retry}",
		}; !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestMetricsOfTheCluster(t *testing.T) {
	l := newLab(t)
	if got := l.metrics(); len(got) != 0 {
		t.Errorf("before anything was told: %v", got)
	}
	h := l.Gossip()
	h.ModeChange(gossip.ModeAlone, gossip.ModeCoordinated, "member-1 came")
	h.ModeChange(gossip.ModeCoordinated, gossip.ModeDegraded, "member-1 is silent")
	for range 2 { // a counter stays
		if got, want := l.metrics(), map[string]string{
			"cluster.transition{from=alone to=coordinated}":    "1 {transition}",
			"cluster.transition{from=coordinated to=degraded}": "1 {transition}",
		}; !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestMetricsOfBudgets(t *testing.T) {
	l := newLab(t)
	h := l.Budget()
	h.Lent("svc", .5)
	h.Lent("svc", 1)
	h.Borrowed("other", .25)
	h.Burned("svc", 2)
	if got, want := l.metrics(), map[string]string{
		"budget.token{flow=lent service=svc}":       "1.5 {token}",
		"budget.token{flow=borrowed service=other}": "0.25 {token}",
		"budget.token{flow=burned service=svc}":     "2 {token}",
	}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// The list in the package's documentation is the metrics that there are.
func TestMetricsAreDocumented(t *testing.T) {
	made := map[string]string{}
	see := func(i sdkmetric.Instrument) (sdkmetric.Stream, bool) { // every instrument that is made
		made[i.Name] = i.Unit
		return sdkmetric.Stream{}, false
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()), sdkmetric.WithView(see))
	if _, err := otel.New(otel.WithMeterProvider(provider)); err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "otel.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for line := range strings.Lines(file.Doc.Text()) {
		if strings.HasPrefix(line, "\tmurmuration.") {
			f := strings.Fields(line)
			documented[f[0]] = f[1]
		}
	}
	if !maps.Equal(documented, made) {
		t.Errorf("documented are %v, made are %v", documented, made)
	}
}

func TestAttributesAreBounded(t *testing.T) {
	l := newLab(t)
	h, b, f := l.Retry(), l.Breaker(), l.Failover()
	const services, kept = 10_000, 500
	for i := range services {
		service := fmt.Sprint("svc", i)
		ctx := h.CallStart(t.Context(), service)
		a := retry.Attempt{Service: service, Endpoint: "a", Number: 2}
		at := h.AttemptStart(ctx, a)
		h.AttemptEnd(at, a, nil)
		e := &breaker.OpenError{Service: service, Endpoint: "a"}
		b.Refused(ctx, e)
		b.StateChange(service, "a", breaker.Closed, breaker.Open)
		f.Refused(ctx, service, e)
		h.CallEnd(ctx, retry.CallInfo{Service: service, Err: e})
	}
	var sum uint64
	for _, m := range l.collect() {
		n := 0
		switch d := m.Data.(type) {
		case metricdata.Histogram[float64]:
			n = len(d.DataPoints)
			for _, p := range d.DataPoints {
				sum += p.Count
			}
		case metricdata.Sum[int64]:
			n = len(d.DataPoints)
		}
		if n > kept+1 {
			t.Errorf("%s has %d attribute sets", m.Name, n)
		}
	}
	if sum != 2*services {
		t.Errorf("%d durations, want %d", sum, 2*services)
	}
	if got := l.metrics()["client.call.duration{error.type=breaker_open service=_OTHER}"]; got == "" {
		t.Error("nothing is counted as other")
	}
	if got := l.spans()[2*services-2]; !strings.HasSuffix(got, fmt.Sprintf("service=svc%d Error", services-1)) {
		t.Errorf("the last span is %s", got) // spans are not aggregated, and tell the name
	}
}

func TestStatusesAreBounded(t *testing.T) {
	l := newLab(t)
	h := l.Retry()
	for code := range 1000 {
		h.CallEnd(t.Context(), retry.CallInfo{Service: "svc", Err: &failoverhttp.StatusError{StatusCode: code}})
	}
	h.CallEnd(t.Context(), retry.CallInfo{Service: "svc", Err: context.Canceled}) // kinds of our own have a place
	got := l.metrics()
	if n := len(got); n > 45 || got["client.call.duration{error.type=canceled service=svc}"] == "" {
		t.Errorf("%d attribute sets: %v", n, got)
	}
}

// Of a URL only the host is told.
func TestURLsAreNotTold(t *testing.T) {
	l := newLab(t)
	g := l.group(func(c *failover.Config) {
		c.Endpoints = []failover.Endpoint{{URL: "https://secret@api.example:8443/secret?secret"}}
	})
	_ = g.Do(t.Context(), answers(errDown))
	for range 20 {
		_ = g.Do(t.Context(), func(context.Context, failover.Endpoint) error { return errDown })
	}
	all := fmt.Sprint(l.spans(), l.metrics())
	if strings.Contains(all, "secret") || !strings.Contains(all, "refused_endpoint=api.example:8443 service") {
		t.Error(all)
	}
	h := l.Retry()
	a := retry.Attempt{Endpoint: "https://%zz", Number: 1}
	h.AttemptEnd(h.AttemptStart(t.Context(), a), a, nil)
	a.Endpoint = "not \xff UTF-8"
	h.AttemptEnd(h.AttemptStart(t.Context(), a), a, nil)
	for _, want := range []string{"client.attempt.duration{endpoint=_OTHER}", "client.attempt.duration{endpoint=not ? UTF-8}"} {
		if got := l.metrics(); got[want] == "" {
			t.Errorf("%s is missing in %v", want, got)
		}
	}
}

// Exemplars lead to the span of the very call or attempt.
func TestExemplars(t *testing.T) {
	l := newLab(t)
	_ = l.group(nil, "a").Do(t.Context(), answers(errDown))
	want := map[string]map[trace.SpanID]bool{}
	for _, s := range l.rec.Ended() {
		if want[s.Name()] == nil {
			want[s.Name()] = map[trace.SpanID]bool{}
		}
		want[s.Name()][s.SpanContext().SpanID()] = true
	}
	check := func(m string, spanID []byte) {
		t.Helper()
		name := "murmuration.attempt"
		if m == "murmuration.client.call.duration" {
			name = "murmuration.call"
		}
		if !want[name][trace.SpanID(spanID)] {
			t.Errorf("%s leads to %x, which is no %s", m, spanID, name)
		}
	}
	n := 0
	for _, m := range l.collect() {
		switch d := m.Data.(type) {
		case metricdata.Histogram[float64]:
			for _, p := range d.DataPoints {
				for _, e := range p.Exemplars {
					check(m.Name, e.SpanID)
					n++
				}
			}
		case metricdata.Sum[int64]:
			for _, p := range d.DataPoints {
				for _, e := range p.Exemplars {
					check(m.Name, e.SpanID)
					n++
				}
			}
		}
	}
	if n != 4 { // a call, two attempts, a retry
		t.Errorf("%d exemplars", n)
	}
}

func TestManyAtOnce(t *testing.T) {
	l := newLab(t)
	const workers, calls = 8, 100
	var wg sync.WaitGroup
	for w := range workers {
		g := l.group(nil, fmt.Sprint("own", w), "b")
		wg.Go(func() {
			for i := range calls {
				_ = g.Do(t.Context(), answers(&failoverhttp.StatusError{StatusCode: 500 + i%10}))
			}
		})
		wg.Go(func() { _ = l.metrics() })
	}
	wg.Wait()
	if got := l.metrics()["client.call.duration{service=svc}"]; !strings.HasPrefix(got, fmt.Sprintf("%d: ", workers*calls)) {
		t.Errorf("calls: %s", got)
	}
	if n := len(l.rec.Ended()); n != workers*calls*3 {
		t.Errorf("%d spans", n)
	}
}
