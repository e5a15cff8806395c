package failoverhttp

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/murmuration-go/murmuration/failover"
)

// baseURL is an endpoint's URL, parsed once.
type baseURL struct {
	scheme, host    string
	prefix, escaped string // path without the last slash, plain and escaped
	problem, shown  string // why it cannot be used, if so, and what to show of it
}

// maxURLs bounds the parsed URLs held, for groups whose endpoints keep changing.
const maxURLs = 8 * failover.MaxEndpoints

func (t *Transport) parsed(raw string) *baseURL {
	old := t.urls.Load()
	if old != nil {
		if b := (*old)[raw]; b != nil {
			return b
		}
	}
	b := parseBase(raw)
	next := map[string]*baseURL{}
	if old != nil && len(*old) < maxURLs {
		next = maps.Clone(*old)
	}
	next[raw] = b
	t.urls.CompareAndSwap(old, &next) // who loses parses once more
	return b
}

func parseBase(raw string) *baseURL {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return &baseURL{shown: redacted(raw), problem: "cannot be parsed"}
	case u.Scheme != "http" && u.Scheme != "https":
		return &baseURL{shown: redacted(raw), problem: "does not begin with http:// or https://"}
	case u.Hostname() == "":
		return &baseURL{shown: u.Redacted(), problem: "has no host"}
	case u.User != nil:
		return &baseURL{shown: u.Redacted(), problem: "has a user in it, who would not be sent; set the Authorization header"}
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return &baseURL{shown: u.Redacted(), problem: "has a query or a fragment, which a base URL cannot have"}
	}
	b := &baseURL{scheme: u.Scheme, host: u.Host, prefix: u.Path, escaped: u.EscapedPath()}
	if s, ok := strings.CutSuffix(b.escaped, "/"); ok {
		b.prefix, b.escaped = b.prefix[:len(b.prefix)-1], s
	}
	return b
}

// direct returns the URL and the Host that a request gets at an endpoint. It may
// write the URL to room.
func (t *Transport) direct(r *http.Request, e failover.Endpoint, room *url.URL) (*url.URL, string, error) {
	switch {
	case r.URL == nil:
		return nil, "", errors.New("failoverhttp: request has no URL")
	case e.URL == "":
		return r.URL, r.Host, nil
	}
	b := t.parsed(e.URL)
	if b.problem != "" {
		return nil, "", fmt.Errorf("failoverhttp: endpoint %q of service %q: URL %q %s",
			e.Name, t.group.Service(), b.shown, b.problem)
	}
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	if !t.PreserveHost && host == r.URL.Host {
		host = b.host
	}
	return b.join(r.URL, room), host, nil
}

// join returns u, made the URL of a request at the endpoint. The path is not cleaned,
// and stays escaped as it was.
func (b *baseURL) join(from, u *url.URL) *url.URL {
	*u = *from
	u.Scheme, u.Host = b.scheme, b.host
	if rest, ok := strings.CutPrefix(u.Opaque, "//"); ok {
		_, path, _ := strings.Cut(rest, "/")
		u.Opaque = "//" + b.host + b.escaped + "/" + path
		return u
	}
	if b.escaped == "" || u.Opaque != "" || u.Path == "*" {
		return u
	}
	slash := ""
	if !strings.HasPrefix(u.Path, "/") {
		slash = "/"
	}
	if b.prefix != b.escaped || u.RawPath != "" {
		u.RawPath = b.escaped + slash + from.EscapedPath()
	}
	u.Path = b.prefix + slash + u.Path
	return u
}

// redacted hides what stands before the @ of what may not even be a URL.
func redacted(raw string) string {
	i := strings.LastIndexByte(raw, '@')
	if i < 0 {
		return raw
	}
	scheme, _, ok := strings.Cut(raw[:i], "://")
	if !ok {
		return "xxxxx" + raw[i:]
	}
	return scheme + "://xxxxx" + raw[i:]
}
