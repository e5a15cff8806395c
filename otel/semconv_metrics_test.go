package otel_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/gossip"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

// metricRule says what an instrument is to be like.
type metricRule struct {
	unit, kind string
	must, may  []string
}

const (
	histogram = "Histogram[float64]"
	counter   = "Sum[int64]"
	tokens    = "Sum[float64]"
	gauge     = "Gauge[float64]"
	gaugeInt  = "Gauge[int64]"
)

var (
	service  = []string{"murmuration.service"}
	endpoint = []string{"murmuration.service", "murmuration.endpoint"}
)

var metricRules = map[string]metricRule{
	"murmuration.client.call.duration":    {"s", histogram, service, []string{"error.type"}},
	"murmuration.client.call.refusal":     {"{call}", counter, append(service, "murmuration.decided_by"), nil},
	"murmuration.client.attempt.duration": {"s", histogram, endpoint, []string{"error.type"}},
	"murmuration.client.retry":            {"{retry}", counter, endpoint, nil},
	"murmuration.client.hedge":            {"{hedge}", counter, endpoint, nil},
	"murmuration.breaker.refusal":         {"{refusal}", counter, append(endpoint, "murmuration.decided_by"), nil},
	"murmuration.breaker.transition":      {"{transition}", counter, append(endpoint, "murmuration.from", "murmuration.to"), nil},
	"murmuration.budget.token":            {"{token}", tokens, append(service, "murmuration.flow"), nil},
	"murmuration.budget.level":            {"{token}", gauge, service, nil},
	"murmuration.endpoint.phi":            {"1", gauge, endpoint, nil},
	"murmuration.endpoint.spill":          {"1", gauge, endpoint, nil},
	"murmuration.cluster.transition":      {"{transition}", counter, []string{"murmuration.from", "murmuration.to"}, nil},
	"murmuration.cluster.mode":            {"1", gaugeInt, []string{"murmuration.mode"}, nil},
	"murmuration.cluster.member.count":    {"{member}", gaugeInt, nil, nil},
	"murmuration.cluster.member.missing":  {"{member}", gaugeInt, nil, nil},
	"murmuration.cluster.coverage":        {"1", gauge, nil, nil},
	"murmuration.cluster.verdict.age":     {"s", gauge, []string{"murmuration.quantile"}, nil},
	"murmuration.cluster.disagreement":    {"{verdict}", gaugeInt, nil, nil},
	"murmuration.cluster.own_path":        {"{endpoint}", gaugeInt, nil, nil},
	"murmuration.cluster.trust":           {"1", gauge, nil, nil},
	"murmuration.cluster.tick.late":       {"{tick}", counter, nil, nil},
	"murmuration.cluster.io":              {"By", counter, []string{"network.io.direction"}, nil},
	"murmuration.cluster.packet":          {"{packet}", counter, []string{"network.io.direction"}, nil},
	"murmuration.cluster.drop":            {"{message}", counter, []string{"murmuration.reason"}, nil},
	"murmuration.cluster.override":        {"{override}", gaugeInt, []string{"murmuration.override"}, nil},
}

