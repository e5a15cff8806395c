package otel

import (
	"maps"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/murmuration-go/murmuration/breaker"
)

// Bounds of what is kept. With a handful of error types a pair, the first keeps
// an instrument about within the SDK's default limit of 2000 attribute sets.
const (
	maxTargets  = 500 // pairs of service and endpoint
	maxStatuses = 40  // labels of a target from which on new HTTP statuses are _OTHER
)

// targets keeps the attribute sets of every service and endpoint, so that
// recording makes none. Readers take no lock: what they read is replaced, never
// changed.
type targets struct {
	all      atomic.Pointer[map[name]*target]
	overflow *target

	mu sync.Mutex // serialises additions
}

type name struct{ service, endpoint string }

func (ts *targets) init() {
	ts.all.Store(new(map[name]*target))
	ts.overflow = newTarget(name{service: other})
}

// get returns the target of a name, or overflow when there are too many. An
// empty endpoint means the service alone.
func (ts *targets) get(service, endpoint string) *target {
	n := name{service, endpoint}
	if t := (*ts.all.Load())[n]; t != nil {
		return t
	}
	return ts.add(n)
}

func (ts *targets) add(n name) *target {
	if len(*ts.all.Load()) >= maxTargets {
		return ts.overflow
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	old := *ts.all.Load()
	if t := old[n]; t != nil {
		return t
	}
	if len(old) >= maxTargets {
		return ts.overflow
	}
	all := make(map[name]*target, len(old)+1)
	maps.Copy(all, old)
	all[n] = newTarget(n)
	ts.all.Store(&all)
	return all[n]
}

// startOptions returns the options to start a span with. Spans are not
// aggregated, so they tell the true name also of what is beyond the bound.
func (ts *targets) startOptions(service, endpoint string) []trace.SpanStartOption {
	t := ts.get(service, endpoint)
	if t == ts.overflow {
		return startOptions(attributes(name{service, endpoint}))
	}
	return t.start
}

// target holds what is recorded about one endpoint, or a service as a whole.
type target struct {
	attrs []attribute.KeyValue
	start []trace.SpanStartOption

	labels atomic.Pointer[map[label]options]
	mu     sync.Mutex // serialises additions
}

// label is what a measurement tells beside the target: an outcome, or one of
// those below.
type label uint16

const (
	decidedBy  label = 1000 // + breaker.Source
	transition label = 2000 // + 16 * from + to, both breaker.State
	tokens     label = 3000 // + flow
)

// options are the same attributes for each kind of instrument.
type options struct {
	record []metric.RecordOption
	add    []metric.AddOption
}

func newTarget(n name) *target {
	attrs := attributes(n)
	t := &target{attrs: attrs, start: startOptions(attrs)}
	t.labels.Store(new(map[label]options))
	return t
}

func attributes(n name) (attrs []attribute.KeyValue) {
	if n.service != "" {
		attrs = append(attrs, serviceKey.String(strings.ToValidUTF8(n.service, "?")))
	}
	if n.endpoint != "" {
		attrs = append(attrs, endpointKey.String(endpointName(n.endpoint)))
	}
	return attrs
}

func startOptions(attrs []attribute.KeyValue) []trace.SpanStartOption {
	return []trace.SpanStartOption{trace.WithAttributes(attrs...)}
}

// endpointName makes of a URL, which an endpoint without a name is called by,
// its host: the rest may be secret.
func endpointName(s string) string {
	if strings.Contains(s, "://") {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" {
			return other
		}
		s = u.Host
	}
	return strings.ToValidUTF8(s, "?")
}

// with returns the options for the target's attributes and a label's.
func (t *target) with(l label) options {
	if o, ok := (*t.labels.Load())[l]; ok {
		return o
	}
	return t.add(l)
}

func (t *target) add(l label) options {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := *t.labels.Load()
	if l < decidedBy && outcome(l).isStatus() && len(old) >= maxStatuses {
		l = label(otherError)
	}
	if o, ok := old[l]; ok {
		return o
	}
	all := make(map[label]options, len(old)+1)
	maps.Copy(all, old)
	set := metric.WithAttributeSet(attribute.NewSet(append(l.attributes(), t.attrs...)...))
	all[l] = options{record: []metric.RecordOption{set}, add: []metric.AddOption{set}}
	t.labels.Store(&all)
	return all[l]
}

func (l label) attributes() []attribute.KeyValue {
	switch {
	case l == label(success):
		return nil
	case l < decidedBy:
		return []attribute.KeyValue{outcome(l).errorType()}
	case l < transition:
		return []attribute.KeyValue{decidedByKey.String(breaker.Source(l - decidedBy).String())}
	case l >= tokens:
		return []attribute.KeyValue{flowKey.String(flow(l - tokens).String())}
	}
	l -= transition
	return []attribute.KeyValue{fromKey.String(breaker.State(l / 16).String()), toKey.String(breaker.State(l % 16).String())}
}
