package retry_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

// oneService is a cluster that advises whatever a test publishes.
type oneService struct{ service *coord.Service }

func (c *oneService) CoordService(string) *coord.Service { return c.service }

func newCluster() *oneService { return &oneService{coord.NewService("svc")} }

// spend makes n calls that fail at every attempt, and returns how many retries
// they made.
func spend(t *testing.T, b *retry.Budget, n int) (retries int) {
	t.Helper()
	p := retry.Policy{MaxAttempts: 2, BaseDelay: -1, Budget: b}
	for range n {
		attempts := 0
		_ = retry.Do(t.Context(), p, func(context.Context) error { attempts++; return errDown })
		retries += attempts - 1
	}
	return retries
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-4 }

// The rules are tested in internal/ledger; this is about who is in a cluster.
func TestBurst(t *testing.T) {
	for _, tc := range []struct {
		name   string
		config retry.BudgetConfig
		start  float64
		full   float64 // after a hundred calls went well
	}{
		{"alone", retry.BudgetConfig{}, 10, 10},
		{"alone, named", retry.BudgetConfig{Service: "svc"}, 10, 10},
		{"nil pointer", retry.BudgetConfig{Service: "svc", Cluster: (*oneService)(nil)}, 10, 10},
		{"closed cluster", retry.BudgetConfig{Service: "svc", Cluster: &oneService{}}, 10, 10},
		{"cluster", retry.BudgetConfig{Service: "svc", Cluster: newCluster()}, 1, 1},
		{"given", retry.BudgetConfig{Burst: 3}, 3, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := retry.NewBudget(tc.config)
			if got := b.Tokens(); !near(got, tc.start) {
				t.Errorf("starts with %v, want %v", got, tc.start)
			}
			for range 100 {
				_ = retry.Do(t.Context(), retry.Policy{Budget: b}, func(context.Context) error { return nil })
			}
			if got := b.Tokens(); !near(got, tc.full) {
				t.Errorf("is full with %v, want %v", got, tc.full)
			}
		})
	}
}

func TestRatio(t *testing.T) {
	// From 10 tokens, each call earns .1 and spends 1 if it may.
	b := retry.NewBudget(retry.BudgetConfig{})
	if got := spend(t, b, 1000); got < 100 || got > 111 {
		t.Errorf("1000 failing calls made %d retries, want 100 to 111", got)
	}
	if got := b.Stats().Spent; got < 100 || got > 111 {
		t.Errorf("%v spent", got)
	}
	none := retry.NewBudget(retry.BudgetConfig{Ratio: -1, Burst: 4})
	if got := spend(t, none, 100); got != 4 {
		t.Errorf("with nothing earned, 100 failing calls made %d retries, want 4", got)
	}
}

func TestNilBudgetNeverRefuses(t *testing.T) {
	var b *retry.Budget
	if got := spend(t, b, 50); got != 50 {
		t.Errorf("50 failing calls made %d retries", got)
	}
	if !math.IsInf(b.Tokens(), 1) || b.Stats() != (retry.BudgetStats{}) || b.Service() != "" || b.Latency() != 0 {
		t.Error("a nil budget has something")
	}
}

func TestBudgetIsSharedPerServiceAndCluster(t *testing.T) {
	c := newCluster()
	one := retry.NewBudget(retry.BudgetConfig{Service: "svc", Cluster: c, Burst: 3})
	two := retry.NewBudget(retry.BudgetConfig{Service: "svc", Cluster: c, Burst: 7})
	if one != two || two.Tokens() != 3 || two.Service() != "svc" {
		t.Error("two budgets of one service are not one")
	}
	if retry.NewBudget(retry.BudgetConfig{Service: "svc", Cluster: newCluster()}) == one {
		t.Error("two clusters share a budget")
	}
	if retry.NewBudget(retry.BudgetConfig{Service: "svc"}) == retry.NewBudget(retry.BudgetConfig{Service: "svc"}) {
		t.Error("two local budgets are one")
	}
}

// What was refused was never sent: it neither costs a token nor earns one.
func TestRefusalsAreFreeAndEarnNothing(t *testing.T) {
	b := retry.NewBudget(retry.BudgetConfig{Ratio: 1, Burst: 5})
	p := retry.Policy{Budget: b, BaseDelay: -1}
	spend(t, b, 1) // 5 + 1, cut to 5, - 1
	_ = retry.Do(t.Context(), p, func(context.Context) error { return refusal{} })
	if got := b.Tokens(); got != 4 {
		t.Errorf("after a refused first try there are %v tokens, want 4", got)
	}
	n := 0
	_ = retry.Do(t.Context(), p, func(context.Context) error {
		if n++; n == 2 {
			return refusal{}
		}
		return errDown
	})
	if got := b.Tokens(); n != 2 || got != 5 || b.Stats().Spent != 1 { // 4 + 1 - 1 + 1
		t.Errorf("after a refused retry there are %v tokens and %v spent, want 5 and 1", got, b.Stats().Spent)
	}
}

func TestTokenComesBackWhenTheWaitIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := retry.NewBudget(retry.BudgetConfig{Ratio: -1, Burst: 2})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, func() {
			if got := b.Tokens(); got != 1 {
				t.Errorf("during the wait there are %v tokens, want 1", got)
			}
			cancel()
		})
		err := retry.Do(ctx, retry.Policy{Budget: b}, func(context.Context) error { return retry.After(errDown, 5*time.Second) })
		if !errors.Is(err, context.Canceled) || b.Tokens() != 2 || b.Stats().Spent != 0 {
			t.Errorf("%v; %v tokens, %v spent", err, b.Tokens(), b.Stats().Spent)
		}
	})
}

