package world

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// get asks by a connection of its own, and returns the status, or 0 for none within
// a fifth of a second.
func get(t *testing.T, url string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if errors.Is(err, context.DeadlineExceeded) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// started is a server whose fault is on, or not yet.
func started(t *testing.T, id string, overGRPC, fault bool) *Server {
	t.Helper()
	s := NewServer(plan(t, id), 0)
	if err := s.Listen(overGRPC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if fault {
		s.Begin(time.Now().Add(-2 * sec))
	} else {
		s.Begin(time.Now())
	}
	return s
}

func TestOverHTTP(t *testing.T) {
	for _, x := range []struct {
		id    string
		fault bool
		want  int
	}{
		{"S1", false, http.StatusOK}, {"S1", true, 0}, {"S2", true, http.StatusServiceUnavailable}, {"F1b", true, 0},
	} {
		if got := get(t, started(t, x.id, false, x.fault).URL); got != x.want {
			t.Errorf("%s, fault %v: status %d, want %d", x.id, x.fault, got, x.want)
		}
	}
}

func TestOverGRPC(t *testing.T) {
	for _, x := range []struct {
		id   string
		want codes.Code
	}{{"S1", codes.DeadlineExceeded}, {"S2", codes.Unavailable}, {"S10", codes.OK}} {
		s := started(t, x.id, true, true)
		c, err := grpc.NewClient(s.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_, err = healthpb.NewHealthClient(c).Check(ctx, &healthpb.HealthCheckRequest{})
		cancel()
		_ = c.Close()
		if status.Code(err) != x.want {
			t.Errorf("%s: %v, want %v", x.id, err, x.want)
		}
	}
}

// TestPath: a broken path passes nothing on, and what its client has given up by the
// time it is whole never arrives.
func TestPath(t *testing.T) {
	s := started(t, "S10", false, true)
	var broken atomic.Bool
	p, err := NewPath(s.Addr, broken.Load)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	url := "http://" + p.Addr
	if got := get(t, url); got != http.StatusOK {
		t.Errorf("status %d through a whole path", got)
	}
	broken.Store(true)
	if got := get(t, url); got != 0 {
		t.Errorf("status %d through a broken path", got)
	}
	broken.Store(false)
	if got := get(t, url); got != http.StatusOK {
		t.Errorf("status %d through a path that is whole again", got)
	}
	if n := len(s.Arrived()); n != 2 {
		t.Errorf("%d requests arrived", n)
	}
}
