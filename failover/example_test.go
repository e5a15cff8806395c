package failover_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/retry"
)

func ExampleNew() {
	g, err := failover.New("payments", failover.Config{
		Zone: "eu",
		Endpoints: []failover.Endpoint{
			{Name: "us", URL: "https://us.payments.example", Zone: "us"},
			{Name: "eu", URL: "https://eu.payments.example", Zone: "eu"},
		},
		Retry: retry.Policy{AttemptTimeout: time.Second},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer g.Close()
	for _, e := range g.Explain().Endpoints {
		fmt.Println(e.Name, e.State)
	}
	// Output:
	// eu closed
	// us closed
}

func ExampleNew_faults() {
	_, err := failover.New("payments", failover.Config{
		Endpoints: []failover.Endpoint{{Name: "eu", Weight: -1}, {Name: "eu"}},
	})
	fmt.Println(err)
	// Output:
	// failover: Endpoints[0].Weight is -1; it must be a number from 0 (0 means 1)
	// failover: Endpoints[1].Name "eu" is also the name of Endpoints[0]; names must differ
}

func ExampleGroup_Do() {
	g, _ := failover.New("payments", failover.Config{
		Endpoints: []failover.Endpoint{{Name: "eu"}, {Name: "us", Priority: 1}},
	})
	defer g.Close()
	err := g.Do(context.Background(), func(ctx context.Context, e failover.Endpoint) error {
		fmt.Println("trying", e.Name)
		if e.Name == "eu" {
			return errors.New("connection reset")
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// trying eu
	// trying us
	// <nil>
}

func ExampleValue() {
	g, _ := failover.New("greetings", failover.Config{
		Endpoints: []failover.Endpoint{{Name: "eu", URL: "https://eu.greetings.example"}},
	})
	defer g.Close()
	v, err := failover.Value(context.Background(), g, func(ctx context.Context, e failover.Endpoint) (string, error) {
		return "hello from " + e.URL, nil
	})
	fmt.Println(v, err)
	// Output: hello from https://eu.greetings.example <nil>
}
