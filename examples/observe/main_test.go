package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/murmuration-go/murmuration/gossip"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wait is long enough for a machine that is busy.
const wait = 20 * time.Second

// shortened is the fleet with less of everything, at work on ports of its own.
func shortened() settings {
	s := defaults()
	s.members, s.console, s.log, s.out = 3, "127.0.0.1:0", io.Discard, io.Discard
	s.steps = []step{
		{lasts: 300 * time.Millisecond},
		{lasts: 500 * time.Millisecond, backend: "search-a", what: "refuses half", refuse: .5},
		{lasts: 1200 * time.Millisecond, backend: "payments-a", what: "stalls", stall: true},
		{lasts: 300 * time.Millisecond, backend: "payments-b", what: "takes twice as long", slow: 2},
	}
	return s
}

// launch starts a fleet, and returns what ends it in good order.
func launch(t *testing.T, s settings) (*fleet, func()) {
	t.Helper()
	f, err := start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	end := sync.OnceFunc(func() {
		if err := f.close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	return f, end
}

// poll looks at a condition several times a second.
func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	late := time.NewTimer(wait)
	defer late.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatal("waited in vain for " + what)
		}
	}
}

// pages reads from consoles.
var pages = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// look reads the snapshot of a console.
func look(t *testing.T, console string) (shown struct {
	Cluster   string          `json:"cluster"`
	Health    gossip.Health   `json:"health"`
	Members   []gossip.Member `json:"members"`
	Endpoints []struct {
		gossip.Endpoint
		Load *struct {
			OK float64 `json:"ok"`
		} `json:"load"`
	} `json:"endpoints"`
	Budgets []gossip.Budget `json:"budgets"`
}) {
	t.Helper()
	r, err := pages.Get(console + "api/v1/snapshot")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(&shown); err != nil {
		t.Fatal(r.Status, err)
	}
	return shown
}

// buffer is written to by several exporters.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// TestFleet: both consoles show both services, an order given to one member is in force
// at the other, and the exporter writes JSON of all members.
func TestFleet(t *testing.T) {
	t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", "500")
	s := shortened()
	var said, out buffer
	s.exporter, s.log, s.out = "stdout", &said, &out
	f, end := launch(t, s)
	for i, console := range f.consoles {
		if !strings.Contains(said.String(), console) {
			t.Errorf("%s is not told of in:\n%s", console, said.String())
		}
		answered := map[string]bool{}
		poll(t, "both services at "+console, func() bool {
			shown := look(t, console)
			for _, e := range shown.Endpoints {
				answered[e.Service] = answered[e.Service] || e.Load != nil && e.Load.OK > 0
			}
			return shown.Cluster == "observe" && len(shown.Members) == s.members && shown.Health.Name == f.members[i].cluster.Health().Name &&
				shown.Health.Mode == gossip.ModeCoordinated && len(shown.Budgets) == 2 && len(shown.Endpoints) == 3 &&
				answered["payments"] && answered["search"]
		})
	}
	order, err := gossip.SignOverride(f.operator.key, "observe", gossip.Override{
		Kind: gossip.RetriesOff, Service: "search", Author: "you", Reason: "to see it",
		Issued: time.Now(), Expires: time.Now().Add(time.Minute),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.members[0].cluster.PlaceOverride(order); err != nil {
		t.Fatal(err)
	}
	poll(t, "the override at the other member", func() bool { return look(t, f.consoles[1]).Health.Overrides == 1 })
	poll(t, "calls, failed ones and the end of the cycle", func() bool {
		return strings.Contains(said.String(), "payments-b takes twice as long")
	})
	poll(t, "metrics and spans", func() bool {
		return strings.Contains(out.String(), "murmuration.client.call.duration") && strings.Contains(out.String(), `"murmuration.call"`)
	})
	end()
	wantJSON(t, out.String(), s.members)
}

// wantJSON: one document after another, some of metrics and some of spans of each member.
func wantJSON(t *testing.T, text string, members int) {
	t.Helper()
	type attribute struct {
		Key   string
		Value struct{ Value any }
	}
	instance := func(who []attribute) string {
		for _, a := range who {
			if a.Key == "service.instance.id" {
				return a.Value.Value.(string)
			}
		}
		return ""
	}
	metrics, spans := map[string]int{}, map[string]int{}
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		var v struct {
			Name         string
			Resource     []attribute
			ScopeMetrics []any
		}
		if err := d.Decode(&v); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if v.Name != "" {
			spans[instance(v.Resource)]++
		} else if len(v.ScopeMetrics) > 0 {
			metrics[instance(v.Resource)]++
		}
	}
	if len(metrics) != members || len(spans) != members || metrics[""]+spans[""] > 0 {
		t.Errorf("of %d members came metrics %v and spans %v", members, metrics, spans)
	}
}

// TestOTLP: a collector is sent metrics and spans.
func TestOTLP(t *testing.T) {
	var mu sync.Mutex
	got := map[string]int{}
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodPost && r.Header.Get("Content-Type") == "application/x-protobuf" {
			got[r.URL.Path] += len(b)
		}
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	s := shortened()
	s.exporter, s.members = "otlp", 2
	f, end := launch(t, s)
	poll(t, "calls", func() bool { return f.tally.calls.Load() > 0 })
	end() // exports what there is
	mu.Lock()
	defer mu.Unlock()
	if len(got) != 2 || got["/v1/metrics"] == 0 || got["/v1/traces"] == 0 {
		t.Errorf("bytes by path: %v", got)
	}
}

// TestRun: it ends when the time is over, and leaves the key behind that it was asked for.
func TestRun(t *testing.T) {
	s := shortened()
	var said buffer
	s.members, s.duration, s.log, s.key = 2, time.Second, &said, filepath.Join(t.TempDir(), "operator.pem")
	if err := run(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(s.key); err != nil || st.Mode().Perm() != 0o600 {
		t.Error(st, err)
	}
	if !strings.Contains(said.String(), s.key) || !strings.Contains(said.String(), "murmurctl place") {
		t.Errorf("how to use the key is not told:\n%s", said.String())
	}
	if err := run(t.Context(), s); err == nil || !strings.Contains(err.Error(), "-key") {
		t.Errorf("another's key was overwritten: %v", err)
	}
}

func TestInterruptedAtTheStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, shortened()); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestSettings(t *testing.T) {
	err := settings{load: 3, console: "6060", exporter: "paper", duration: -1}.check()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, flag := range []string{"-members", "-load", "-console", "-exporter", "-duration"} {
		if !strings.Contains(err.Error(), flag) {
			t.Errorf("%s is not named in: %v", flag, err)
		}
	}
	for _, s := range []settings{defaults(), shortened()} {
		if err := s.check(); err != nil {
			t.Error(err)
		}
		for _, step := range s.steps {
			if f := (&fleet{backends: []*backend{{service: "payments", zone: "a"}, {service: "payments", zone: "b"}, {service: "search", zone: "a"}}}); step.backend != "" && f.backend(step.backend) == nil {
				t.Errorf("there is no backend %q", step.backend)
			}
		}
	}
}