// Instruments have the names, kinds and units that are documented, and describe
// themselves; what they measure has the attributes that are documented.
func TestMetricsFollowTheConventions(t *testing.T) {
	h := newHTTPLab(t)
	for name, trouble := range troubles {
		c := h.client(trouble())
		for _, path := range []string{"/", "/500", "/503"} {
			h.get(t.Context(), c, path)
		}
		if name == "hedged" {
			h.get(t.Context(), c, "/slow")
		}
	}
	m := join(t, gossip.Config{Hooks: h.Gossip()})
	m.CoordService("svc").Endpoint("a").Publish(coord.Advice{Phi: coord.PhiOf(.5)})
	h.Gossip().ModeChange(gossip.ModeAlone, gossip.ModeCoordinated, "a member came")
	budget := retry.NewBudget(retry.BudgetConfig{Service: "svc", Hooks: h.Budget()})
	h.Budget().Lent("svc", 1)
	breaker.New("a", breaker.Config{Service: "svc", Hooks: h.Breaker()})

	seen := map[string]bool{}
	for _, metric := range h.collect() {
		seen[metric.Name] = true
		rule, known := metricRules[metric.Name]
		kind := strings.TrimPrefix(fmt.Sprintf("%T", metric.Data), "metricdata.")
		if !known || metric.Unit != rule.unit || kind != rule.kind {
			t.Errorf("%s is a %s of %q, want %+v", metric.Name, kind, metric.Unit, rule)
		}
		if d := metric.Description; !strings.HasSuffix(d, ".") {
			t.Errorf("%s is described as %q", metric.Name, d)
		}
		for _, set := range points(metric.Data) {
			wantAttributes(t, metric.Name, rule, set, m.Members()[0].Name)
		}
	}
	for name := range metricRules {
		if !seen[name] {
			t.Errorf("nothing was measured by %s", name)
		}
	}
	budget.Tokens() // it is there until now
}

func wantAttributes(t *testing.T, metric string, rule metricRule, set attribute.Set, member string) {
	t.Helper()
	for _, kv := range set.ToSlice() {
		key := string(kv.Key)
		if !slices.Contains(rule.must, key) && !slices.Contains(rule.may, key) {
			t.Errorf("%s has %s", metric, key)
		} else if !values[key](kv.Value) || strings.Contains(kv.Value.Emit(), member) {
			t.Errorf("%s has %s = %s", metric, key, kv.Value.Emit())
		}
	}
	for _, key := range rule.must {
		if !set.HasValue(attribute.Key(key)) {
			t.Errorf("%s lacks %s", metric, key)
		}
	}
}

func points(data metricdata.Aggregation) (all []attribute.Set) {
	switch d := data.(type) {
	case metricdata.Histogram[float64]:
		for _, p := range d.DataPoints {
			all = append(all, p.Attributes)
		}
	case metricdata.Sum[int64]:
		for _, p := range d.DataPoints {
			all = append(all, p.Attributes)
		}
	case metricdata.Sum[float64]:
		for _, p := range d.DataPoints {
			all = append(all, p.Attributes)
		}
	case metricdata.Gauge[int64]:
		for _, p := range d.DataPoints {
			all = append(all, p.Attributes)
		}
	case metricdata.Gauge[float64]:
		for _, p := range d.DataPoints {
			all = append(all, p.Attributes)
		}
	}
	return all
}

// Names are as the conventions have them: words of lower case in one namespace, no
// units, counters not in the plural, and no name that is also the namespace of others.
func TestNamesFollowTheConventions(t *testing.T) {
	var attributes, metrics []string
	for key := range values {
		if strings.HasPrefix(key, "murmuration") {
			attributes = append(attributes, key)
		}
	}
	for name, rule := range metricRules {
		metrics = append(metrics, name)
		if strings.HasPrefix(rule.kind, "Sum") && strings.HasSuffix(name, "s") {
			t.Errorf("%s is in the plural", name)
		}
		if !regexp.MustCompile(`^(s|By|1|\{[a-z]+\})$`).MatchString(rule.unit) {
			t.Errorf("%s is measured in %q", name, rule.unit)
		}
	}
	shape := regexp.MustCompile(`^murmuration(\.[a-z]+(_[a-z]+)*)+$`)
	unit := regexp.MustCompile(`(^|[._])(s|ms|seconds?|millis|bytes?|percent|ratio|total)($|[._])`)
	for _, all := range [][]string{attributes, metrics} {
		for _, name := range all {
			if !shape.MatchString(name) || unit.MatchString(name) {
				t.Errorf("%s is no name", name)
			}
			if i := slices.IndexFunc(all, func(other string) bool { return strings.HasPrefix(other, name+".") }); i >= 0 {
				t.Errorf("%s is also the namespace of %s", name, all[i])
			}
		}
	}
}
