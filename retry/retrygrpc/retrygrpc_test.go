package retrygrpc_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/murmuration-go/murmuration/retry"
	"github.com/murmuration-go/murmuration/retry/retrygrpc"
)

type attempt func(context.Context, grpc_health_v1.HealthClient, ...grpc.CallOption) error

var kinds = map[string]attempt{"call": check, "stream": watch}

func TestNumberTravels(t *testing.T) {
	for kind, try := range kinds {
		server := newTier(t, false, func(context.Context) error { return dead })
		client := server.client(t, false)
		ctx := metadata.AppendToOutgoingContext(t.Context(), "Grpc-Previous-Rpc-Attempts", "7", "k", "v")
		for n := range 2 {
			err := retry.Do(retry.WithPrevious(ctx, n), retry.Policy{BaseDelay: -1}, func(ctx context.Context) error {
				return try(ctx, client)
			})
			if status.Code(err) != codes.Unavailable {
				t.Fatalf("%s: %v", kind, err)
			}
		}
		// Whoever sends 0 sends nothing, and what was there stays.
		if want := []int{7, 1, 2, 1, 2, 3}; !slices.Equal(server.arrived, want) {
			t.Errorf("%s: the server is told %v, want %v", kind, server.arrived, want)
		}
		for i, w := range server.words {
			if len(w) != 1 {
				t.Errorf("%s: attempt %d tells %q", kind, i, w)
			}
		}
	}
}

func TestServerReadsTheNumber(t *testing.T) {
	server := newTier(t, false, func(context.Context) error { return nil })
	client := server.client(t, true)
	for _, tc := range []struct {
		values []string
		want   int
	}{
		{nil, 0},
		{[]string{"2"}, 2},
		{[]string{"1", "3"}, 3}, // gRPC's own retries add theirs
		{[]string{"4711"}, 10},
		{[]string{"-1"}, 0},
		{[]string{"many"}, 0},
	} {
		ctx := t.Context()
		for _, v := range tc.values {
			ctx = metadata.AppendToOutgoingContext(ctx, "grpc-previous-rpc-attempts", v)
		}
		if err := check(ctx, client); err != nil {
			t.Fatal(err)
		}
		if got := server.arrived[len(server.arrived)-1]; got != tc.want {
			t.Errorf("%q is read as %d, want %d", tc.values, got, tc.want)
		}
	}
}

func TestServerTellsTheClient(t *testing.T) {
	for kind, try := range kinds {
		for _, tc := range []struct {
			name       string
			err        error
			discourage bool
			want       []string
		}{
			{"success", nil, true, nil},
			{"failure", dead, false, nil},
			{"failure, and a retry is no use", dead, true, []string{"-1"}},
		} {
			server := newTier(t, false, func(ctx context.Context) error {
				if tc.discourage {
					retry.Discourage(ctx)
				}
				return tc.err
			})
			var trailer metadata.MD
			s := server.client(t, false)
			err := try(t.Context(), s, grpc.Trailer(&trailer))
			if got := trailer["grpc-retry-pushback-ms"]; !slices.Equal(got, tc.want) || status.Code(err) != status.Code(tc.err) {
				t.Errorf("%s, %s: the trailer is %q, want %q (%v)", kind, tc.name, got, tc.want, err)
			}
		}
	}
}

// A tier that has no budget left for its retries ends those of the tier above,
// which passes the word on.
func TestGivingUpIsPassedOn(t *testing.T) {
	for kind, try := range kinds {
		back := newTier(t, true, func(context.Context) error { return dead })
		toBack := back.client(t, false)
		budget := retry.NewBudget(retry.BudgetConfig{Burst: -1, Ratio: -1})
		front := newTier(t, false, func(ctx context.Context) error {
			return retry.Do(ctx, retry.Policy{BaseDelay: -1, Budget: budget}, func(ctx context.Context) error { return try(ctx, toBack) })
		})
		toFront := front.client(t, false)
		ctx := retry.WithPrevious(t.Context(), 0)
		err := retry.Do(ctx, retry.Policy{BaseDelay: -1}, func(ctx context.Context) error { return try(ctx, toFront) })
		var e *retry.Error
		if !errors.As(err, &e) || e.Attempts != 1 || len(front.arrived) != 1 || len(back.arrived) != 1 {
			t.Errorf("%s: %v after %d and %d attempts; want one each", kind, err, len(front.arrived), len(back.arrived))
		}
		if !retry.Discouraged(ctx) {
			t.Errorf("%s: the word is not passed on", kind)
		}
	}
}

