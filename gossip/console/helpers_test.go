package console_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/murmuration-go/murmuration/gossip"
	"github.com/murmuration-go/murmuration/gossip/console"
	"github.com/murmuration-go/murmuration/internal/coord"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

var quiet = console.Options{Logger: slog.New(slog.DiscardHandler)}

// snapshot is what the package's comment says of it.
type snapshot struct {
	Seq              uint64            `json:"seq"`
	At               time.Time         `json:"at"`
	Cluster          string            `json:"cluster"`
	Zone             string            `json:"zone"`
	Health           gossip.Health     `json:"health"`
	Members          []gossip.Member   `json:"members"`
	MembersLeftOut   int               `json:"members_left_out"`
	Endpoints        []endpoint        `json:"endpoints"`
	EndpointsLeftOut int               `json:"endpoints_left_out"`
	Decisions        []gossip.Decision `json:"decisions"`
	Budgets          []gossip.Budget   `json:"budgets"`
	Overrides        []gossip.Override `json:"overrides"`
	Writable         bool              `json:"writable"`
	Signs            bool              `json:"signs"`
	HistoryWithout   int               `json:"history_without"`
}

type endpoint struct {
	gossip.Endpoint
	Load *struct {
		Phi, Wanted, OK, Failed, Retries, Demand float64
	} `json:"load"`
	Last     *gossip.Decision `json:"last"`
	Verdicts []gossip.Verdict `json:"verdicts"`
}

type history struct {
	Without int `json:"without"`
	Series  []struct {
		Service, Endpoint                        string
		At                                       []int64
		Phi, Wanted, OK, Failed, Retries, Demand []float64
	} `json:"series"`
}

// join makes members on loopback and closes them at the end of the test.
func join(t *testing.T, n int, c gossip.Config) (members []*gossip.Cluster) {
	t.Helper()
	c.Bind, c.Logger = "127.0.0.1:0", slog.New(slog.DiscardHandler)
	for range n {
		m, err := gossip.Join(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
		members = append(members, m)
		c.Seeds = append(c.Seeds, m.Addr())
	}
	return members
}

// fail makes a call that times out, if it is let through.
func fail(ep *coord.Endpoint) {
	a, spread := ep.Advice(), rand.Uint32()
	ep.Wanted(spread)
	if ep.Admit(a.Phi, rand.Uint32N(65536)) {
		ep.Send(a, 200*time.Millisecond, false, spread).End(coord.Slow, 200*time.Millisecond)
	}
}

// poll looks at a condition several times a second.
func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	every := time.NewTicker(25 * time.Millisecond)
	defer every.Stop()
	for !ok() {
		select {
		case <-every.C:
		case <-deadline.C:
			t.Fatal("waited in vain for " + what)
		}
	}
}

func serve(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// get reads an answer.
func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(b)
}

// read decodes an answer, of which no field may be unknown.
func read[T any](t *testing.T, url string) (v T) {
	t.Helper()
	r, body := get(t, url)
	if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%s: %s, %s: %s", url, r.Status, r.Header.Get("Content-Type"), body)
	}
	decode(t, body, &v)
	return v
}

func decode(t *testing.T, body string, v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
}

// stream is a viewer's.
type stream struct {
	response *http.Response
	lines    *bufio.Reader
	leave    context.CancelFunc
}

func watch(t *testing.T, url string) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return &stream{resp, bufio.NewReader(resp.Body), cancel}
}

// next returns the next event's snapshot.
func (s *stream) next(t *testing.T) (v snapshot) {
	t.Helper()
	name := ""
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if n, ok := strings.CutPrefix(line, "event: "); ok {
			name = strings.TrimSpace(n)
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			if name != "snapshot" {
				t.Fatalf("an event %q", name)
			}
			decode(t, data, &v)
			return v
		}
	}
}