func TestStipend(t *testing.T) {
	for _, tc := range []struct {
		name    string
		config  retry.BudgetConfig
		cluster bool
		want    float64 // tokens a second
	}{
		{name: "alone", want: 0},
		{name: "alone, strict", config: retry.BudgetConfig{MaxMembers: 20}, want: .5},
		{name: "share", cluster: true, want: .25},
		{name: "strict", cluster: true, config: retry.BudgetConfig{MaxMembers: 100, Stipend: 50}, want: .5},
		{name: "none", cluster: true, config: retry.BudgetConfig{Stipend: -1}, want: 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := tc.config
				c.Ratio, c.Burst = -1, 100
				if tc.cluster {
					cl := newCluster()
					c.Service, c.Cluster = "svc", cl
					cl.service.SetLoad(coord.Now(), 100, 40)
				}
				b := retry.NewBudget(c)
				if got := spend(t, b, 200); got != 100 {
					t.Fatalf("the burst gave %d retries", got)
				}
				time.Sleep(6 * time.Second) // a newcomer mints nothing before the fifth
				spend(t, b, 100)
				time.Sleep(100 * time.Second)
				got := float64(spend(t, b, 200)) + b.Tokens()
				if want := 100 * tc.want; math.Abs(got-want) > 1.01 {
					t.Errorf("100 s minted %v tokens, want %v", got, want)
				}
			})
		})
	}
}

// A verdict empties the bucket, and what the time in trouble would have minted is
// gone as well.
func TestVerdictEmptiesTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl := newCluster()
		e := cl.service.Endpoint("a")
		b := retry.NewBudget(retry.BudgetConfig{Service: "svc", Cluster: cl, Ratio: 1, Burst: 50, MaxMembers: 1})
		p := retry.Policy{Budget: b}
		time.Sleep(time.Minute)
		e.Publish(coord.Advice{Phi: coord.PhiFull, Mode: coord.RetryNone})
		if got := b.Tokens(); got != 0 {
			t.Fatalf("%v tokens are left", got)
		}
		for range 10 { // as a group does it, which knows the verdict on the endpoint
			c := retry.Begin(&p)
			c.FirstTry(retry.ModeNone)
			if c.Next(t.Context(), errDown, retry.Route{Mode: retry.ModeNone}) || !errors.Is(c.Err(), retry.ErrRetriesOff) {
				t.Fatalf("retries are not off: %v", c.Err())
			}
			time.Sleep(time.Minute)
		}
		c := retry.Begin(&p)
		c.FirstTry(retry.ModeNone)
		e.Publish(coord.Advice{Phi: coord.PhiFull})
		if got := spend(t, retry.NewBudget(retry.BudgetConfig{Service: "svc", Cluster: cl}), 10); got != 10 {
			t.Errorf("10 first tries with ratio 1 paid for %d retries", got)
		}
		if got := b.Tokens(); got != 0 {
			t.Errorf("%v tokens from a time without retries", got)
		}
	})
}

// Do and Value heed the cluster too: no retry while no endpoint takes one.
func TestDoHeedsTheVerdict(t *testing.T) {
	cl := newCluster()
	a, b := cl.service.Endpoint("a"), cl.service.Endpoint("b")
	p := retry.Policy{BaseDelay: -1, Budget: retry.NewBudget(retry.BudgetConfig{Service: "svc", Cluster: cl, Ratio: 10, Burst: 50})}
	attempts := func() (n int, err error) {
		err = retry.Do(t.Context(), p, func(context.Context) error { n++; return errDown })
		return n, err
	}
	off := coord.Advice{Phi: coord.PhiFull, Mode: coord.RetryNone}
	a.Publish(off)
	if n, err := attempts(); n != 3 {
		t.Errorf("with one endpoint left: %d attempts, %v", n, err)
	}
	b.Publish(coord.Advice{Phi: coord.PhiFull / 2, Mode: coord.RetryNone, Tag: 1})
	if n, err := attempts(); n != 1 || !errors.Is(err, retry.ErrRetriesOff) {
		t.Errorf("with retries off everywhere: %d attempts, %v", n, err)
	}
	if got := p.Budget.Tokens(); got > 0 {
		t.Errorf("%v tokens earned meanwhile", got)
	}
}

// Each budget is told of once, however often it is asked for.
func TestBudgetsMadeAreToldOf(t *testing.T) {
	var told []*retry.Budget
	c := retry.BudgetConfig{Service: "svc", Hooks: retry.BudgetHooks{Made: func(service string, b *retry.Budget) {
		if service != "svc" || b.Tokens() <= 0 {
			t.Errorf("told of a budget for %q with %v tokens", service, b.Tokens())
		}
		told = append(told, b)
	}}}
	alone := []*retry.Budget{retry.NewBudget(c), retry.NewBudget(c)}
	c.Cluster = &oneService{service: coord.NewService("svc")}
	first, again := retry.NewBudget(c), retry.NewBudget(c)
	if first != again || !slices.Equal(told, append(alone, first)) {
		t.Errorf("told of %v; made were %v and %v", told, alone, first)
	}
}
