package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/gossip"
	"github.com/murmuration-go/murmuration/otel"
	"github.com/murmuration-go/murmuration/retry"
)

// dashboard is what is looked at of grafana.json.
type dashboard struct {
	Title         string
	SchemaVersion int
	Panels        []panel
	Templating    struct {
		List []struct {
			Name, Type string
			Query      any
			Definition string
		}
	}
}

type panel struct {
	ID          int
	Type, Title string
	Datasource  struct{ Type, UID string }
	FieldConfig struct{ Defaults struct{ Unit string } }
	Targets     []struct {
		Expr, LegendFormat, RefID string
		Datasource                struct{ Type, UID string }
	}
}

// Whatever the dashboard asks for there is, under the names that Prometheus gives it.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	known := everyMetric(t)
	used, ids := map[string]bool{}, map[int]bool{}
	check := func(where, expr string) {
		t.Helper()
		for _, m := range check(t, where, expr, known) {
			used[m] = true
		}
	}
	if d.Title == "" || d.SchemaVersion == 0 {
		t.Error("the dashboard has no title or no version")
	}
	var variables, rows []string
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
		if v.Type == "query" {
			check("variable "+v.Name, v.Definition)
		} else if v.Type != "datasource" || v.Query != "prometheus" {
			t.Errorf("variable %s is a %s of %v", v.Name, v.Type, v.Query)
		}
	}
	for _, p := range d.Panels {
		if p.Title == "" || ids[p.ID] {
			t.Errorf("panel %d has no title, or its number is another's", p.ID)
		}
		ids[p.ID] = true
		if p.Type == "row" {
			rows = append(rows, p.Title)
			continue
		}
		if p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 || p.Datasource.UID != "${datasource}" {
			t.Errorf("%s has no unit, no query or a data source of its own", p.Title)
		}
		for _, q := range p.Targets {
			if q.Expr == "" || q.RefID == "" || q.LegendFormat == "" || q.Datasource != p.Datasource {
				t.Errorf("%s has a query without an expression, a name, a legend or the panel's data source: %+v", p.Title, q)
			}
			check(p.Title, q.Expr)
			for _, l := range legends.FindAllStringSubmatch(q.LegendFormat, -1) {
				if !strings.Contains(q.Expr, l[1]) {
					t.Errorf("the legend of %s has label %s, which its query drops", p.Title, l[1])
				}
			}
		}
	}
	if want := []string{"datasource", "service", "instance"}; !slices.Equal(variables, want) {
		t.Errorf("variables %v, not %v", variables, want)
	}
	if want := []string{"Fleet", "Calls", "Retries", "Endpoints", "Gossip"}; !slices.Equal(rows, want) {
		t.Errorf("rows %v, not %v", rows, want)
	}
	for name := range known {
		family := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		if !used[name] && !used[family+"_bucket"] && !used[family+"_count"] {
			t.Errorf("no panel shows %s", name)
		}
	}
}

