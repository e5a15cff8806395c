package failoverhttp

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/murmuration-go/murmuration/failover"
)

func TestJoin(t *testing.T) {
	for _, tc := range []struct{ base, from, want string }{
		{"http://e:81", "https://svc/a?x=1#f", "http://e:81/a?x=1#f"},
		{"https://e", "http://svc/", "https://e/"},
		{"https://e/", "http://svc", "https://e"},
		{"https://e", "/relative?q", "https://e/relative?q"},
		{"http://e/v1", "http://svc/a", "http://e/v1/a"},
		{"http://e/v1/", "http://svc/a/", "http://e/v1/a/"},
		{"http://e/v1", "http://svc", "http://e/v1/"},
		{"http://e/v1", "http://svc?x=1", "http://e/v1/?x=1"},
		{"http://e/v1", "http://svc//a/../b", "http://e/v1//a/../b"},
		{"http://e/v1", "http://svc/a%2Fb", "http://e/v1/a%2Fb"},
		{"http://e/v%2F1", "http://svc/a", "http://e/v%2F1/a"},
		{"http://e/v%2F/", "http://svc/a b", "http://e/v%2F/a%20b"},
		{"http://e/v 1", "http://svc/%61", "http://e/v%201/%61"},
		{"http://e/v1", "http://svc/a?", "http://e/v1/a?"},
		{"http://[::1]:81/v1", "http://svc/a", "http://[::1]:81/v1/a"},
	} {
		from, err := url.Parse(tc.from)
		if err != nil {
			t.Fatal(err)
		}
		b := parseBase(tc.base)
		if b.problem != "" {
			t.Fatal(tc.base, b.problem)
		}
		before := *from
		got := b.join(from, new(url.URL))
		if got.String() != tc.want {
			t.Errorf("%s + %s = %s, want %s", tc.base, tc.from, got, tc.want)
		}
		if *from != before {
			t.Errorf("%s was changed", tc.from)
		}
		if again, err := url.Parse(got.String()); err != nil || again.Path != got.Path {
			t.Errorf("%s: Path %q and RawPath %q do not fit (%v)", got, got.Path, got.RawPath, err)
		}
	}
	b := parseBase("http://e/v1")
	for opaque, want := range map[string]string{
		"//svc/a%2Fb": "https://svc/a%2Fb", "//svc": "https://svc",
	} {
		from := &url.URL{Scheme: "https", Host: "svc", Opaque: opaque}
		want = strings.Replace(want, "https://svc", "http://e/v1", 1)
		if opaque == "//svc" {
			want += "/"
		}
		if got := b.join(from, new(url.URL)).RequestURI(); got != want {
			t.Errorf("opaque %q: %q, want %q", opaque, got, want)
		}
	}
	if got := b.join(&url.URL{Path: "*"}, new(url.URL)).RequestURI(); got != "*" {
		t.Errorf("OPTIONS *: %q", got)
	}
}

func FuzzJoin(f *testing.F) {
	f.Add("http://e/v1", "http://svc/a%2Fb?x=1")
	f.Add("http://e/%2F/", "/a")
	f.Fuzz(func(t *testing.T, base, raw string) {
		from, err := url.Parse(raw)
		if err != nil || from.Opaque != "" || from.Path == "*" {
			return
		}
		b := parseBase(base)
		if b.problem != "" {
			return
		}
		u := b.join(from, new(url.URL))
		if u.Host != b.host || u.RawQuery != from.RawQuery || !strings.HasPrefix(u.Path, b.prefix) ||
			!strings.HasSuffix(u.EscapedPath(), from.EscapedPath()) {
			t.Errorf("%q + %q = %q", base, raw, u)
		}
	})
}

func TestUnfitURL(t *testing.T) {
	for raw, want := range map[string]string{
		"ftp://h":               "http://",
		"h:80":                  "http://",
		"127.0.0.1:80":          "parsed",
		"http://":               "host",
		"http://:80":            "host",
		"http:h":                "host",
		"http://u:secret@h":     "user",
		"http://h?x":            "query",
		"http://h?":             "query",
		"http://h#f":            "fragment",
		"http://u:secret@h:bad": "parsed",
		"u:secret@h%zz":         "http://",
	} {
		b := parseBase(raw)
		if !strings.Contains(b.problem, want) || strings.Contains(b.shown, "secret") {
			t.Errorf("%s: %q, shown as %q", raw, b.problem, b.shown)
		}
	}
}

func TestParsedURLsAreBounded(t *testing.T) {
	tr := new(Transport)
	r := &http.Request{URL: &url.URL{Path: "/"}}
	for i := range 3 * maxURLs {
		e := failover.Endpoint{URL: "http://h/" + strings.Repeat("x", i)}
		if _, _, err := tr.direct(r, e, new(url.URL)); err != nil {
			t.Fatal(err)
		}
		if n := len(*tr.urls.Load()); n > maxURLs {
			t.Fatalf("%d URLs are held", n)
		}
	}
}

func TestToken(t *testing.T) {
	for s, want := range map[string]bool{"": false, "GET": true, "x-1.~": true, "a b": false, "a\n": false, "é": false, "a:": false} {
		if isToken(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}
