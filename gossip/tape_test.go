package gossip

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// The members of the recorded run, and how long each lets an attempt take.
const (
	taped        = 12
	tapedTimeout = 250 * time.Millisecond
)

// stalling is a server that answers at once, or not at all while it is stalled.
type stalling struct {
	*httptest.Server
	stalled atomic.Bool
}

func newStalling(t *testing.T) *stalling {
	s := &stalling{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.stalled.Load() {
			<-r.Context().Done()
		}
	}))
	s.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = 4 * taped
	t.Cleanup(s.Close)
	return s
}

func (s *stalling) get(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// load calls the server through a breaker, 20 times a second whether or not
// earlier calls have ended, until ctx ends.
func (s *stalling) load(ctx context.Context, b *breaker.Breaker) {
	var calls sync.WaitGroup
	defer calls.Wait()
	due := time.NewTicker(50 * time.Millisecond)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-due.C:
		}
		calls.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, tapedTimeout)
			defer cancel()
			_ = b.Do(ctx, s.get) // what became of it is the breaker's to tell
		})
	}
}

// record runs members on loopback whose server stalls until all of them dim, and
// then is well until they let all calls through again. It returns what their
// nodes heard and said.
func record(t *testing.T) []*node.Tape {
	srv := newStalling(t)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	var seeds []string
	var members []*cluster
	var tapes []*node.Tape
	var breakers []*breaker.Breaker
	for range taped {
		tape := &node.Tape{}
		m := join(t, Config{Seeds: seeds, RequireSeeds: seeds != nil, JoinTimeout: patience, tape: tape})
		if seeds == nil {
			seeds = []string{m.Addr()}
		}
		members, tapes = append(members, m), append(tapes, tape)
		breakers = append(breakers, breaker.New("eu", breaker.Config{
			Service: "payments", Cluster: m.Cluster, AttemptTimeout: tapedTimeout,
			ConsecutiveFailures: -1, MinRequests: -1, // the cluster alone decides
		}))
	}
	members[0].waitMembers(t, taped)
	for _, m := range members[1:] {
		// News of an arrival may be lost; the seed's whole list is not.
		if _, err := m.ml.Join(seeds); err != nil {
			t.Fatal(err)
		}
		m.waitMembers(t, taped)
	}
	for i := range members {
		running.Go(func() { srv.load(ctx, breakers[i]) })
	}
	advice := func(i int) *coord.Advice { return members[i].CoordService("payments").Endpoint("eu").Advice() }
	all := func(ok func(i int) bool) func() bool {
		return func() bool {
			for i := range members {
				if !ok(i) {
					return false
				}
			}
			return true
		}
	}
	began := time.Now()
	poll(t, "verdicts that all is well", all(func(i int) bool { return advice(i).Coordinated() && !advice(i).InForce() }))
	for _, m := range members {
		m.CoordService("payments").SetPurse(&pocket{})
	}
	poll(t, "loans", all(func(i int) bool {
		h := members[i].Health()
		if h.LoansBorrowed == 0 {
			members[i].CoordService("payments").AskLoan()
		}
		return h.LoansBorrowed > 0
	}))
	srv.stalled.Store(true)
	poll(t, "all members to dim", all(func(i int) bool { return breakers[i].Status().Phi < 1 }))
	dimmed := time.Since(began)
	srv.stalled.Store(false)
	poll(t, "all members to recover", all(func(i int) bool { return breakers[i].Status().Phi == 1 }))
	t.Logf("all dimmed after %v and back after %v", dimmed, time.Since(began))

	stop()
	running.Wait()
	for i, err := range closeAll(members) {
		if err != nil {
			t.Errorf("member %d: %v", i, err)
		}
	}
	return tapes
}

// closeAll ends all drivers, and with them the recording.
func closeAll(members []*cluster) []error {
	errs := make([]error, len(members))
	var closing sync.WaitGroup
	for i, m := range members {
		closing.Go(func() { errs[i] = m.Close() })
	}
	closing.Wait()
	return errs
}

// said counts what a member decided and followed.
type said struct{ dimmed, raised, followed, eased, asked, lent, credited int }

