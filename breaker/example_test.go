package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
)

func ExampleNew() {
	b := breaker.New("eu-1", breaker.Config{
		Service:             "payments",
		ConsecutiveFailures: 5,
		OpenTimeout:         30 * time.Second,
	})
	fmt.Println(b.Endpoint(), b.State())
	// Output: eu-1 closed
}

func ExampleBreaker_Do() {
	b := breaker.New("eu-1", breaker.Config{Service: "payments", ConsecutiveFailures: 2})
	ctx := context.Background()
	for range 3 {
		err := b.Do(ctx, func(ctx context.Context) error {
			return errors.New("connection refused")
		})
		var open *breaker.OpenError
		if errors.As(err, &open) {
			fmt.Println("not sent; decided by:", open.Source)
			continue
		}
		fmt.Println(err)
	}
	// Output:
	// connection refused
	// connection refused
	// not sent; decided by: local
}

func ExampleBreaker_Allow() {
	b := breaker.New("eu-1", breaker.Config{})
	done, err := b.Allow()
	if err != nil {
		fmt.Println("refused:", err)
		return
	}
	// The call goes here, over as many goroutines as it takes.
	done(nil)
	fmt.Println(b.State())
	// Output: closed
}
