package failover

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strings"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

// Cluster is the coordination that a group may take part in; *gossip.Cluster
// implements it. Nil, or a nil pointer, means local only.
type Cluster = coord.Cluster

// MaxEndpoints is the largest number of endpoints of a group.
const MaxEndpoints = coord.MaxEndpoints

// Endpoint is one way to reach a service.
type Endpoint struct {
	// Name tells the endpoint apart, in this process and in the cluster: 1
	// to 64 bytes, unique in its group. All members of a cluster must give
	// the same endpoint the same name. Empty means the URL.
	Name string

	// URL is where the endpoint is: a base URL for HTTP, a target for gRPC,
	// or whatever the function given to Do makes of it.
	URL string

	// Zone is where the endpoint stands. Endpoints in the group's own zone,
	// or with no zone, are nearer than all others.
	Zone string

	// Priority orders endpoints that are equally near: lower ones first.
	Priority int

	// Weight shares out first tries among endpoints of one zone and
	// priority. Zero means 1.
	Weight float64

	// Capacity is how many requests per second the endpoint can take, from
	// everybody; zero means unknown. In a cluster what is diverted to it from
	// other zones keeps it under three quarters of that, and within what it
	// has been seen to bear; unknown, within that alone, which takes some
	// seconds longer to find out.
	Capacity float64

	// Internal says that the endpoint belongs to the same organisation as
	// the caller. Only such endpoints are told how many attempts came before
	// (see retry.Previous), and only they are believed that a retry is no use.
	Internal bool
}

// Config configures a Group.
type Config struct {
	// Endpoints are the ways to reach the service, 1 to 64 of them.
	Endpoints []Endpoint

	// Cluster is the coordination to take part in. Nil means none.
	Cluster Cluster

	// Zone is where this process stands. Empty means the cluster's zone, if
	// it has one.
	Zone string

	// Retry is the policy of every call. Its Budget, if nil, is made from
	// the field Budget.
	Retry retry.Policy

	// Budget configures the retry budget. Service and Cluster are filled in.
	Budget retry.BudgetConfig

	// Breaker configures the breaker of each endpoint. Service, Cluster and,
	// if zero, AttemptTimeout are filled in.
	Breaker breaker.Config

	// DrainOver is how long it takes until an endpoint that is drained gets no
	// calls any more: its share of them falls evenly. Zero means 10 s; negative
	// means at once.
	DrainOver time.Duration

	// Hooks are told what the group does.
	Hooks Hooks
}

// Hooks are optional functions that a Group calls, on the goroutine of the call
// that caused them, or of its hedge; they should return soon, since that call
// waits for them.
// Config.Retry.Hooks and Config.Breaker.Hooks tell of attempts and refusals.
type Hooks struct {
	// Routed is told which endpoint an attempt goes to, before it is sent.
	Routed func(ctx context.Context, service, endpoint string, attempt int)
	// Diverted is told that a call whose first try failed or was dimmed at one
	// endpoint, its home, makes its last attempt at another.
	Diverted func(ctx context.Context, service, from, to string)
	// DivertedFor is told the same and why. The error must not be changed; the call
	// ends with it among its causes if that attempt fails.
	DivertedFor func(ctx context.Context, why *DivertedError)
	// Refused is told the error of a call of which nothing was sent.
	Refused func(ctx context.Context, service string, err error)
}

// ConfigError is one fault of a Config.
type ConfigError struct {
	Field   string // name of the field
	Problem string // what is wrong with it, and what would be right
}

func (e *ConfigError) Error() string { return "failover: " + e.Field + " " + e.Problem }

// Validate reports every fault of the configuration at once, as errors joined
// together.
func (c Config) Validate() error {
	var zone error
	if n := len(c.Zone); n > coord.MaxName {
		zone = &ConfigError{Field: "Zone", Problem: fmt.Sprintf("is %d bytes long; the limit is %d", n, coord.MaxName)}
	}
	return errors.Join(
		checkEndpoints(c.Endpoints),
		zone,
		c.Retry.Validate(),
		c.budget("service").Validate(),
		c.breaker("service").Validate(),
	)
}

func (c Config) budget(service string) retry.BudgetConfig {
	b := c.Budget
	b.Service, b.Cluster = service, c.Cluster
	return b
}

func (c Config) breaker(service string) breaker.Config {
	b := c.Breaker
	b.Service, b.Cluster = service, c.Cluster
	if b.AttemptTimeout == 0 {
		b.AttemptTimeout = max(c.Retry.AttemptTimeout, 0)
	}
	return b
}

func checkEndpoints(list []Endpoint) error {
	var faults []error
	bad := func(field, format string, args ...any) {
		faults = append(faults, &ConfigError{Field: field, Problem: fmt.Sprintf(format, args...)})
	}
	if n := len(list); n == 0 || n > MaxEndpoints {
		bad("Endpoints", "has %d entries; a group needs 1 to %d", n, MaxEndpoints)
	}
	seen := map[string]int{}
	for i, e := range list {
		at := func(field string) string { return fmt.Sprintf("Endpoints[%d].%s", i, field) }
		name := e.name()
		switch err := coord.CheckName(name); {
		case e.Name == "" && e.URL == "":
			bad(at("Name"), "is empty, and so is URL; an endpoint needs at least one of them")
		case e.Name == "" && redact(e.URL) != e.URL:
			bad(at("Name"), "must be given, since the URL that would stand for it holds a password and names are told to others")
		case e.Name == "" && err != nil:
			bad(at("Name"), "is empty, and the URL cannot stand for it: %v", err)
		case err != nil:
			bad(at("Name"), "%v", err)
		}
		if j, dup := seen[name]; dup && name != "" {
			bad(at("Name"), "%q is also the name of Endpoints[%d]; names must differ", redact(name), j)
		}
		seen[name] = i
		if err := checkURL(e.URL); err != nil {
			bad(at("URL"), "%q: %v", redact(e.URL), err)
		}
		if len(e.Zone) > coord.MaxName {
			bad(at("Zone"), "is %d bytes long; the limit is %d", len(e.Zone), coord.MaxName)
		}
		if e.Priority < 0 {
			bad(at("Priority"), "is %d; it cannot be negative (0 is tried first)", e.Priority)
		}
		if !finite(e.Weight) {
			bad(at("Weight"), "is %v; it must be a number from 0 (0 means 1)", e.Weight)
		}
		if !finite(e.Capacity) {
			bad(at("Capacity"), "is %v; it must be a number from 0 (0 means unknown)", e.Capacity)
		}
	}
	return errors.Join(faults...)
}

func finite(f float64) bool { return f >= 0 && !math.IsInf(f, 1) }

// redact hides a password, also in what is not quite a URL.
func redact(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return s
	}
	if user, host, ok := strings.Cut(rest, "@"); ok && strings.Contains(user, ":") {
		name, _, _ := strings.Cut(user, ":")
		return scheme + "://" + name + ":xxxxx@" + host
	}
	return s
}

// checkURL refuses what looks like a URL and is not one. What does not look
// like one may be a target of another kind.
func checkURL(s string) error {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return errors.New("has a space or control character in it")
	}
	if !strings.Contains(s, "://") {
		return nil
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err
		}
		return err
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host == "":
		return errors.New("has no host")
	case u.Scheme == "":
		return errors.New("has no scheme")
	}
	return nil
}

func (e Endpoint) name() string {
	if e.Name == "" {
		return e.URL
	}
	return e.Name
}
