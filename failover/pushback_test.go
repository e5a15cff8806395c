package failover_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

func alone(d time.Duration) coord.Advice {
	return coord.Advice{Phi: coord.PhiFull, Fresh: 3, Lately: true, Planned: true, Until: coord.Now() + d}
}

// Retries wait as long as the endpoint that they go to is to be let alone, and go
// to one that is not if there is such a one. First tries do not wait.
func TestPushbackDelaysRetriesOnly(t *testing.T) {
	const s = time.Second
	for name, tc := range map[string]struct {
		alone    []time.Duration // endpoints a, b, ...
		deadline time.Duration
		went     []string
		min, max time.Duration
		fails    bool
	}{
		"none":                            {[]time.Duration{0, 0}, 0, []string{"a", "b"}, 0, 0, false},
		"where it failed":                 {[]time.Duration{8 * s, 0}, 0, []string{"a", "b"}, 0, 0, false},
		"the next one":                    {[]time.Duration{0, 8 * s, 0}, 0, []string{"a", "c"}, 0, 0, false},
		"all but the one that failed":     {[]time.Duration{0, 8 * s, 8 * s}, 0, []string{"a", "a", "a"}, 0, 0, true},
		"all":                             {[]time.Duration{8 * s, 4 * s}, 0, []string{"a", "b"}, 4 * s, 6 * s, false},
		"the only one":                    {[]time.Duration{4 * s}, 0, []string{"a", "a", "a"}, 4 * s, 6 * s, true},
		"beyond the deadline, one only":   {[]time.Duration{4 * s}, 3 * s, []string{"a"}, 0, 0, true},
		"beyond the deadline, all others": {[]time.Duration{9 * s, 9 * s}, 3 * s, []string{"a"}, 0, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				names := []string{"a", "b", "c"}[:len(tc.alone)]
				c, svc := inCluster(names...)
				siblings(&c)
				for i, d := range tc.alone {
					if d > 0 {
						advise(svc, names[i], alone(d))
					}
				}
				g := group(t, c)
				ctx := t.Context()
				if tc.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tc.deadline)
					defer cancel()
				}
				start := time.Now()
				var went []string
				err := g.Do(ctx, func(_ context.Context, e failover.Endpoint) error {
					if len(went) == 0 && time.Since(start) > 0 {
						t.Error("the first try waited")
					}
					if went = append(went, e.Name); e.Name == "a" {
						return errDown
					}
					return nil
				})
				if took := time.Since(start); !slices.Equal(went, tc.went) || took < tc.min || took > tc.max || (err != nil) != tc.fails {
					t.Errorf("went to %q in %v: %v; want %q in %v to %v", went, took, err, tc.went, tc.min, tc.max)
				}
				if tc.deadline > 0 && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("stopped by %v", err)
				}
				if st := state(t, g, "a"); st.Pushback > tc.alone[0] || tc.deadline > 0 && st.Pushback != tc.alone[0] {
					t.Errorf("explained as %v, want %v", st.Pushback, tc.alone[0])
				}
			})
		})
	}
}

// A member tells the cluster what its attempts are told, of the endpoint by which.
func TestPushbackIsOfItsEndpoint(t *testing.T) {
	c, svc := inCluster("a", "b")
	g := group(t, c)
	_ = g.Do(t.Context(), func(_ context.Context, e failover.Endpoint) error {
		if e.Name == "a" {
			return retry.After(errDown, 20*time.Second)
		}
		return nil
	})
	if a, b := svc.Endpoint("a").Sample().Pushback, svc.Endpoint("b").Sample().Pushback; a.Left < 19*time.Second || b != (coord.Pushback{}) {
		t.Errorf("a %+v, b %+v", a, b)
	}
}
