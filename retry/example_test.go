package retry_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/murmuration-go/murmuration/retry"
)

func ExampleDo() {
	attempts := 0
	err := retry.Do(context.Background(), retry.Policy{BaseDelay: time.Millisecond}, func(ctx context.Context) error {
		if attempts++; attempts < 3 {
			return errors.New("connection reset")
		}
		return nil
	})
	fmt.Println(attempts, err)
	// Output: 3 <nil>
}

func ExampleDo_permanent() {
	err := retry.Do(context.Background(), retry.Policy{}, func(ctx context.Context) error {
		return retry.Permanent(errors.New("no such account"))
	})
	fmt.Println(err)
	// Output: failed after 1 attempt: no such account
}

func ExampleValue() {
	greeting, err := retry.Value(context.Background(), retry.Policy{}, func(ctx context.Context) (string, error) {
		return "hello", nil
	})
	fmt.Println(greeting, err)
	// Output: hello <nil>
}

// One budget bounds the retries of all calls to a service: when everything
// fails, most calls are sent only once.
func ExampleNewBudget() {
	policy := retry.Policy{
		BaseDelay: -1, // no wait
		Budget:    retry.NewBudget(retry.BudgetConfig{Service: "payments", Burst: 2, Ratio: -1}),
	}
	for range 3 {
		err := retry.Do(context.Background(), policy, func(ctx context.Context) error {
			return errors.New("unavailable")
		})
		var e *retry.Error
		errors.As(err, &e)
		fmt.Println(e.Attempts, errors.Is(err, retry.ErrBudgetExhausted))
	}
	// Output:
	// 3 false
	// 1 true
	// 1 true
}

// A call that waits for its first attempt sends a second one beside it, and takes
// the answer that comes first.
func ExampleHedge() {
	policy := retry.Policy{
		Budget: retry.NewBudget(retry.BudgetConfig{Service: "search"}),
		Hedge:  &retry.Hedge{Delay: 5 * time.Millisecond}, // zero: what 95 % of attempts take
	}
	var attempts atomic.Int32
	page, err := retry.Value(context.Background(), policy, func(ctx context.Context) (string, error) {
		if attempts.Add(1) == 1 { // stuck, until it has lost
			<-ctx.Done()
			return "", ctx.Err()
		}
		return "page of the second replica", nil
	})
	fmt.Println(page, err)
	// Output: page of the second replica <nil>
}
