package failoverhttp_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/failover/failoverhttp"
	"github.com/murmuration-go/murmuration/retry"
)

func ExampleNewTransport() {
	west := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer west.Close()
	east := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "paid by east:", r.URL)
	}))
	defer east.Close()

	group, err := failover.New("payments", failover.Config{
		Endpoints: []failover.Endpoint{
			{Name: "west", URL: west.URL + "/v1"},
			{Name: "east", URL: east.URL + "/v1", Priority: 1},
		},
		Retry: retry.Policy{AttemptTimeout: 2 * time.Second},
	})
	if err != nil {
		log.Fatal(err)
	}
	client := &http.Client{Transport: failoverhttp.NewTransport(group, nil)}

	resp, err := client.Get("http://payments/invoices/7") // west or east fills in the host
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Print(string(body))
	client.CloseIdleConnections()
	// Output: paid by east: /v1/invoices/7
}
