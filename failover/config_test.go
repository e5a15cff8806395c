package failover_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/retry"
)

// fields lists the fields that a joined error complains of, in all packages.
func fields(err error) (names []string) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			names = append(names, fields(e)...)
		}
		return names
	}
	var f *failover.ConfigError
	var r *retry.ConfigError
	var b *breaker.ConfigError
	switch {
	case errors.As(err, &f):
		names = append(names, f.Field)
	case errors.As(err, &r):
		names = append(names, r.Field)
	case errors.As(err, &b):
		names = append(names, "Config."+b.Field)
	}
	return names
}

// Every fault is told at once, each by the name of its field.
func TestConfigFaults(t *testing.T) {
	long := strings.Repeat("x", 65)
	bad := failover.Config{
		Endpoints: []failover.Endpoint{
			{},
			{Name: "a", URL: "http://", Zone: long, Priority: -1, Weight: -1, Capacity: math.NaN()},
			{Name: "a", URL: "http://h:port"},
			{URL: "two words"},
			{Name: long, Weight: math.Inf(1)},
		},
		Zone:    long,
		Retry:   retry.Policy{MaxDelay: -1},
		Budget:  retry.BudgetConfig{Ratio: 11, MaxMembers: -1},
		Breaker: breaker.Config{Window: -1},
	}
	_, err := failover.New("", bad)
	want := []string{
		"service",
		"Endpoints[0].Name",
		"Endpoints[1].URL", "Endpoints[1].Zone", "Endpoints[1].Priority", "Endpoints[1].Weight", "Endpoints[1].Capacity",
		"Endpoints[2].Name", "Endpoints[2].URL",
		"Endpoints[3].URL",
		"Endpoints[4].Name", "Endpoints[4].Weight",
		"Zone",
		"Policy.MaxDelay",
		"BudgetConfig.Ratio", "BudgetConfig.MaxMembers",
		"Config.Window",
	}
	if got := fields(err); !slices.Equal(got, want) {
		t.Fatalf("faults in\n%q, want\n%q", got, want)
	}
	for _, name := range want {
		if !strings.Contains(err.Error(), name+" ") {
			t.Errorf("%q does not name %s", err, name)
		}
	}
	if got := fields(bad.Validate()); !slices.Equal(got, want[1:]) {
		t.Errorf("Validate finds faults in %q", got)
	}
}

func TestEndpointCount(t *testing.T) {
	for n, ok := range map[int]bool{0: false, 1: true, 64: true, 65: false} {
		list := make([]failover.Endpoint, n)
		for i := range list {
			list[i].Name = fmt.Sprint(i)
		}
		if _, err := failover.New("svc", failover.Config{Endpoints: list}); (err == nil) != ok {
			t.Errorf("%d endpoints: %v", n, err)
		}
	}
}

func TestURLs(t *testing.T) {
	for url, ok := range map[string]bool{
		"":                      true,
		"http://127.0.0.1:8080": true,
		"https://h.example/v1/": true,
		"dns:///h.example:443":  true,
		"h.example:443":         true,
		"unix:/run/x.sock":      true,
		"://h":                  false,
		"https:///path":         false,
		"http://[::1":           false,
		"http://h\n":            false,
	} {
		_, err := failover.New("svc", failover.Config{Endpoints: []failover.Endpoint{{Name: "a", URL: url}}})
		if (err == nil) != ok {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestDefaults(t *testing.T) {
	// The URL stands in for the name; a nil pointer is no cluster.
	g, err := failover.New("svc", failover.Config{
		Cluster: (*nilZoned)(nil), Endpoints: []failover.Endpoint{{URL: "http://a"}, {URL: "http://b", Name: "b"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	x := g.Explain()
	if x.Endpoints[0].Name != "http://a" || x.Endpoints[1].Name != "b" || x.BudgetTokens != 10 {
		t.Errorf("the group is %+v", x)
	}
	// A budget of the caller's own is used as it is.
	own := retry.NewBudget(retry.BudgetConfig{Burst: 3})
	g = group(t, failover.Config{Retry: retry.Policy{Budget: own}})
	if g.Explain().BudgetTokens != 3 {
		t.Error("the caller's budget is not used")
	}
}

// A password in a URL is neither printed nor made a name that others hear.
func TestPasswordsStayHere(t *testing.T) {
	for _, e := range []failover.Endpoint{
		{URL: "https://user:hunter2@h.example"},
		{Name: "a", URL: "https://user:hunter2@h.example:port"},
	} {
		_, err := failover.New("svc", failover.Config{Endpoints: []failover.Endpoint{e}})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%+v: %v", e, err)
		}
	}
}
