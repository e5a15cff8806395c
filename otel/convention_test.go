package otel_test

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// This file is what spans are checked against: the semantic conventions, version 1.43.0,
// and what the package's documentation says of its own names. It is spelled out, so that
// it shares no mistake with the code.

const (
	conventions = "https://opentelemetry.io/schemas/1.43.0"
	ours        = "github.com/murmuration-go/murmuration/otel"
	theirHTTP   = "the HTTP client's" // scopes of what instruments the clients below
	theirGRPC   = "the gRPC client's"
)

var (
	grpcNames = []string{
		"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
		"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
		"INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
	}
	noFailures = []string{ // to package failovergrpc
		"INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "FAILED_PRECONDITION",
		"OUT_OF_RANGE", "UNIMPLEMENTED", "UNAUTHENTICATED",
	}
	ourErrors = []string{"timeout", "canceled", "superseded", "breaker_open", "budget_exhausted", "retries_off", "_OTHER"}
)

type check func(attribute.Value) bool

// values says what each attribute may be.
var values = map[string]check{
	"error.type": func(v attribute.Value) bool {
		return oneOf(slices.Concat(ourErrors, grpcNames[1:])...)(v) || failing.MatchString(v.AsString())
	},
	"http.request.method":       oneOf("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY", "_OTHER"),
	"http.request.resend_count": whole(1, 10),
	"http.response.status_code": whole(100, 599),
	"network.io.direction":      oneOf("receive", "transmit"),
	"rpc.method":                matches(`^[\w.]+/\w+$`),
	"rpc.response.status_code":  oneOf(grpcNames...),
	"rpc.system.name":           oneOf("grpc"),
	"server.address":            matches(`^[^/@]+$`),
	"server.port":               whole(1, 65535),
	"url.full": func(v attribute.Value) bool {
		u, err := url.Parse(v.AsString())
		return err == nil && u.IsAbs() && u.User == nil
	},

	"murmuration.attempt":            whole(1, 10),
	"murmuration.attempt_count":      whole(0, 10),
	"murmuration.decided_by":         oneOf("local", "cluster", "operator"),
	"murmuration.diverted_from":      name,
	"murmuration.endpoint":           name,
	"murmuration.evidence.age":       within(0, 3600),
	"murmuration.evidence.failures":  whole(0, 1e9),
	"murmuration.evidence.outcomes":  whole(1, 1e9),
	"murmuration.evidence.reporters": whole(1, 1e4),
	"murmuration.flow":               oneOf("lent", "borrowed", "burned"),
	"murmuration.from":               oneOf("closed", "half-open", "open", "alone", "degraded", "coordinated"),
	"murmuration.hedged_after":       within(1e-9, 3600),
	"murmuration.mode":               oneOf("alone", "degraded", "coordinated"),
	"murmuration.override":           oneOf("freeze", "force-closed", "force-open", "drain", "prefer", "retries-off"),
	"murmuration.phi":                within(0, 1),
	"murmuration.quantile":           within(0, 1),
	"murmuration.reason":             matches(`^[a-z]+(-[a-z]+)*$`),
	"murmuration.refused_endpoint":   name,
	"murmuration.service":            name,
	"murmuration.stop":               oneOf("timeout", "canceled", "breaker_open", "budget_exhausted", "retries_off", "_OTHER"),
	"murmuration.to":                 oneOf("closed", "half-open", "open", "alone", "degraded", "coordinated"),
	"murmuration.token":              oneOf("held", "awaited", "debt"),
	"murmuration.wait":               within(1e-9, 3600),
}

var failing = regexp.MustCompile(`^[45]\d\d$`)

func oneOf(all ...string) check {
	return func(v attribute.Value) bool {
		return v.Type() == attribute.STRING && slices.Contains(all, v.AsString())
	}
}

func matches(pattern string) check {
	r := regexp.MustCompile(pattern)
	return func(v attribute.Value) bool { return v.Type() == attribute.STRING && r.MatchString(v.AsString()) }
}

func whole(from, to int64) check {
	return func(v attribute.Value) bool {
		return v.Type() == attribute.INT64 && v.AsInt64() >= from && v.AsInt64() <= to
	}
}

func within(from, to float64) check {
	return func(v attribute.Value) bool {
		return v.Type() == attribute.FLOAT64 && v.AsFloat64() >= from && v.AsFloat64() <= to
	}
}

// name is what configuration gives, and no URL.
func name(v attribute.Value) bool {
	return v.Type() == attribute.STRING && v.AsString() != "" && !strings.Contains(v.AsString(), "/")
}

var why = []string{
	"murmuration.decided_by", "murmuration.phi", "murmuration.evidence.age", "murmuration.evidence.reporters",
	"murmuration.evidence.failures", "murmuration.evidence.outcomes",
}

// spanRule says what a span is to be like.
type spanRule struct {
	name      *regexp.Regexp
	kind      trace.SpanKind
	must, may []string
	failed    int // the HTTP status from which on it is an error
}

