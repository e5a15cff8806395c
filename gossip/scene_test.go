package gossip

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failoverhttp"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/links"
	"github.com/murmuration-go/murmuration/internal/links/faulty"
	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/retry"
)

// scene is some processes, as it were, that gossip and call a server, all over real
// sockets, and a log of what they are told.
type scene struct {
	t         *testing.T
	network   *faulty.Network
	server    *httptest.Server
	service   string
	stewarded []string   // the stewards before the incident
	patients  []*patient // those that live
	log       story

	mu      sync.Mutex
	stalled chan struct{} // closed when the server goes on; nil while it is well

	stop chan struct{}
	end  func() // stops what runs in the background, and waits for it
	done sync.WaitGroup
}

// patient is one process.
type patient struct {
	id      int
	cluster *Cluster
	seen    *coord.Endpoint
	client  *http.Client
	dead    chan struct{}
}

func newScene(t *testing.T, n int) *scene {
	if testing.Short() {
		t.Skip("takes up to 20 seconds")
	}
	s := &scene{t: t, network: faulty.New(1), stop: make(chan struct{}), log: story{decided: map[int]int{}, health: map[int]Health{}}}
	s.server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		stalled := s.stalled
		s.mu.Unlock()
		if stalled != nil {
			select {
			case <-stalled:
			case <-r.Context().Done():
			}
		}
	}))
	s.end = sync.OnceFunc(func() {
		close(s.stop)
		s.done.Wait()
	})
	t.Cleanup(func() {
		s.end()
		s.server.Close()
	})
	var seeds []string
	for id := range n {
		p := &patient{id: id, dead: make(chan struct{})}
		var err error
		p.cluster, err = Join(links.With(t.Context(), s.network.Open), Config{
			Cluster: "test", Bind: "127.0.0.1:0", Seeds: seeds, Logger: slog.New(slog.DiscardHandler),
			Hooks: Hooks{
				ModeChange:     func(Mode, Mode, string) { s.log.add(line{id: id, what: "mode"}) },
				MembersChanged: func(int) { s.log.add(line{id: id, what: "members"}) },
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.cluster.Close() })
		seeds = append(seeds, p.cluster.Addr())
		s.patients = append(s.patients, p)
	}
	s.waitFor("the members to meet", func(p *patient) bool { return p.cluster.Health().Members == n })
	return s
}

// serve has all processes call a service at the server, from now on, and waits until
// their stewards are heard.
func (s *scene) serve(service string) {
	s.t.Helper()
	s.service = service
	for _, p := range s.patients {
		config := failover.Config{
			Endpoints: []failover.Endpoint{{Name: "a", URL: s.server.URL}},
			Cluster:   p.cluster,
			Breaker: breaker.Config{Hooks: breaker.Hooks{
				Refused: func(_ context.Context, e *breaker.OpenError) { s.failed(p, e) },
			}},
		}
		config.Retry.AttemptTimeout, config.Retry.MaxAttempts = 200*time.Millisecond, 2
		config.Retry.Hooks.CallEnd = func(_ context.Context, c retry.CallInfo) {
			var open *breaker.OpenError
			switch {
			case errors.As(c.Err, &open) && open.Retry: // denied a retry, of which breakers are not told
				s.failed(p, open)
			case errors.Is(c.Err, retry.ErrRetriesOff):
				s.failed(p, &breaker.OpenError{Endpoint: "a", Source: breaker.SourceCluster, Retry: true})
			}
		}
		g, err := failover.New(service, config)
		if err != nil {
			s.t.Fatal(err)
		}
		base := http.DefaultTransport.(*http.Transport).Clone()
		base.Proxy = nil
		s.t.Cleanup(base.CloseIdleConnections)
		p.client = &http.Client{Transport: failoverhttp.NewTransport(g, base)}
		p.seen = p.cluster.CoordService(service).Endpoint("a")
		s.background(func(stop <-chan struct{}) { s.drive(p, stop) })
	}
	s.waitFor("stewards to be heard", func(p *patient) bool {
		h := p.cluster.Health()
		return h.Endpoints == 1 && h.Coverage == 1 && h.Mode == ModeCoordinated
	})
}

// background runs f until the end of the test.
func (s *scene) background(f func(stop <-chan struct{})) { s.done.Go(func() { f(s.stop) }) }

// drive makes a process's calls, whether or not earlier ones have ended, and looks at
// what the coordination tells in between.
func (s *scene) drive(p *patient, stop <-chan struct{}) {
	var calls sync.WaitGroup
	defer calls.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-p.dead:
			return
		case <-every.C:
		}
		s.log.mu.Lock()
		s.log.look(p)
		s.log.mu.Unlock()
		if n%5 == 0 {
			calls.Go(func() {
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://svc/", http.NoBody)
				if err != nil {
					return
				}
				if resp, err := p.client.Do(req); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
			})
		}
	}
}

// failed writes down a request that failed for what the coordination says, on the
// goroutine of that request and before its caller knows.
func (s *scene) failed(p *patient, e *breaker.OpenError) {
	alone := !p.seen.Advice().Coordinated()
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.log.look(p)
	s.log.lines = append(s.log.lines, line{id: p.id, what: "failure", refusal: e, alone: alone})
}

// stall has the server answer nothing, until recover.
func (s *scene) stall() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stewarded = s.patients[0].top(s.service)
	s.stalled = make(chan struct{})
	s.log.mu.Lock()
	s.log.stalled = true
	s.log.mu.Unlock()
}

func (s *scene) recover() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.stalled)
	s.stalled = nil
}

// top are a service's stewards as a process has them.
func (p *patient) top(service string) []string {
	var names []string
	for _, m := range p.cluster.Members() {
		names = append(names, m.Name)
	}
	return node.NewRoster(names).Top(service)
}

func (s *scene) find(name string) *patient {
	s.t.Helper()
	i := slices.IndexFunc(s.patients, func(p *patient) bool { return p.cluster.name == name })
	if i < 0 {
		s.t.Fatalf("there is no %s", name)
	}
	return s.patients[i]
}

// crash ends a process without a word to the others.
func (s *scene) crash(p *patient) {
	close(p.dead)
	_ = p.cluster.Close()
	s.patients = slices.DeleteFunc(s.patients, func(o *patient) bool { return o == p })
}

// waitFor waits until something is so for all processes, and longer than others do:
// where few are left to confirm it, memberlist takes its time to find a member dead.
func (s *scene) waitFor(what string, so func(*patient) bool) {
	s.t.Helper()
	late := time.NewTimer(3 * patience)
	defer late.Stop()
	every := time.NewTicker(tick / 10)
	defer every.Stop()
	for slices.ContainsFunc(s.patients, func(p *patient) bool { return !so(p) }) {
		select {
		case <-every.C:
		case <-late.C:
			s.t.Fatal("waited in vain for " + what)
		}
	}
}

// waitRefused waits until n more requests of each process have failed for what the
// coordination says.
func (s *scene) waitRefused(n int) {
	s.t.Helper()
	failure := func(l line) bool { return l.what == "failure" }
	before := map[int]int{}
	for _, p := range s.patients {
		before[p.id] = s.log.count(p.id, failure)
	}
	s.waitFor("requests to be refused", func(p *patient) bool { return s.log.count(p.id, failure) >= before[p.id]+n })
}