var (
	legends   = regexp.MustCompile(`{{(\w+)}}`)
	quoted    = regexp.MustCompile(`"[^"]*"`)
	selectors = regexp.MustCompile(`(murmuration_\w+)\s*(?:{([^}]*)})?`)
	groups    = regexp.MustCompile(`\bby \(([^)]*)\)`)
	values    = regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`)
	matchers  = regexp.MustCompile(`^\s*(\w+)\s*(?:=|!=|=~|!~)\s*$`)
)

// check finds the metrics of an expression, and complains of those, and of labels, that
// there are not.
func check(t *testing.T, where, expr string, known map[string][]string) (metrics []string) {
	t.Helper()
	has := func(metric, label string) {
		t.Helper()
		if !slices.Contains(known[metric], label) {
			t.Errorf("%s: %s has no label %s, but %v", where, metric, label, known[metric])
		}
	}
	rest := quoted.ReplaceAllString(expr, "")
	var labels []string
	if v := values.FindStringSubmatch(rest); v != nil {
		rest, labels = v[1], []string{v[2]}
	}
	for _, g := range groups.FindAllStringSubmatch(rest, -1) {
		for l := range strings.SplitSeq(g[1], ",") {
			labels = append(labels, strings.TrimSpace(l))
		}
	}
	rest = groups.ReplaceAllString(rest, "")
	for _, m := range selectors.FindAllStringSubmatch(rest, -1) {
		metrics = append(metrics, m[1])
		if known[m[1]] == nil {
			t.Errorf("%s: there is no metric %s", where, m[1])
			continue
		}
		for s := range strings.SplitSeq(m[2], ",") {
			if l := matchers.FindStringSubmatch(s); l != nil {
				has(m[1], l[1])
			} else if s != "" {
				t.Errorf("%s: what is %q in %s", where, s, expr)
			}
		}
		for _, l := range labels {
			has(m[1], l)
		}
	}
	if len(metrics) == 0 {
		t.Errorf("%s asks for nothing of ours: %s", where, expr)
	}
	return metrics
}

// everyMetric has each metric measured once with all its attributes, and returns the
// names that Prometheus gives them, each with its labels.
func everyMetric(t *testing.T) map[string][]string {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	tel, err := otel.New(otel.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))))
	if err != nil {
		t.Fatal(err)
	}
	drifting(t, tel)
	down, refusal := errors.New("down"), &breaker.OpenError{Service: "svc", Endpoint: "a", Source: breaker.SourceCluster}
	calls := tel.Retry()
	ctx := calls.CallStart(t.Context(), "svc")
	hedge := retry.Attempt{Service: "svc", Endpoint: "a", Number: 2, HedgedAfter: 1}
	calls.AttemptEnd(calls.AttemptStart(ctx, hedge), hedge, down)
	calls.CallEnd(ctx, retry.CallInfo{Service: "svc", Err: down})
	tel.Breaker().Refused(ctx, refusal)
	tel.Breaker().StateChange("svc", "a", breaker.Closed, breaker.Open)
	tel.Failover().Refused(ctx, "svc", refusal)
	tel.Budget().Lent("svc", 1)
	tel.Gossip().ModeChange(gossip.ModeAlone, gossip.ModeDegraded, "")

	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	known := map[string][]string{}
	for _, s := range all.ScopeMetrics {
		for _, m := range s.Metrics {
			maps.Copy(known, translate(t, m))
		}
	}
	return known
}

// drifting makes a member that has seen that another has another policy.
func drifting(t *testing.T, tel *otel.Telemetry) {
	t.Helper()
	var all []*gossip.Cluster
	var groups []*failover.Group
	config := gossip.Config{Cluster: "observe", Bind: "127.0.0.1:0", Hooks: tel.Gossip(), Logger: slog.New(slog.DiscardHandler)}
	for attempts := range 2 {
		c, err := gossip.Join(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		g, err := failover.New("svc", failover.Config{
			Cluster: c, Endpoints: []failover.Endpoint{{Name: "a"}},
			Retry: retry.Policy{MaxAttempts: 3 + attempts}, Budget: retry.BudgetConfig{Hooks: tel.Budget()},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = g.Close() })
		all, groups = append(all, c), append(groups, g)
		config.Seeds, config.Hooks = []string{c.Addr()}, gossip.Hooks{}
	}
	poll(t, "drift", func() bool {
		for _, g := range groups {
			_ = g.Do(t.Context(), func(context.Context, failover.Endpoint) error { return nil })
		}
		return len(all[0].Health().PolicyDrift) > 0
	})
}

// translate gives a metric the names and labels that Prometheus gives it.
func translate(t *testing.T, m metricdata.Metrics) map[string][]string {
	t.Helper()
	name := underscores(m.Name)
	if unit := map[string]string{"s": "_seconds", "By": "_bytes"}[m.Unit]; !strings.HasSuffix(name, unit) {
		name += unit
	}
	sum := func(monotonic bool, labels []string) map[string][]string {
		if !monotonic {
			return map[string][]string{name: labels}
		}
		return map[string][]string{strings.TrimSuffix(name, "_total") + "_total": labels}
	}
	gauge := func(labels []string) map[string][]string {
		if m.Unit == "1" {
			name += "_ratio"
		}
		return map[string][]string{name: labels}
	}
	switch d := m.Data.(type) {
	case metricdata.Sum[int64]:
		return sum(d.IsMonotonic, labels(d.DataPoints, func(p metricdata.DataPoint[int64]) attribute.Set { return p.Attributes }))
	case metricdata.Sum[float64]:
		return sum(d.IsMonotonic, labels(d.DataPoints, func(p metricdata.DataPoint[float64]) attribute.Set { return p.Attributes }))
	case metricdata.Gauge[int64]:
		return gauge(labels(d.DataPoints, func(p metricdata.DataPoint[int64]) attribute.Set { return p.Attributes }))
	case metricdata.Gauge[float64]:
		return gauge(labels(d.DataPoints, func(p metricdata.DataPoint[float64]) attribute.Set { return p.Attributes }))
	case metricdata.Histogram[float64]:
		l := labels(d.DataPoints, func(p metricdata.HistogramDataPoint[float64]) attribute.Set { return p.Attributes })
		return map[string][]string{name + "_bucket": append([]string{"le"}, l...), name + "_sum": l, name + "_count": l}
	default:
		t.Fatal(fmt.Sprintf("%s is a %T", m.Name, m.Data))
		return nil
	}
}

// labels are those of any point, and those that come from the resource.
func labels[P any](points []P, of func(P) attribute.Set) []string {
	all := []string{"job", "instance"}
	for _, p := range points {
		set := of(p)
		for _, kv := range set.ToSlice() {
			if l := underscores(string(kv.Key)); !slices.Contains(all, l) {
				all = append(all, l)
			}
		}
	}
	return all
}

func underscores(name string) string { return strings.ReplaceAll(name, ".", "_") }
