package main

import (
	"bytes"
	"crypto/ed25519"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/murmuration-go/murmuration/gossip"
	"github.com/murmuration-go/murmuration/gossip/console"
)

// ctl runs a command and returns its status and what it prints.
func ctl(t *testing.T, args ...string) (status int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	status = run(t.Context(), args, &o, &e)
	return status, o.String(), e.String()
}

// TestFromKeyToRevocation goes the way of an operator, with a real member.
func TestFromKeyToRevocation(t *testing.T) {
	file := filepath.Join(t.TempDir(), "operator.pem")
	status, printed, errs := ctl(t, "keygen", "-out", file)
	if status != 0 {
		t.Fatal(errs)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if status, _, _ := ctl(t, "keygen", "-out", file); status != 1 {
		t.Error("keygen wrote over a key")
	}
	if _, again, _ := ctl(t, "public", "-key", file); again != printed {
		t.Errorf("public printed %q, keygen %q", again, printed)
	}
	pub, err := gossip.ParseOperator(printed)
	if err != nil {
		t.Fatal(err)
	}
	c, err := gossip.Join(t.Context(), gossip.Config{
		Cluster: "shop", Bind: "127.0.0.1:0", Operators: []ed25519.PublicKey{pub}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	s := httptest.NewServer(http.StripPrefix("/debug/murmuration", console.Handler(c, console.Options{
		Authorize: console.Bearer(map[string]string{"ada": "s3cret"}), Logger: slog.New(slog.DiscardHandler),
	})))
	defer s.Close()
	page := s.URL + "/debug/murmuration/"

	order := []string{
		"place", "-console", page, "-key", file, "-cluster", "shop", "-kind", "force-open", "-service", "payments", "-endpoint", "eu",
		"-for", "30m", "-author", "ada", "-reason", "deploy 4711 corrupts carts",
	}
	if status, _, errs := ctl(t, order...); status != 1 || !strings.Contains(errs, "MURMURCTL_TOKEN") || len(c.Overrides()) != 0 {
		t.Errorf("without a token: %d, %s", status, errs)
	}
	t.Setenv("MURMURCTL_TOKEN", "s3cret")
	if status, out, errs := ctl(t, order...); status != 0 || !strings.Contains(out, "in force: force-open of payments/eu") {
		t.Fatalf("%d, %s%s", status, out, errs)
	}
	o := c.Overrides()[0]
	if o.Author != "ada" || o.Reason != "deploy 4711 corrupts carts" || o.Expires.Sub(o.Issued).Minutes() != 30 {
		t.Errorf("%+v", o)
	}
	elsewhere := slices.Clone(order)
	elsewhere[slices.Index(elsewhere, "shop")] = "another"
	if status, _, errs := ctl(t, elsewhere...); status != 1 || !strings.Contains(errs, "another") || len(c.Overrides()) != 1 {
		t.Errorf("signed for another cluster: %d, %s", status, errs)
	}
	if _, out, _ := ctl(t, "list", "-console", page); !strings.Contains(out, o.ID) || !strings.Contains(out, "payments/eu") {
		t.Errorf("list printed %s", out)
	}
	if status, _, errs := ctl(t, "revoke", "-console", page, "-key", file, "-cluster", "shop", "-id", "nope", "-author", "bob", "-reason", "x"); status != 1 || !strings.Contains(errs, "nope") {
		t.Errorf("%d, %s", status, errs)
	}
	if status, _, errs := ctl(t, "revoke", "-console", page, "-key", file, "-cluster", "shop", "-id", o.ID[:6], "-author", "bob", "-reason", "rolled back"); status != 0 || len(c.Overrides()) != 0 {
		t.Errorf("%d, %s", status, errs)
	}
	if _, out, _ := ctl(t, "list", "-console", page); !strings.Contains(out, "no override is in force in cluster shop") {
		t.Errorf("list printed %s", out)
	}
}

func TestWrongUsage(t *testing.T) {
	for _, tc := range []struct {
		args   string
		status int
		says   string
	}{
		{"", 2, "keygen"},
		{"explode", 2, "usage"},
		{"place", 2, "-console, -key, -cluster, -kind, -service, -reason"},
		{"list -console", 2, "-console"},
		{"list -console x", 1, "no URL"},
		{"list -console http://127.0.0.1:1/", 1, "refused"},
		{"list extra -console", 2, "-console"},
		{"public -key /nonexistent", 1, "no such file"},
		{"list -h", 0, "-console"},
	} {
		status, out, errs := ctl(t, strings.Fields(tc.args)...)
		if status != tc.status || !strings.Contains(out+errs, tc.says) {
			t.Errorf("%q: %d, %s%s", tc.args, status, out, errs)
		}
	}
}