// Two tiers in front of a dead one: plain retries make nine attempts of a call.
func TestTwoTiers(t *testing.T) {
	run := func(bare bool, calls int) float64 {
		policy := func() retry.Policy {
			p := retry.Policy{BaseDelay: -1}
			if !bare {
				p.Budget = retry.NewBudget(retry.BudgetConfig{})
			}
			return p
		}
		back := newTier(t, bare, func(context.Context) error { return dead })
		toBack, atFront := back.client(t, bare), policy()
		front := newTier(t, bare, func(ctx context.Context) error {
			return retry.Do(ctx, atFront, func(ctx context.Context) error { return check(ctx, toBack) })
		})
		toFront, atEdge := front.client(t, bare), policy()
		for range calls {
			err := retry.Do(t.Context(), atEdge, func(ctx context.Context) error { return check(ctx, toFront) })
			if err == nil {
				t.Fatal("a call succeeded")
			}
		}
		x := float64(len(back.arrived)) / float64(calls)
		t.Logf("plain %v: %d calls, %d and %d attempts at the tiers: %.3f x calls", bare, calls, len(front.arrived), len(back.arrived), x)
		return x
	}
	if x := run(true, 20); x != 9 {
		t.Errorf("plain retries make %v attempts of a call, want 9", x)
	}
	if x := run(false, 400); x > 1.21 {
		t.Errorf("%v attempts of a call, more than 1.21", x)
	}
}

func TestPushback(t *testing.T) {
	const never = -1
	for _, tc := range []struct {
		values []string
		wait   time.Duration // never: no second attempt
	}{
		{nil, 0},
		{[]string{"0"}, 0},
		{[]string{"1500"}, 1500 * time.Millisecond},
		{[]string{"2147483647"}, 30 * time.Second}, // the most that retry waits
		{[]string{"-1"}, never},
		{[]string{"2147483648"}, never},
		{[]string{"soon"}, never},
		{[]string{""}, never},
		{[]string{"1", "1"}, never},
	} {
		synctest.Test(t, func(t *testing.T) {
			n, start := 0, time.Now()
			_ = retry.Do(t.Context(), retry.Policy{MaxAttempts: 2, BaseDelay: -1}, func(context.Context) error {
				n++
				return retrygrpc.Pushback(errDown, metadata.MD{"grpc-retry-pushback-ms": tc.values})
			})
			if took := time.Since(start); (n == 1) != (tc.wait == never) || n == 2 && took != tc.wait {
				t.Errorf("%q: %d attempts in %v, want a wait of %v", tc.values, n, took, tc.wait)
			}
		})
	}
	for _, trailer := range []metadata.MD{nil, {"grpc-retry-pushback-ms": {"-1"}}} {
		if err := retrygrpc.Pushback(nil, trailer); err != nil {
			t.Errorf("success becomes %v", err)
		}
	}
	err := retrygrpc.Pushback(dead, metadata.MD{"grpc-retry-pushback-ms": {"-1"}})
	if s, ok := status.FromError(err); !ok || s.Code() != codes.Unavailable || !strings.Contains(s.Message(), "dead") {
		t.Errorf("the status of %v is %v", err, s)
	}
}

func TestOutgoing(t *testing.T) {
	ctx := metadata.AppendToOutgoingContext(t.Context(), "k", "v")
	if retrygrpc.Outgoing(ctx) != ctx {
		t.Error("a first attempt's context is changed")
	}
	out, _ := metadata.FromOutgoingContext(retrygrpc.Outgoing(retry.WithPrevious(ctx, 2)))
	if out.Len() != 2 || out.Get("k")[0] != "v" || !slices.Equal(out["grpc-previous-rpc-attempts"], []string{"2"}) {
		t.Errorf("sent %v", out)
	}
}

// The end of a stream is no error, whatever the trailer says.
func TestEndOfAStream(t *testing.T) {
	server := newTier(t, true, func(ctx context.Context) error {
		return grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", "-1"))
	})
	s, err := server.client(t, false).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != io.EOF {
		t.Errorf("it ends with %v", err)
	}
}
