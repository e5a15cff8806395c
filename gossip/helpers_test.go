package gossip

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Nothing may be left of any member, but for a while memberlist's probes of
// peers that did not answer: each waits for its answer whatever happens.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// cluster is a member under test, with what its hooks and its logger told.
type cluster struct {
	*Cluster
	log *lines

	mu    sync.Mutex
	news  chan struct{} // closed at the next hook
	modes []Mode
	count int
}

// join makes a member on loopback and closes it at the end of the test.
func join(t testing.TB, c Config) *cluster {
	t.Helper()
	m, err := tryJoin(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func tryJoin(ctx context.Context, c Config) (*cluster, error) {
	m := &cluster{log: &lines{}, news: make(chan struct{})}
	c.Cluster = cmp.Or(c.Cluster, "test")
	c.Bind = cmp.Or(c.Bind, "127.0.0.1:0")
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(m.log, nil))
	}
	c.Hooks = Hooks{
		ModeChange: func(from, to Mode, reason string) {
			m.tell(func() { m.modes = append(m.modes, to) })
		},
		MembersChanged: func(n int) {
			m.tell(func() { m.count = n })
		},
	}
	var err error
	m.Cluster, err = Join(ctx, c)
	return m, err
}

func (m *cluster) tell(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
	close(m.news)
	m.news = make(chan struct{})
}

// wait waits for a condition, looking again at every hook.
func (m *cluster) wait(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		m.mu.Lock()
		news := m.news
		m.mu.Unlock()
		if ok() {
			return
		}
		select {
		case <-news:
		case <-deadline.C:
			t.Fatalf("waited in vain for %s; health %+v\n%s", what, m.Health(), m.log)
		}
	}
}

func (m *cluster) waitMembers(t testing.TB, n int) {
	t.Helper()
	m.wait(t, "members", func() bool { return len(m.Members()) == n })
}

func (m *cluster) waitMode(t testing.TB, mode Mode) {
	t.Helper()
	m.wait(t, mode.String(), func() bool { return m.Health().Mode == mode })
}

// poll looks at a condition each tick of the member's coordination.
func poll(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	every := time.NewTicker(tick / 10)
	defer every.Stop()
	for !ok() {
		select {
		case <-every.C:
		case <-deadline.C:
			t.Fatal("waited in vain for " + what)
		}
	}
}

// lines is a log that can be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lines) count(part string) (n int) {
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}