func hear(t *testing.T, tape *node.Tape) (n said) {
	t.Helper()
	verdict, advised := coord.PhiFull, coord.PhiFull
	count := func(now coord.Phi, was *coord.Phi, restricts, rises *int) {
		if now < coord.PhiFull {
			*restricts++
		}
		if now > *was {
			*rises++
		}
		*was = now
	}
	for _, c := range tape.Calls {
		n.asked += len(c.Asked)
		n.credited += len(c.Credits)
		if c.Loan != nil {
			n.lent++
		}
		for _, x := range c.Casts {
			m, err := wire.Decode(x.Data)
			if err != nil {
				t.Fatalf("%s cast %v", tape.Name, err)
			}
			if m.Verdicts.Origin.Member != tape.Name {
				continue // passed on
			}
			for _, row := range m.Verdicts.Rows {
				count(row.Phi, &verdict, &n.dimmed, &n.raised)
			}
		}
		for _, a := range c.Advice {
			count(a.Phi, &advised, &n.followed, &n.eased)
		}
	}
	return n
}

// TestLiveRunReplays: live members run the core that simulators run, and nothing
// else: a fresh node that is told what a live one was told decides the same.
func TestLiveRunReplays(t *testing.T) {
	if testing.Short() {
		t.Skip("a dozen members on sockets take some seconds")
	}
	stewards := 0
	var one *node.Tape // of a steward
	for _, tape := range record(t) {
		var file bytes.Buffer
		if err := tape.Write(&file); err != nil {
			t.Fatal(err)
		}
		size := file.Len()
		read, err := node.ReadTape(&file)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := read.Replay(); err != nil {
			t.Error(err)
		}
		n := hear(t, read)
		t.Logf("%s: %d calls, %d bytes, replayed in %v: %+v", tape.Name, len(read.Calls), size, time.Since(began), n)
		if read.Lost > 0 || len(read.Calls) != len(tape.Calls) || n.followed == 0 || n.eased == 0 || n.credited == 0 || n.lent != n.asked {
			t.Errorf("%s: the tape is not of a member that borrowed, dimmed and came back: %d calls lost, %+v", tape.Name, read.Lost, n)
		}
		if n.dimmed > 0 && n.raised > 0 {
			stewards++
			one = read
		}
	}
	if stewards < 2 {
		t.Fatalf("%d stewards dimmed and came back", stewards)
	}
	forge(t, one)
}

// forge alters one thing on a tape at a time, and wants each to be noticed.
func forge(t *testing.T, tape *node.Tape) {
	last := func(what string, is func(*node.Call) bool) *node.Call {
		for i := range slices.Backward(tape.Calls) {
			if is(&tape.Calls[i]) {
				return &tape.Calls[i]
			}
		}
		t.Fatalf("there is no %s on the tape", what)
		return nil
	}
	report := last("report", func(c *node.Call) bool {
		return len(c.Samples) > 0 && slices.ContainsFunc(c.Sends, func(s node.Send) bool { return wire.Kind(s.Data[0]) == wire.KindReport })
	})
	counted, sent := &report.Samples[0].Endpoints[0].Totals.OK, report.Sends[0].Data
	cast := last("cast", func(c *node.Call) bool { return len(c.Casts) > 0 }).Casts[0].Data
	heeded := last("heeded message", func(c *node.Call) bool { return len(c.Data) > 0 && len(c.Advice) > 0 }).Data
	advice := last("restriction", func(c *node.Call) bool { return len(c.Advice) > 0 && c.Advice[0].InForce() }).Advice
	lent := last("loan", func(c *node.Call) bool { return c.Loan != nil && c.Amount > 0 })
	credit := last("credit", func(c *node.Call) bool { return len(c.Credits) > 0 }).Credits
	decision := last("decision", func(c *node.Call) bool { return len(c.Decisions) > 0 }).Decisions
	for what, flip := range map[string]func(){
		"a counter":       func() { *counted ^= 1 },
		"a byte heard":    func() { heeded[0] ^= 1 },
		"a byte sent":     func() { sent[len(sent)-1] ^= 1 },
		"a byte cast":     func() { cast[len(cast)-1] ^= 1 },
		"a phi to follow": func() { advice[0].Phi ^= 1 },
		"an amount lent":  func() { lent.Amount ^= 1 << 10 },
		"a credit":        func() { credit[0].Amount ^= 1 },
		"a phi decided":   func() { decision[0].Is.Phi ^= 1 },
	} {
		flip()
		if err := tape.Replay(); err == nil || !strings.Contains(err.Error(), "on the tape: ") {
			t.Errorf("%s was altered; replay says %v", what, err)
		}
		flip()
	}
	if err := tape.Replay(); err != nil {
		t.Errorf("unaltered again, and yet: %v", err)
	}
}
