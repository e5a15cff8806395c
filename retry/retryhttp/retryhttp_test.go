package retryhttp_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/murmuration-go/murmuration/retry"
	"github.com/murmuration-go/murmuration/retry/retryhttp"
)

// serve serves one request, with the given values of the header, by fn.
func serve(tb testing.TB, fn http.HandlerFunc, values ...string) *http.Response {
	tb.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if values != nil {
		r.Header[retryhttp.PreviousAttempts] = values
	}
	w := httptest.NewRecorder()
	retryhttp.Handler(fn).ServeHTTP(w, r)
	return w.Result()
}

func TestHandlerReadsTheNumber(t *testing.T) {
	for _, tc := range []struct {
		values []string
		want   int
	}{
		{nil, 0},
		{[]string{"2"}, 2},
		{[]string{"4711"}, 10},
		{[]string{"1", "3"}, 3},
		{[]string{"1,3"}, 0},
		{[]string{"many"}, 0},
	} {
		got := -1
		resp := serve(t, func(_ http.ResponseWriter, r *http.Request) { got = retry.Previous(r.Context()) }, tc.values...)
		if got != tc.want || resp.StatusCode != http.StatusOK {
			t.Errorf("%q is read as %d, want %d (status %d)", tc.values, got, tc.want, resp.StatusCode)
		}
	}
}

func TestHandlerAnswers(t *testing.T) {
	for _, tc := range []struct {
		status     int
		discourage bool
		want       []string
	}{
		{200, true, nil},
		{302, true, nil},
		{404, true, nil},
		{429, true, []string{"no"}},
		{500, true, []string{"no"}},
		{503, true, []string{"no"}},
		{599, true, []string{"no"}},
		{429, false, nil},
		{503, false, nil},
	} {
		resp := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if tc.discourage {
				retry.Discourage(r.Context())
			}
			w.WriteHeader(tc.status)
			retry.Discourage(r.Context()) // too late
		})
		if got := resp.Header[retryhttp.Retry]; resp.StatusCode != tc.status || !slices.Equal(got, tc.want) {
			t.Errorf("status %d, discouraged %v: got %d with %q, want %q", tc.status, tc.discourage, resp.StatusCode, got, tc.want)
		}
	}
	// What the handler has copied from another server is said once.
	resp := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(retryhttp.Retry, "NO")
		retry.Discourage(r.Context())
		http.Error(w, "down", http.StatusBadGateway)
	})
	if got := resp.Header[retryhttp.Retry]; !slices.Equal(got, []string{"no"}) {
		t.Errorf("answered %q", got)
	}
}

// A handler's call that has no budget for its retry makes the answer.
func TestHandlerAnswersForItsCalls(t *testing.T) {
	budget := retry.NewBudget(retry.BudgetConfig{Burst: 1, Ratio: -1})
	fail := func(w http.ResponseWriter, r *http.Request) {
		p := retry.Policy{MaxAttempts: 2, BaseDelay: -1, Budget: budget}
		if err := retry.Do(r.Context(), p, func(context.Context) error { return errDown }); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	}
	for i, want := range []bool{false, true} { // the first one has used up its attempts
		if resp := serve(t, fail); retryhttp.Refused(resp.Header) != want {
			t.Errorf("request %d: refused %v, want %v", i, !want, want)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, tc := range []struct {
		values []string
		want   bool
	}{
		{nil, false},
		{[]string{"no"}, true},
		{[]string{"No"}, true},
		{[]string{"yes", "no"}, true},
		{[]string{""}, false},
		{[]string{"not now"}, false},
		{[]string{"no, no"}, false},
	} {
		if got := retryhttp.Refused(http.Header{retryhttp.Retry: tc.values}); got != tc.want {
			t.Errorf("%q: %v, want %v", tc.values, got, tc.want)
		}
	}
	if retryhttp.Refused(nil) {
		t.Error("no headers refuse")
	}
}

func TestSet(t *testing.T) {
	var got []string
	ctx := retry.WithPrevious(t.Context(), 0)
	_ = retry.Do(ctx, retry.Policy{BaseDelay: -1}, func(ctx context.Context) error {
		h := http.Header{retryhttp.PreviousAttempts: {"7", "8"}} // copied from somewhere
		retryhttp.Set(ctx, h)
		got = append(got, strings.Join(h[retryhttp.PreviousAttempts], " "))
		return errDown
	})
	if want := []string{"", "1", "2"}; !slices.Equal(got, want) {
		t.Errorf("attempts send %q, want %q", got, want)
	}
}

// Headers arrive over both versions of HTTP as they were sent.
func TestOverTheWire(t *testing.T) {
	handler := retryhttp.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		retry.Discourage(r.Context())
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, strconv.Itoa(retry.Previous(r.Context())))
	}))
	for _, http2 := range []bool{false, true} {
		srv := httptest.NewUnstartedServer(handler)
		srv.EnableHTTP2 = http2
		srv.StartTLS()
		req := httptest.NewRequest(http.MethodGet, srv.URL, nil)
		req.RequestURI = ""
		retryhttp.Set(retry.WithPrevious(t.Context(), 2), req.Header)
		resp, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(body) != "2" || !retryhttp.Refused(resp.Header) || (resp.ProtoMajor == 2) != http2 {
			t.Errorf("%s: read %q, %v; headers %v", resp.Proto, body, err, resp.Header)
		}
		srv.Close()
	}
}

func TestHandlerAllocations(t *testing.T) {
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	h := retryhttp.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	// The context, the writer, and the request that has the context.
	if n := testing.AllocsPerRun(500, func() { h.ServeHTTP(w, r) }); n > 3 {
		t.Errorf("a request allocates %v times, want 3", n)
	}
}

// No value fails a request, and what is not a number counts as none.
func FuzzPreviousAttempts(f *testing.F) {
	for _, v := range []string{"", "0", "1", "10", "11", "-1", "00000000000000000003", "18446744073709551617", "1e3", "2 ", "1,2", "\x00", "١"} {
		f.Add(v, "1")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		got := -1
		resp := serve(t, func(_ http.ResponseWriter, r *http.Request) { got = retry.Previous(r.Context()) }, a, b)
		if want := max(plainly(a), plainly(b)); got != want || resp.StatusCode != http.StatusOK {
			t.Errorf("%q and %q are read as %d, want %d; status %d", a, b, got, want, resp.StatusCode)
		}
	})
}

// plainly reads one value in another way.
func plainly(s string) int {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0
	}
	s = strings.TrimLeft(s, "0")
	if len(s) > 2 {
		return 10
	}
	n, _ := strconv.Atoi(s)
	return min(n, 10)
}
