package ways

import (
	"context"
	"errors"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
)

// failsafed is failsafe-go: retries with a budget, and a breaker for each endpoint
// within. It stands around the call and not in it as failsafehttp, which would leave
// the responses between attempts unread.
type failsafed struct {
	none
	retries  failsafe.Executor[any]
	breakers []circuitbreaker.CircuitBreaker[any]
}

func newFailsafe(_ context.Context, e Env) (Client, error) {
	w, err := newWire(&e)
	c := &failsafed{none: none{w, e}}
	c.retries = failsafe.With(retrypolicy.NewBuilder[any]().
		WithMaxAttempts(MaxAttempts).
		WithBackoff(baseDelay, maxDelay).WithJitterFactor(.5).
		WithBudget(budget.New()).
		AbortOnErrors(circuitbreaker.ErrOpen).
		ReturnLastFailure().
		Build())
	for range e.Endpoints {
		c.breakers = append(c.breakers, circuitbreaker.NewBuilder[any]().
			WithFailureRateThreshold(.5, leastCalls, window).
			WithDelay(openFor).WithJitterFactor(.25).
			WithSuccessThreshold(3).
			Build())
	}
	return c, err
}

func (c *failsafed) Call(ctx context.Context) error {
	return c.retries.WithContext(ctx).RunWithExecution(func(x failsafe.Execution[any]) error {
		var err error
		for i := range c.breakers {
			at := c.env.nearest(x.Attempts() - 1 + i)
			err = failsafe.With(c.breakers[at]).Run(func() error { return c.once(ctx, at) })
			if !errors.Is(err, circuitbreaker.ErrOpen) {
				return err
			}
		}
		return err
	})
}

func (c *failsafed) Open() float64 {
	if c.breakers[c.env.Home].IsClosed() {
		return 1
	}
	return 0
}
