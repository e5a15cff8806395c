package retryhttp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/murmuration-go/murmuration/retry"
	"github.com/murmuration-go/murmuration/retry/retryhttp"
)

// A server whose own calls have run out of budget tells its client not to retry.
func ExampleHandler() {
	policy := retry.Policy{
		BaseDelay: -1, // no wait
		Budget:    retry.NewBudget(retry.BudgetConfig{Service: "ledger", Burst: -1}),
	}
	payments := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := retry.Do(r.Context(), policy, func(context.Context) error {
			return errors.New("ledger is down")
		})
		if err != nil {
			http.Error(w, "cannot pay", http.StatusServiceUnavailable)
		}
	})
	srv := httptest.NewServer(retryhttp.Handler(payments))
	defer srv.Close()

	resp, err := http.Get(srv.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode, "retry:", resp.Header.Get(retryhttp.Retry))
	// Output: 503 retry: no
}

// A client that does not send through failoverhttp tells and listens by itself.
func ExampleSet() {
	srv := httptest.NewServer(retryhttp.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("attempts before:", retry.Previous(r.Context()))
		if retry.Previous(r.Context()) > 0 {
			retry.Discourage(r.Context()) // one retry has to do
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})))
	defer srv.Close()

	err := retry.Do(context.Background(), retry.Policy{BaseDelay: -1}, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL, nil)
		if err != nil {
			return retry.Permanent(err)
		}
		retryhttp.Set(ctx, req.Header)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		switch {
		case resp.StatusCode < 500:
			return nil
		case retryhttp.Refused(resp.Header):
			return retry.After(errors.New(resp.Status), -1)
		}
		return errors.New(resp.Status)
	})
	fmt.Println(err)
	// Output:
	// attempts before: 0
	// attempts before: 1
	// failed after 2 attempts: 503 Service Unavailable
}
