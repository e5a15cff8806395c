package otel_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/baggage"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	nooptrace "go.opentelemetry.io/otel/trace/noop"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/race"
	"github.com/murmuration-go/murmuration/otel"
	"github.com/murmuration-go/murmuration/retry"
)

const member = "murmuration.previous_attempts"

// carrying returns a context whose baggage is read from a header, as a server's
// instrumentation does it, and carried the header for a context, as a client's.
func carrying(ctx context.Context, header string) context.Context {
	return propagation.Baggage{}.Extract(ctx, propagation.HeaderCarrier{"Baggage": {header}})
}

func carried(ctx context.Context) string {
	h := http.Header{}
	propagation.Baggage{}.Inject(ctx, propagation.HeaderCarrier(h))
	parts := strings.Split(h.Get("Baggage"), ",")
	slices.Sort(parts)
	return strings.Join(parts, ",")
}

// told returns a group with one endpoint whose hooks are those of a Telemetry
// that records nothing.
func told(tb testing.TB, internal bool, opts ...otel.Option) *failover.Group {
	tb.Helper()
	tel, err := otel.New(append(opts, otel.WithTracerProvider(nooptrace.NewTracerProvider()),
		otel.WithMeterProvider(noopmetric.NewMeterProvider()))...)
	if err != nil {
		tb.Fatal(err)
	}
	g, err := failover.New("svc", failover.Config{
		Endpoints: []failover.Endpoint{{Name: "a", Internal: internal}},
		Retry:     retry.Policy{BaseDelay: -1, Hooks: tel.Retry()},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

func TestBaggageOfAttempts(t *testing.T) {
	full := strings.TrimSuffix(strings.Repeat("a=b,", 64), ",")
	for i := range 64 {
		full = strings.Replace(full, "a=b", fmt.Sprintf("k%02d=b", i), 1)
	}
	long := "k=" + strings.Repeat("v", 8180)
	on := []otel.Option{otel.WithBaggage()}
	for _, tc := range []struct {
		name     string
		opts     []otel.Option
		internal bool
		previous int
		header   string // of the context's baggage
		want     [2]string
	}{
		{"internal", on, true, 0, "", [2]string{"", member + "=1"}},
		{"internal, of a retry", on, true, 2, "", [2]string{member + "=2", member + "=3"}},
		{"beside others", on, true, 0, "k=v", [2]string{"k=v", "k=v," + member + "=1"}},
		{"instead of an older one", on, true, 2, member + "=9,k=v", [2]string{"k=v," + member + "=2", "k=v," + member + "=3"}},
		{"none instead of an older one", on, true, 0, member + "=9", [2]string{"", member + "=1"}},
		{"external", on, false, 2, "k=v", [2]string{"k=v", "k=v"}},
		{"external, leaked", on, false, 2, member + "=2,k=v", [2]string{"k=v", "k=v"}},
		{"too many members", on, true, 2, full, [2]string{full, full}},
		{"too long", on, true, 2, long, [2]string{long, long}},
		{"not asked for", nil, true, 2, member + "=9", [2]string{member + "=9", member + "=9"}},
	} {
		var got []string
		g := told(t, tc.internal, tc.opts...)
		_ = g.Do(retry.WithPrevious(carrying(t.Context(), tc.header), tc.previous), func(ctx context.Context, _ failover.Endpoint) error {
			got = append(got, carried(ctx))
			return errDown
		})
		if len(got) < 2 || got[0] != tc.want[0] || got[1] != tc.want[1] {
			t.Errorf("%s: carried %q, want %q", tc.name, got, tc.want)
		}
	}
}

// A call to an external endpoint within an attempt at an internal one carries
// nothing, and neither does one whose endpoint is unknown.
func TestBaggageOfNestedCalls(t *testing.T) {
	tel, err := otel.New(otel.WithBaggage())
	if err != nil {
		t.Fatal(err)
	}
	inside, outside := told(t, true, otel.WithBaggage()), told(t, false, otel.WithBaggage())
	ctx := retry.WithPrevious(t.Context(), 2)
	_ = inside.Do(ctx, func(ctx context.Context, _ failover.Endpoint) error {
		if got := carried(ctx); got != member+"=2" {
			t.Errorf("inside carried %q", got)
		}
		_ = outside.Do(ctx, func(ctx context.Context, _ failover.Endpoint) error {
			if got := carried(ctx); got != "" {
				t.Errorf("outside carried %q", got)
			}
			return nil
		})
		return retry.Do(ctx, retry.Policy{Hooks: tel.Retry()}, func(ctx context.Context) error {
			if got := carried(ctx); got != "" {
				t.Errorf("somewhere carried %q", got)
			}
			return nil
		})
	})
}

func TestFromBaggage(t *testing.T) {
	for _, tc := range []struct {
		header string
		want   int
		left   string
	}{
		{"", 0, ""},
		{"k=v", 0, "k=v"},
		{member + "=3", 3, ""},
		{"k=v," + member + "=3;p=q", 3, "k=v"},
		{member + "=999", 10, ""},
		{member + "=-1,k=v", 0, "k=v"},
		{member + "=many", 0, ""},
		{member + "=", 0, ""},
	} {
		ctx := otel.FromBaggage(carrying(t.Context(), tc.header))
		if got, left := retry.Previous(ctx), carried(ctx); got != tc.want || left != tc.left {
			t.Errorf("%q: read %d and left %q; want %d and %q", tc.header, got, left, tc.want, tc.left)
		}
		retry.Discourage(ctx)
		if !retry.Discouraged(ctx) {
			t.Errorf("%q: the request cannot be discouraged", tc.header)
		}
	}
	ctx := otel.FromBaggage(retry.WithPrevious(carrying(t.Context(), member+"=1"), 2))
	if got := retry.Previous(ctx); got != 2 {
		t.Errorf("a header's 2 and baggage's 1 make %d", got)
	}
}

func TestBaggageCostsNothingWhileHealthy(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	m, err := baggage.NewMember("k", "v")
	if err != nil {
		t.Fatal(err)
	}
	b, err := baggage.New(m)
	if err != nil {
		t.Fatal(err)
	}
	fn := func(context.Context, failover.Endpoint) error { return nil }
	for name, ctx := range map[string]context.Context{"none": t.Context(), "the program's own": baggage.ContextWithBaggage(t.Context(), b)} {
		allocs := func(opts ...otel.Option) float64 {
			g := told(t, true, opts...)
			return testing.AllocsPerRun(2000, func() { _ = g.Do(ctx, fn) })
		}
		if without, with := allocs(), allocs(otel.WithBaggage()); with != without {
			t.Errorf("baggage %s: %v allocations, %v without the option", name, with, without)
		}
	}
}
