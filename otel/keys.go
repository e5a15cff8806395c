package otel

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// This file holds every name that is written to a span, a metric or baggage, and is the
// only one that imports the semantic conventions. These know nothing of retries,
// breakers and failover, hence the namespace of our own.

const (
	schemaURL = semconv.SchemaURL

	errorTypeKey  = semconv.ErrorTypeKey
	statusCodeKey = semconv.HTTPResponseStatusCodeKey
	rpcStatusKey  = semconv.RPCResponseStatusCodeKey // the name of a gRPC code
	resendKey     = semconv.HTTPRequestResendCountKey
)

// The spans' names.
const (
	callSpan    = "murmuration.call"
	attemptSpan = "murmuration.attempt"
)

// Attributes of spans and metrics.
const (
	serviceKey   = attribute.Key("murmuration.service")
	endpointKey  = attribute.Key("murmuration.endpoint") // on a call's span the one last sent to, or of two at once the one that answered
	decidedByKey = attribute.Key("murmuration.decided_by")
	overrideKey  = attribute.Key("murmuration.override") // its kind
)

// Attributes of spans alone.
const (
	attemptCountKey = attribute.Key("murmuration.attempt_count") // attempts that were sent
	attemptKey      = attribute.Key("murmuration.attempt")       // number of the attempt, from 1
	waitKey         = attribute.Key("murmuration.wait")          // before the attempt, in seconds
	tokenKey        = attribute.Key("murmuration.token")         // where the budget took what the attempt cost: held, awaited or debt
	hedgedAfterKey  = attribute.Key("murmuration.hedged_after")  // of a hedge: how long the first attempt had to itself, in seconds
	stopKey         = attribute.Key("murmuration.stop")          // why there was no further attempt

	refusedEndpointKey = attribute.Key("murmuration.refused_endpoint")
	divertedFromKey    = attribute.Key("murmuration.diverted_from") // the home of a call that made its last attempt elsewhere
	phiKey             = attribute.Key("murmuration.phi")
	evidenceAgeKey     = attribute.Key("murmuration.evidence.age") // in seconds
	reportersKey       = attribute.Key("murmuration.evidence.reporters")
	failuresKey        = attribute.Key("murmuration.evidence.failures")
	outcomesKey        = attribute.Key("murmuration.evidence.outcomes")
)

// Attributes of metrics alone.
const (
	fromKey = attribute.Key("murmuration.from")
	toKey   = attribute.Key("murmuration.to")
	flowKey = attribute.Key("murmuration.flow") // of tokens: lent, borrowed or burned

	modeKey      = attribute.Key("murmuration.mode")     // of the cluster
	quantileKey  = attribute.Key("murmuration.quantile") // 0.5 or 0.99
	reasonKey    = attribute.Key("murmuration.reason")   // why a message was not heeded
	directionKey = semconv.NetworkIODirectionKey
)

// The metrics' names.
const (
	callDurationName      = "murmuration.client.call.duration"
	callRefusalName       = "murmuration.client.call.refusal"
	attemptDurationName   = "murmuration.client.attempt.duration"
	retryName             = "murmuration.client.retry"
	hedgeName             = "murmuration.client.hedge"
	breakerRefusalName    = "murmuration.breaker.refusal"
	breakerTransitionName = "murmuration.breaker.transition"
	budgetTokensName      = "murmuration.budget.token"
	modeTransitionName    = "murmuration.cluster.transition"

	// Those are observed.
	budgetLevelName  = "murmuration.budget.level"
	phiName          = "murmuration.endpoint.phi"
	spillName        = "murmuration.endpoint.spill"
	modeName         = "murmuration.cluster.mode"
	membersName      = "murmuration.cluster.member.count"
	missingName      = "murmuration.cluster.member.missing"
	coverageName     = "murmuration.cluster.coverage"
	verdictAgeName   = "murmuration.cluster.verdict.age"
	disagreementName = "murmuration.cluster.disagreement"
	overrideName     = "murmuration.cluster.override"
	policyDriftName  = "murmuration.policy.drift"
	ownPathName      = "murmuration.cluster.own_path"
	trustName        = "murmuration.cluster.trust"
	lateTickName     = "murmuration.cluster.tick.late"
	ioName           = "murmuration.cluster.io"
	packetName       = "murmuration.cluster.packet"
	dropName         = "murmuration.cluster.drop"
)

// previousMember is the member of baggage that tells how many attempts came
// before, as decimal digits.
const previousMember = "murmuration.previous_attempts"

// other stands for whatever a bounded attribute has no room for; it is also the
// conventions' word for an error.type of no known kind.
const other = "_OTHER"
