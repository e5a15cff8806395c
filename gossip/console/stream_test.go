package console_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/gossip"
	"github.com/murmuration-go/murmuration/gossip/console"
)

// A viewer gets a snapshot a second, whatever the server's timeouts are.
func TestStream(t *testing.T) {
	m := join(t, 1, gossip.Config{Cluster: "shop"})[0]
	s := httptest.NewUnstartedServer(console.Handler(m, quiet))
	s.Config.ReadTimeout, s.Config.WriteTimeout = time.Second, time.Second
	s.Start()
	t.Cleanup(s.Close)
	w := watch(t, s.URL+"/api/v1/stream")
	if r := w.response; r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "text/event-stream" || r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("X-Accel-Buffering") != "no" {
		t.Errorf("%s %v", r.Status, r.Header)
	}
	last := w.next(t)
	for range 3 {
		next := w.next(t)
		if gap := next.At.Sub(last.At); next.Seq != last.Seq+1 || gap < time.Second || gap > 5*time.Second || next.Health.Name != m.Health().Name {
			t.Errorf("snapshot %d of %v after %d of %v", next.Seq, next.At, last.Seq, last.At)
		}
		last = next
	}
	if r, err := http.Head(s.URL + "/api/v1/stream"); err != nil || r.StatusCode != http.StatusOK {
		t.Errorf("HEAD: %v, %v", r, err)
	}
}

// A shutdown does not wait for viewers.
func TestStreamEndsWithTheServer(t *testing.T) {
	s := serve(t, console.Handler(nil, quiet))
	w := watch(t, s.URL+"/api/v1/stream")
	w.next(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range 2 {
		if err := s.Config.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for {
		if _, err := w.lines.ReadString('\n'); err != nil {
			break
		}
	}
}

// viewer is a ResponseWriter in virtual time.
type viewer struct {
	*httptest.ResponseRecorder
	stuck    bool // takes nothing in
	deadline time.Time

	mu  sync.Mutex
	ids []string
}

func (v *viewer) SetWriteDeadline(at time.Time) error {
	v.deadline = at
	return nil
}

func (v *viewer) Write(b []byte) (int, error) {
	if v.stuck {
		time.Sleep(time.Until(v.deadline))
		return 0, os.ErrDeadlineExceeded
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for line := range strings.Lines(string(b)) {
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			v.ids = append(v.ids, strings.TrimSpace(id))
		}
	}
	return v.ResponseRecorder.Write(b)
}

func (v *viewer) seen() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return strings.Join(v.ids, " ")
}

// look has a viewer look until ctx ends, and closes the channel when it is let go.
func look(ctx context.Context, h http.Handler, v *viewer) <-chan struct{} {
	done := make(chan struct{})
	v.ResponseRecorder = httptest.NewRecorder()
	go func() {
		defer close(done)
		h.ServeHTTP(v, httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/stream", nil))
	}()
	return done
}

// All viewers see the same snapshots, made only while somebody looks; one that takes
// nothing in is let go, and keeps nobody waiting.
func TestViewersShareSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := console.Handler(nil, quiet)
		ctx, leave := context.WithCancel(t.Context())
		var first, late viewer
		began := time.Now()
		slow := look(ctx, h, &viewer{stuck: true})
		a := look(ctx, h, &first)
		time.Sleep(2300 * time.Millisecond)
		b := look(ctx, h, &late)
		<-slow
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("the slow one was let go after %v", took)
		}
		time.Sleep(500 * time.Millisecond)
		if first.seen() != "1 2 3 4 5 6" || late.seen() != "3 4 5 6" {
			t.Errorf("after 5.5 s: %s, and from 2.3 s on %s", first.seen(), late.seen())
		}
		leave()
		<-a
		<-b
		time.Sleep(time.Hour)
		var next viewer
		ctx, leave = context.WithCancel(t.Context())
		a = look(ctx, h, &next)
		synctest.Wait()
		if next.seen() != "7" {
			t.Errorf("an hour later: %s", next.seen())
		}
		leave()
		<-a
	})
}

func TestViewersAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := console.Handler(nil, quiet)
		ctx, leave := context.WithCancel(t.Context())
		var all []<-chan struct{}
		one, leaveOne := context.WithCancel(ctx)
		all = append(all, look(one, h, &viewer{}))
		for range 15 {
			all = append(all, look(ctx, h, &viewer{}))
		}
		synctest.Wait()
		var more viewer
		<-look(ctx, h, &more)
		if more.Code != http.StatusServiceUnavailable || more.Header().Get("Retry-After") == "" || !strings.Contains(more.Body.String(), "16 viewers") {
			t.Errorf("the 17th: %d %s", more.Code, more.Body)
		}
		leaveOne()
		<-all[0]
		var again viewer
		all = append(all, look(ctx, h, &again))
		synctest.Wait()
		if again.Code != http.StatusOK || again.seen() != "1" {
			t.Errorf("when one has left: %d, %s", again.Code, again.seen())
		}
		leave()
		for _, done := range all {
			<-done
		}
	})
}

// What cannot flush is told to ask instead.
func TestStreamNeedsFlush(t *testing.T) {
	rec := httptest.NewRecorder()
	console.Handler(nil, quiet).ServeHTTP(struct{ http.ResponseWriter }{rec}, httptest.NewRequest(http.MethodGet, "/api/v1/stream", nil))
	if rec.Code != http.StatusNotImplemented || !strings.Contains(rec.Body.String(), "api/v1/snapshot") {
		t.Error(fmt.Sprint(rec.Code, rec.Body))
	}
}