var spanRules = map[string]spanRule{
	"murmuration.call": {
		kind: trace.SpanKindInternal, must: []string{"murmuration.attempt_count", "murmuration.service"},
		may: append([]string{
			"error.type", "http.response.status_code", "rpc.response.status_code", "murmuration.endpoint",
			"murmuration.stop", "murmuration.refused_endpoint", "murmuration.diverted_from",
		}, why...), failed: 500,
	},
	"murmuration.attempt": {
		kind: trace.SpanKindInternal, must: []string{"murmuration.attempt", "murmuration.service", "murmuration.endpoint"},
		may: []string{
			"error.type", "http.response.status_code", "rpc.response.status_code", "murmuration.wait", "murmuration.hedged_after", "murmuration.token",
		}, failed: 500,
	},
	theirHTTP: {
		name: regexp.MustCompile(`^GET$`), kind: trace.SpanKindClient,
		must: []string{"http.request.method", "server.address", "server.port", "url.full"},
		may:  []string{"error.type", "http.response.status_code", "http.request.resend_count"}, failed: 400,
	},
	theirGRPC: {
		name: regexp.MustCompile(`^[\w.]+/\w+$`), kind: trace.SpanKindClient,
		must: []string{"rpc.system.name", "rpc.method"},
		may:  []string{"error.type", "rpc.response.status_code", "server.address", "server.port"},
	},
}

// faults are what is wrong with a span.
func faults(s sdktrace.ReadOnlySpan) (all []string) {
	bad := func(format string, args ...any) { all = append(all, s.Name()+": "+fmt.Sprintf(format, args...)) }
	scope := s.InstrumentationScope()
	rule, known := spanRules[s.Name()]
	if scope.Name != ours {
		rule, known = spanRules[scope.Name]
	} else if scope.SchemaURL != conventions {
		bad("the schema is %q", scope.SchemaURL)
	}
	if !known || rule.name != nil && !rule.name.MatchString(s.Name()) {
		bad("no such span in scope %q", scope.Name)
		return all
	}
	if s.SpanKind() != rule.kind {
		bad("is of kind %v", s.SpanKind())
	}
	told := map[string]attribute.Value{}
	for _, kv := range s.Attributes() {
		key := string(kv.Key)
		if _, twice := told[key]; twice {
			bad("%s is there twice", key)
		}
		told[key] = kv.Value
		if !slices.Contains(rule.must, key) && !slices.Contains(rule.may, key) {
			bad("%s does not belong here", key)
		} else if is := values[key]; is == nil || !is(kv.Value) {
			bad("%s is %s %q", key, kv.Value.Type(), kv.Value.Emit())
		}
	}
	for _, key := range rule.must {
		if _, ok := told[key]; !ok {
			bad("%s is lacking", key)
		}
	}
	failed, isError := told["error.type"], s.Status().Code == codes.Error
	why := failed.AsString()
	switch {
	case s.Status().Code == codes.Ok:
		bad("status OK is for the program to set")
	case isError != (why != "") && why != "superseded", isError && why == "superseded":
		bad("status is %v, error.type %q", s.Status().Code, why)
	}
	if code, ok := told["http.response.status_code"]; ok {
		n := int(code.AsInt64())
		if answered := fmt.Sprint(n); n >= rule.failed && why == "" || failing.MatchString(why) && why != answered || n < 400 && failing.MatchString(why) {
			bad("status code %d, error.type %q", n, why)
		}
	} else if failing.MatchString(why) {
		bad("error.type %s without a status code", why)
	}
	if code, ok := told["rpc.response.status_code"]; ok {
		name := code.AsString()
		fine := name == "OK" || scope.Name == ours && slices.Contains(noFailures, name)
		if !fine && why == "" || slices.Contains(grpcNames, why) && why != name {
			bad("gRPC code %s, error.type %q", name, why)
		}
	}
	if scope.Name == ours {
		all = append(all, ownFaults(s, told, why)...)
	}
	return all
}

// ownFaults are what is wrong with a span of ours beyond that.
func ownFaults(s sdktrace.ReadOnlySpan, told map[string]attribute.Value, failed string) (all []string) {
	bad := func(format string, args ...any) { all = append(all, s.Name()+": "+fmt.Sprintf(format, args...)) }
	has := func(key string) bool { _, ok := told[key]; return ok }
	if s.Status().Description != "" || len(s.Events()) > 0 {
		bad("messages of errors are told: %q, %v", s.Status().Description, s.Events())
	}
	explained := 0
	for _, key := range why {
		if has(key) {
			explained++
		}
	}
	stop := told["murmuration.stop"].AsString()
	refused := failed == "breaker_open" || failed == "retries_off" || stop == "breaker_open" || stop == "retries_off"
	refused = s.Name() == "murmuration.call" && (refused || has("murmuration.refused_endpoint") || has("murmuration.diverted_from"))
	if has("murmuration.override") { // there are no numbers to it
		explained += 3
	}
	if refused != (explained > 0) || explained != 0 && explained != len(why) {
		bad("refused or diverted: %v, and %d of %d attributes say why", refused, explained, len(why))
	}
	if sent := told["murmuration.attempt_count"].AsInt64() > 0; s.Name() == "murmuration.call" && sent != has("murmuration.endpoint") {
		bad("%d attempts, and an endpoint: %v", told["murmuration.attempt_count"].AsInt64(), !sent)
	}
	if has("murmuration.diverted_from") && told["murmuration.diverted_from"] == told["murmuration.endpoint"] {
		bad("diverted from %s to where it was", told["murmuration.endpoint"].AsString())
	}
	if n := told["murmuration.attempt"].AsInt64(); n == 1 && (has("murmuration.wait") || has("murmuration.hedged_after") || has("murmuration.token")) {
		bad("a first try that has waited")
	}
	return all
}
