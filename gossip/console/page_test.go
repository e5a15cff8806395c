package console_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/murmuration-go/murmuration/gossip/console"
)

// The console works wherever it is mounted, and knows what is not its own.
func TestMounts(t *testing.T) {
	h := console.Handler(nil, quiet)
	under := func(pattern string, h http.Handler) http.Handler {
		m := http.NewServeMux()
		m.Handle(pattern, h)
		return m
	}
	for _, tt := range []struct {
		name    string
		h       http.Handler
		at      string
		unknown []string
	}{
		{"at the root", h, "/", []string{"nonsense"}},
		{"under a mux", under(mount, h), mount, []string{"nonsense", "nonsense/", "x/app.js", "api/v1/", "api/v2/health"}},
		{"under a mux, for GET only", under("GET "+mount, h), mount, []string{"nonsense/"}},
		{"under a mux at the root", under("/", h), "/", []string{"nonsense/", "debug/api/v1/health"}},
		{"below what varies", under("/{who}/console/", h), "/me/console/", []string{"nonsense"}},
		{"stripped", under(mount, http.StripPrefix("/debug/murmuration", h)), mount, []string{"nonsense", "nonsense/"}},
		{"by another router", h, "/a/b/", []string{"nonsense"}},
	} {
		for _, p := range paths {
			rec := httptest.NewRecorder()
			tt.h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, tt.at+p, nil))
			if rec.Code != http.StatusOK || rec.Body.Len() == 0 {
				t.Errorf("%s: %s: %d %s", tt.name, tt.at+p, rec.Code, rec.Body)
			}
		}
		for _, p := range tt.unknown {
			rec := httptest.NewRecorder()
			tt.h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, tt.at+p, nil))
			if rec.Code != http.StatusNotFound {
				t.Errorf("%s: %s: %d", tt.name, tt.at+p, rec.Code)
			}
		}
	}
	for _, h := range []http.Handler{http.StripPrefix("/debug/murmuration", h), under("/debug/murmuration", h)} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/debug/murmuration?x=/y", nil))
		if rec.Code != http.StatusTemporaryRedirect || rec.Header().Get("Location") != "./murmuration/" {
			t.Errorf("without the slash: %d to %s", rec.Code, rec.Header().Get("Location"))
		}
	}
}

func TestHeadersAndMethods(t *testing.T) {
	h := console.Handler(nil, quiet)
	do := func(method, path string, head ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, nil)
		if len(head) > 0 {
			r.Header.Set(head[0], head[1])
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return rec
	}
	for _, p := range append([]string{"nonsense"}, paths...) {
		rec := do(http.MethodGet, "/"+p)
		head := rec.Header()
		for k, want := range map[string]string{
			"Content-Security-Policy": "default-src 'self'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
			"X-Content-Type-Options":  "nosniff",
			"Referrer-Policy":         "no-referrer",
		} {
			if head.Get(k) != want {
				t.Errorf("%s: %s is %q", p, k, head.Get(k))
			}
		}
		tag := head.Get("ETag")
		if strings.HasPrefix(p, "api/") || p == "nonsense" {
			if head.Get("Cache-Control") != "no-store" || tag != "" {
				t.Errorf("%s may be kept: %v", p, head)
			}
		} else if again := do(http.MethodGet, "/"+p, "If-None-Match", tag); head.Get("Cache-Control") != "no-cache" || again.Code != http.StatusNotModified || again.Body.Len() > 0 {
			t.Errorf("%s: %v, asked again %d", p, head, again.Code)
		}
		if p == "nonsense" {
			continue
		}
		if rec := do(http.MethodHead, "/"+p); rec.Code != http.StatusOK || rec.Header().Get("Content-Type") != head.Get("Content-Type") {
			t.Errorf("HEAD %s: %d %v", p, rec.Code, rec.Header())
		}
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
			status, allow := http.StatusMethodNotAllowed, "GET, HEAD"
			if p == "api/v1/overrides" {
				if allow += ", POST"; method == http.MethodPost {
					status, allow = http.StatusForbidden, ""
				}
			}
			if rec := do(method, "/"+p); rec.Code != status || rec.Header().Get("Allow") != allow {
				t.Errorf("%s %s: %d, allows %q", method, p, rec.Code, rec.Header().Get("Allow"))
			}
		}
	}
}

// Nothing comes from elsewhere, nothing is inline, and data never become markup.
func TestPageKeepsToItself(t *testing.T) {
	bad := map[string]*regexp.Regexp{
		".html": regexp.MustCompile(`(?i)https?:|="//|="/|<style|style=|\son\w+=|<script>|<script [^>]*>[^<]`),
		".js":   regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|https?://|["'\x60]/`),
		".css":  regexp.MustCompile(`(?i)https?:|url\(|@import`),
	}
	files, err := filepath.Glob("web/*")
	if err != nil || len(files) < 7 {
		t.Fatal(files, err)
	}
	served := strings.Join(paths, " ") + " index.html"
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // a folder
		}
		if re := bad[filepath.Ext(name)]; re != nil {
			if at := re.Find(b); at != nil {
				t.Errorf("%s has %q", name, at)
			}
		}
		if !strings.Contains(served, filepath.Base(name)) {
			t.Errorf("%s is not served", name)
		}
	}
}

// The vendored files are the published ones.
func TestVendored(t *testing.T) {
	note, err := os.ReadFile("web/uplot/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"uPlot.iife.min.js", "uPlot.min.css", "LICENSE"} {
		b, err := os.ReadFile(filepath.Join("web/uplot", name))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		if !strings.Contains(string(note), hex.EncodeToString(sum[:])+"  "+name+"\n") {
			t.Errorf("%s has the sum %x", name, sum)
		}
	}
}
