package gossip_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failoverhttp"
	"github.com/murmuration-go/murmuration/gossip"
	"github.com/murmuration-go/murmuration/internal/race"
	"github.com/murmuration-go/murmuration/retry"
)

// fleet is a number of processes, as it were: each a member with a group of its
// own, all of them calling one server.
type fleet struct {
	t       *testing.T
	members []*caller
	failing atomic.Int64 // share of the first member's requests that fail, in percent
	down    atomic.Bool  // all fail
}

type caller struct {
	cluster *gossip.Cluster
	client  *http.Client
	budget  *retry.Budget
	lends   *lends
}

// lends is what one member's retries waited for, and what came of it.
type lends struct {
	mu     sync.Mutex
	asked  uint64
	began  time.Time // of the wait
	wait   time.Duration
	open   bool            // it has asked, and waits
	took   []time.Duration // from the failure to the first loan, -1 if none came in time
	budget *retry.Budget
}

// waits is told before the wait for a retry.
func (l *lends) waits(_ context.Context, _ retry.Attempt, _ error, wait time.Duration) {
	asked := l.budget.Stats().Asked
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = asked > l.asked
	l.asked, l.began, l.wait = asked, time.Now(), wait
}

// borrowed is told of a loan.
func (l *lends) borrowed(string, float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if took := time.Since(l.began); l.open {
		l.open = false
		if took <= l.wait {
			l.took = append(l.took, took)
		} else {
			l.took = append(l.took, -1)
		}
	}
}

// settled is told when the wait is over.
func (l *lends) settled() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open {
		l.open = false
		l.took = append(l.took, -1)
	}
}

func newFleet(t *testing.T, n int) *fleet {
	f := &fleet{t: t}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.down.Load() || r.Header.Get("Member") == "0" && rand.Int64N(100) < f.failing.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	quiet := slog.New(slog.DiscardHandler)
	var seeds []string
	for range n {
		c, err := gossip.Join(t.Context(), gossip.Config{Cluster: "lending", Bind: "127.0.0.1:0", Seeds: seeds, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if len(seeds) < 3 {
			seeds = append(seeds, c.Addr())
		}
		l := &lends{}
		config := failover.Config{
			Endpoints: []failover.Endpoint{{Name: "a", URL: server.URL}},
			Cluster:   c,
			Budget:    retry.BudgetConfig{Hooks: retry.BudgetHooks{Borrowed: l.borrowed}},
			Retry: retry.Policy{Hooks: retry.Hooks{
				Wait:         l.waits,
				AttemptStart: func(ctx context.Context, _ retry.Attempt) context.Context { l.settled(); return ctx },
				CallEnd:      func(context.Context, retry.CallInfo) { l.settled() },
			}},
		}
		g, err := failover.New("svc", config)
		if err != nil {
			t.Fatal(err)
		}
		l.budget = retry.NewBudget(retry.BudgetConfig{Service: "svc", Cluster: c})
		base := http.DefaultTransport.(*http.Transport).Clone()
		t.Cleanup(base.CloseIdleConnections)
		f.members = append(f.members, &caller{c, &http.Client{Transport: failoverhttp.NewTransport(g, base)}, l.budget, l})
	}
	return f
}

// call makes one call of the i-th member.
func (f *fleet) call(ctx context.Context, i int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://svc/", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Member", fmt.Sprint(i))
	resp, err := f.members[i].client.Do(req)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// run lets every member make calls, one after another, at a rate, until stop.
func (f *fleet) run(ctx context.Context, rate float64) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	for i := range f.members {
		done.Go(func() {
			every := time.NewTicker(time.Duration(float64(time.Second) / rate))
			defer every.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-every.C:
					_ = f.call(ctx, i) // how it ends is seen by the server and the hooks
				}
			}
		})
	}
	return func() { cancel(); done.Wait() }
}

// Of twenty members one sees half of its requests fail. The others lend it what
// its retries cost, and nearly all loans come before its waits end. Then all see
// everything fail: they ask a few times, and no more once the verdict is out.
func TestLoansArriveInTime(t *testing.T) {
	if testing.Short() || race.Enabled {
		t.Skip("takes some seconds of twenty members, and times them")
	}
	f := newFleet(t, 20)
	stop := f.run(t.Context(), 20)
	defer func() { stop() }()
	first := f.members[0]
	within(t, "the cluster to be heard", func() bool {
		for _, m := range f.members {
			if h := m.cluster.Health(); h.Members < len(f.members) || h.Mode != gossip.ModeCoordinated {
				return false
			}
		}
		return true
	})
	f.failing.Store(50)
	within(t, "a hundred retries that asked for loans", func() bool { return first.budget.Stats().Asked >= 100 })
	f.failing.Store(0)
	stop()
	first.lends.report(t)
	if s := first.budget.Stats(); s.Borrowed == 0 || s.Lent > s.Borrowed {
		t.Errorf("%+v", s)
	}

	before := f.loanMessages()
	f.down.Store(true)
	stop = f.run(t.Context(), 20)
	const span = 10 * time.Second
	began := time.Now()
	var since time.Time  // when the verdict was known to all
	var inForce []uint64 // messages then; Health, which tells, may be a tick old
	within(t, "ten seconds of outage", func() bool {
		switch {
		case since.IsZero() && f.restricted():
			since = time.Now()
		case inForce == nil && !since.IsZero() && time.Since(since) >= time.Second:
			inForce = f.loanMessages()
		}
		return time.Since(began) >= span
	})
	after := f.loanMessages()
	if inForce == nil {
		t.Fatal("no verdict is in force")
	}
	var most, late uint64
	for i := range after {
		most, late = max(most, after[i]-before[i]), late+after[i]-inForce[i]
	}
	t.Logf("outage of %v: at most %d loan messages of one member; verdict in force after %v, and from then on %d of all members", span, most, since.Sub(began).Round(time.Millisecond), late)
	if most > 100 {
		t.Errorf("%d loan messages of one member in %v, more than ten a second", most, span)
	}
	if late > 0 {
		t.Errorf("%d loan messages although the verdict was in force everywhere", late)
	}
}

// report prints how long loans took, and checks that they came in time.
func (l *lends) report(t *testing.T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	late := 0
	var took []time.Duration
	for _, d := range l.took {
		if d < 0 {
			late++
		} else {
			took = append(took, d)
		}
	}
	if len(took) == 0 {
		t.Fatal("no loan came in time")
	}
	slices.Sort(took)
	at := func(q float64) time.Duration { return took[int(q*float64(len(took)-1))].Round(time.Microsecond) }
	share := float64(len(took)) / float64(len(l.took))
	t.Logf("%d retries asked for a loan; %.1f %% had one before their wait ended, after %v (p10), %v (p50), %v (p90), %v (p99)",
		len(l.took), 100*share, at(.1), at(.5), at(.9), at(.99))
	if share < .9 {
		t.Errorf("%d of %d loans came too late", late, len(l.took))
	}
}

// restricted reports whether no member may retry.
func (f *fleet) restricted() bool {
	for _, m := range f.members {
		if m.cluster.CoordService("svc").Mode() != retry.ModeNone {
			return false
		}
	}
	return true
}

func (f *fleet) loanMessages() (n []uint64) {
	for _, m := range f.members {
		h := m.cluster.Health()
		n = append(n, h.LoanAsks+h.LoanAnswers)
	}
	return n
}

// within waits for a condition, looking at it ten times a tick.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(60 * time.Second)
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
