package console_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/gossip"
	"github.com/murmuration-go/murmuration/gossip/console"
	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

const (
	mount   = "/debug/murmuration/"
	evil    = `<img src=x onerror=alert(1)>`
	keyText = "0123456789abcdef0123456789ABCDEF"
)

var paths = []string{
	"", "app.js", "page.js", "overrides.js", "plots.js", "words.js", "style.css", "icon.svg", "uplot/uPlot.iife.min.js", "uplot/uPlot.min.css", "uplot/LICENSE",
	"api/v1/snapshot", "api/v1/health", "api/v1/members", "api/v1/endpoints", "api/v1/decisions", "api/v1/history", "api/v1/overrides",
}

// A fleet dims an endpoint, and every path of the console tells of it.
func TestJSON(t *testing.T) {
	key, pub := operatorKey(1)
	members := join(t, 3, gossip.Config{Cluster: "shop", Zone: "eu", Keys: [][]byte{[]byte(keyText)}, Operators: []ed25519.PublicKey{pub}})
	m := members[0]
	mux := http.NewServeMux()
	mux.Handle(mount, console.Handler(m, quiet))
	at := serve(t, mux).URL + mount
	retry.NewBudget(retry.BudgetConfig{Service: "payments", Cluster: m})
	eps := make([]*coord.Endpoint, len(members))
	for i, c := range members {
		eps[i] = c.CoordService("payments").Endpoint(evil)
	}
	m.CoordService("search").Endpoint("primary")
	m.CoordService("search").Log().Add(coord.Decision{At: time.Now(), Endpoint: "primary", State: "open"})

	dimmed := func() bool {
		for _, ep := range eps {
			fail(ep)
		}
		e := m.Endpoints()
		return len(m.Members()) == 3 && e[0].DecidedBy == "cluster" && e[0].Phi < 1
	}
	poll(t, "a verdict", dimmed)
	poll(t, "a point of history", func() bool {
		dimmed()
		h := m.History("payments", time.Time{}).Series
		return len(h) == 1 && len(h[0].Points) > 1
	})

	h := read[gossip.Health](t, at+"api/v1/health")
	if h.Mode == gossip.ModeAlone || h.Members != 3 || h.Name == "" || h.Services != 2 {
		t.Errorf("health %+v", h)
	}
	shown := read[[]gossip.Member](t, at+"api/v1/members")
	same := func(a, b gossip.Member) bool {
		return a.Name == b.Name && a.Addr == b.Addr && a.Zone == b.Zone && a.Self == b.Self
	}
	if !slices.EqualFunc(shown, m.Members(), same) || len(shown) != 3 {
		t.Errorf("members %+v", shown)
	}
	for _, x := range shown { // all report on payments, and all of three are its stewards
		if x.Self != x.Heard.IsZero() || x.Self != (x.Trust == nil) || !x.Self && (*x.Trust < 0 || *x.Trust > 1) {
			t.Errorf("of %s: heard %v, trust %v", x.Name, x.Heard, x.Trust)
		}
	}
	check := func(what string, all []endpoint) {
		t.Helper()
		if len(all) != 2 {
			t.Fatalf("%s: endpoints %+v", what, all)
		}
		e := all[0]
		if e.Service != "payments" || e.Name != evil || e.DecidedBy != "cluster" || e.Phi >= 1 || e.Fresh < 2 || e.Evidence.Failures == 0 || e.Evidence.Steward == "" {
			t.Errorf("%s: %+v", what, e.Endpoint)
		}
		if e.Load == nil || e.Load.Wanted <= 0 || e.Load.OK != 0 || e.Last == nil || e.Last.Source != coord.SourceCluster || e.Last.Endpoint != evil {
			t.Errorf("%s: load %+v, last %+v", what, e.Load, e.Last)
		}
		if len(e.Verdicts) != 3 {
			t.Errorf("%s: verdicts %+v", what, e.Verdicts)
		}
		for _, v := range e.Verdicts {
			if v.Steward == "" || v.State != "dim" || v.Phi >= 1 || v.Retries != "none" || !v.Fresh || v.Age < 0 {
				t.Errorf("%s: verdict %+v", what, v)
			}
		}
		if e := all[1]; e.Service != "search" || e.Name != "primary" || e.Phi != 1 || e.DecidedBy != "local" || e.Last == nil || e.Last.State != "open" {
			t.Errorf("%s: %+v, last %+v", what, e.Endpoint, e.Last)
		}
	}
	check("endpoints", read[[]endpoint](t, at+"api/v1/endpoints"))
	s := read[snapshot](t, at+"api/v1/snapshot")
	check("snapshot", s.Endpoints)
	if s.Cluster != "shop" || s.Zone != "eu" || s.Seq == 0 || time.Since(s.At) > time.Minute || len(s.Members) != 3 || s.Health.Name != h.Name || s.Overrides == nil {
		t.Errorf("snapshot %+v", s)
	}
	if len(s.Budgets) != 1 || s.Budgets[0].Service != "payments" || s.Budgets[0].Burns == 0 || s.Budgets[0].Start != 1 {
		t.Errorf("budgets %+v", s.Budgets)
	}
	all := read[[]gossip.Decision](t, at+"api/v1/decisions")
	if n := len(all); n < 2 || all[n-1].Service != "search" || all[n-1].Source != coord.SourceLocal || all[0].Service != "payments" || all[0].Phi >= 1 {
		t.Errorf("decisions %+v", all)
	}
	if some := read[[]gossip.Decision](t, at+"api/v1/decisions?service=search"); len(some) != 1 || some[0].Endpoint != "primary" {
		t.Errorf("decisions about search %+v", some)
	}
	past := read[history](t, at+"api/v1/history?service=payments")
	if past.Without != 0 || len(past.Series) != 1 || past.Series[0].Endpoint != evil {
		t.Fatalf("history %+v", past)
	}
	q := past.Series[0]
	if n := len(q.At); n < 2 || len(q.Phi) != n || len(q.Demand) != n || len(q.Retries) != n || slices.Max(q.Failed) <= 0 || slices.Max(q.Wanted) <= 0 || slices.Max(q.OK) != 0 {
		t.Errorf("history %+v", q)
	}
	if later := read[history](t, fmt.Sprintf("%sapi/v1/history?since=%d", at, q.At[len(q.At)-1]+int64(time.Hour/time.Millisecond))); len(later.Series) != 2 || len(later.Series[0].At) != 0 {
		t.Errorf("of the future: %+v", later)
	}
	if r, _ := get(t, at+"api/v1/history?since=yesterday"); r.StatusCode != http.StatusBadRequest {
		t.Errorf("since yesterday: %s", r.Status)
	}

	order, err := gossip.SignOverride(key, "shop", gossip.Override{
		Kind: gossip.Drain, Service: "payments", Endpoint: evil, Author: evil, Reason: evil, Issued: time.Now(), Expires: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.PlaceOverride(order); err != nil {
		t.Fatal(err)
	}

	// Of what the console shows nothing is markup, and nothing a key.
	_, index := get(t, serve(t, console.Handler(nil, quiet)).URL+"/")
	for _, p := range paths {
		_, body := get(t, at+p)
		if strings.Contains(body, evil) || p == "" && body != index {
			t.Errorf("%s has a name as it is", p)
		}
		if strings.HasPrefix(p, "api/") && p != "api/v1/health" && p != "api/v1/members" && !strings.Contains(body, `\u003cimg src=x onerror=alert(1)\u003e`) {
			t.Errorf("%s lacks the name: %s", p, body)
		}
		lower := strings.ToLower(body)
		for _, secret := range []string{
			keyText, hex.EncodeToString([]byte(keyText)), base64.StdEncoding.EncodeToString([]byte(keyText)), base64.RawURLEncoding.EncodeToString([]byte(keyText)),
			strings.Trim(strings.Join(strings.Fields(fmt.Sprint([]byte(keyText))), ","), "[]"),
		} {
			if strings.Contains(lower, strings.ToLower(secret)) {
				t.Errorf("%s shows a key", p)
			}
		}
	}
}

// Without a cluster, and with one that is closed, the console says so.
func TestNoCluster(t *testing.T) {
	closed := join(t, 1, gossip.Config{Cluster: "shop"})[0]
	closed.CoordService("payments").Endpoint("eu")
	shown := serve(t, console.Handler(closed, quiet)).URL
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ at, cluster, reason string }{
		{serve(t, console.Handler(nil, console.Options{})).URL, "", "no cluster is configured"},
		{shown, "shop", "closed"},
	} {
		for _, p := range paths {
			if r, body := get(t, tt.at+"/"+p); r.StatusCode != http.StatusOK || strings.Contains(body, "null") && strings.HasPrefix(p, "api/") {
				t.Errorf("%s: %s %s", p, r.Status, body)
			}
		}
		s := read[snapshot](t, tt.at+"/api/v1/snapshot")
		if s.Cluster != tt.cluster || s.Health.Mode != gossip.ModeAlone || !strings.Contains(s.Health.Reason, tt.reason) || len(s.Endpoints) != 0 {
			t.Errorf("snapshot %+v", s)
		}
	}
}

// What is too much for a page is left out and counted.
func TestBounds(t *testing.T) {
	m := join(t, 1, gossip.Config{Cluster: "shop"})[0]
	at := serve(t, console.Handler(m, quiet)).URL + "/api/v1/"
	for i := range 10 {
		s := m.CoordService(fmt.Sprintf("svc-%02d", i))
		for j := range 60 {
			s.Endpoint(fmt.Sprint(j))
			s.Log().Add(coord.Decision{At: time.Now(), Endpoint: "1", State: "closed"})
		}
	}
	m.CoordService("svc-09").Log().Add(coord.Decision{At: time.Now(), Endpoint: "59", State: "open"})
	poll(t, "a count of those without history", func() bool { return m.History("", time.Now()).Without == 600-256 })
	s := read[snapshot](t, at+"snapshot")
	if len(s.Endpoints) != 512 || s.EndpointsLeftOut != 88 || s.HistoryWithout != 600-256 || len(s.Decisions) != 200 {
		t.Errorf("%d endpoints and %d left out, %d without history, %d decisions", len(s.Endpoints), s.EndpointsLeftOut, s.HistoryWithout, len(s.Decisions))
	}
	if e := s.Endpoints[0]; e.Service != "svc-09" || e.Name != "59" {
		t.Errorf("that in trouble does not come first: %+v", e.Endpoint)
	}
	if all := read[[]endpoint](t, at+"endpoints"); len(all) != 600 {
		t.Errorf("%d endpoints of 600", len(all))
	}
	if all := read[[]gossip.Decision](t, at+"decisions?service=svc-03"); len(all) != 60 {
		t.Errorf("%d decisions of 60", len(all))
	}
}
