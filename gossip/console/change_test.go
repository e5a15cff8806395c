package console_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/gossip"
	"github.com/murmuration-go/murmuration/gossip/console"
)

func operatorKey(n byte) (ed25519.PrivateKey, ed25519.PublicKey) {
	k := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
	return k, k.Public().(ed25519.PublicKey)
}

// one is a member of its own with a console.
func one(t *testing.T, o console.Options, operators ...ed25519.PublicKey) (*gossip.Cluster, *httptest.Server) {
	t.Helper()
	c, err := gossip.Join(t.Context(), gossip.Config{
		Cluster: "shop", Bind: "127.0.0.1:0", Operators: operators, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := httptest.NewServer(console.Handler(c, o))
	t.Cleanup(func() {
		s.Close()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c, s
}

// post places an order and returns the status and the answer.
func post(t *testing.T, url string, order any, header ...string) (int, map[string]any) {
	t.Helper()
	body, err := json.Marshal(order)
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := order.(string); ok {
		body = []byte(s)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/api/v1/overrides", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatalf("%s: %v", resp.Status, err)
	}
	return resp.StatusCode, answer
}

type asked map[string]any

func wish() asked {
	return asked{"kind": "force-open", "service": "payments", "endpoint": "eu", "reason": "the deploy went wrong", "seconds": 600}
}

const bearer, letMeIn = "Authorization", "Bearer s3cret"

// TestOrdersOfThePage: who is let in orders, and ends it; the author is who the token
// says, whatever the request does; each is logged, the token never.
func TestOrdersOfThePage(t *testing.T) {
	key, pub := operatorKey(1)
	var log bytes.Buffer
	c, s := one(t, console.Options{
		Authorize: console.Bearer(map[string]string{"ada": "s3cret", "nobody": ""}), Signer: key,
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	}, pub)
	w := wish()
	w["author"] = "mallory"
	status, answer := post(t, s.URL, w, bearer, letMeIn)
	all := c.Overrides()
	if status != http.StatusCreated || len(all) != 1 {
		t.Fatalf("%d: %v; in force: %v", status, answer, all)
	}
	if o := all[0]; o.Author != "ada" || o.Kind != gossip.ForceOpen || o.Service != "payments" || o.Endpoint != "eu" ||
		o.Reason != "the deploy went wrong" || o.Expires.Sub(o.Issued) != 10*time.Minute {
		t.Errorf("%+v", o)
	}
	if status, answer = post(t, s.URL, asked{"revoke": "00", "reason": "x"}, bearer, letMeIn); status != http.StatusNotFound {
		t.Errorf("%d: %v", status, answer)
	}
	if status, answer = post(t, s.URL, asked{"revoke": all[0].ID, "reason": "all is well"}, bearer, letMeIn); status != http.StatusCreated || len(c.Overrides()) != 0 {
		t.Errorf("%d: %v; in force: %v", status, answer, c.Overrides())
	}
	if text := log.String(); strings.Count(text, "by=ada") != 3 || strings.Contains(text, "s3cret") {
		t.Errorf("logged:\n%s", text)
	}
}

// TestOrdersRefused: nothing changes for whom it must not.
func TestOrdersRefused(t *testing.T) {
	key, pub := operatorKey(1)
	other, _ := operatorKey(2)
	o := console.Options{Authorize: console.Bearer(map[string]string{"ada": "s3cret"})}
	c, takes := one(t, o, pub)
	_, readOnly := one(t, console.Options{}, pub)
	o.Signer = key
	_, signs := one(t, o, pub)
	_, foreign := one(t, o) // whose member does not know the key
	sign := func(k ed25519.PrivateKey) asked {
		b, err := gossip.SignOverride(k, "shop", gossip.Override{
			Kind: gossip.Freeze, Service: "payments", Author: "ada", Reason: "look at it", Issued: time.Now(), Expires: time.Now().Add(time.Minute),
		})
		if err != nil {
			t.Fatal(err)
		}
		return asked{"signed": b}
	}
	long, vague := wish(), wish()
	long["seconds"] = 90_000
	vague["reason"] = " "
	for _, tc := range []struct {
		what   string
		at     *httptest.Server
		order  any
		status int
		header []string
	}{
		{"read-only", readOnly, sign(key), 403, []string{bearer, letMeIn}},
		{"no token", signs, wish(), 401, nil},
		{"wrong token", signs, wish(), 401, []string{bearer, "Bearer s3cre"}},
		{"no bearer", signs, wish(), 401, []string{bearer, "s3cret"}},
		{"another page's", signs, wish(), 403, []string{bearer, letMeIn, "Sec-Fetch-Site", "cross-site"}},
		{"another origin", signs, wish(), 403, []string{bearer, letMeIn, "Origin", "http://evil.example"}},
		{"a form's", signs, wish(), 415, []string{bearer, letMeIn, "Content-Type", "text/plain"}},
		{"too large", signs, strings.Repeat(" ", 9<<10), 413, []string{bearer, letMeIn}},
		{"no JSON", signs, "kind=freeze", 400, []string{bearer, letMeIn}},
		{"unknown kind", signs, asked{"kind": "panic"}, 400, []string{bearer, letMeIn}},
		{"over a day", signs, long, 400, []string{bearer, letMeIn}},
		{"no reason", signs, vague, 400, []string{bearer, letMeIn}},
		{"not signed", takes, wish(), 403, []string{bearer, letMeIn}},
		{"signed by another", takes, sign(other), 422, []string{bearer, letMeIn}},
		{"unknown to the member", foreign, wish(), 422, []string{bearer, letMeIn}},
	} {
		status, answer := post(t, tc.at.URL, tc.order, tc.header...)
		if why, _ := answer["error"].(string); status != tc.status || why == "" {
			t.Errorf("%s: %d %v, want %d", tc.what, status, answer, tc.status)
		}
	}
	if len(c.Overrides()) != 0 {
		t.Errorf("in force: %v", c.Overrides())
	}
	if status, answer := post(t, takes.URL, sign(key), bearer, letMeIn); status != 201 || len(c.Overrides()) != 1 {
		t.Errorf("signed: %d %v", status, answer)
	}
	var told struct {
		Writable, Signs bool
		Overrides       []gossip.Override
	}
	resp, err := http.Get(takes.URL + "/api/v1/overrides")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(&told); err != nil || !told.Writable || told.Signs || len(told.Overrides) != 1 || told.Overrides[0].Author != "ada" {
		t.Errorf("%v, %+v", err, told)
	}
}

func TestOptions(t *testing.T) {
	key, _ := operatorKey(1)
	for _, o := range []console.Options{{Signer: key}, {Signer: key[:5], Authorize: console.Bearer(nil)}} {
		if o.Validate() == nil {
			t.Errorf("accepted %+v", o)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("Handler took bad Options")
		}
	}()
	console.Handler(nil, console.Options{Signer: key})
}
