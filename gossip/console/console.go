package console

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/murmuration-go/murmuration/gossip"
)

// Options are what a Handler may be told. The zero value will do.
type Options struct {
	// Logger receives a line for each viewer that is turned away or too slow, and for
	// each request that changes something, refused or not.
	// Default: slog.Default at the time of Handler.
	Logger *slog.Logger

	// Authorize tells who sends a request that changes something, which becomes the
	// author of what is ordered on the page, or why that may not be. It is called for
	// no other request. Default: nobody may; the console is read-only. See Bearer.
	Authorize func(r *http.Request) (author string, err error)

	// Signer is an operator's key, by which this process signs what is ordered on its
	// page: whoever breaks into the process has it. Default: only overrides that are
	// signed elsewhere are taken, as murmurctl sends them.
	Signer ed25519.PrivateKey
}

//go:embed web
var web embed.FS

// pages are the files of the page by the path that they are served at.
var pages = map[string]struct{ file, kind string }{
	"":                        {"index.html", "text/html; charset=utf-8"},
	"app.js":                  {"app.js", script},
	"page.js":                 {"page.js", script},
	"overrides.js":            {"overrides.js", script},
	"plots.js":                {"plots.js", script},
	"words.js":                {"words.js", script},
	"style.css":               {"style.css", style},
	"icon.svg":                {"icon.svg", "image/svg+xml"},
	"uplot/uPlot.iife.min.js": {"uplot/uPlot.iife.min.js", script},
	"uplot/uPlot.min.css":     {"uplot/uPlot.min.css", style},
	"uplot/LICENSE":           {"uplot/LICENSE", "text/plain; charset=utf-8"},
}

const mostBusy = 4

const (
	placing = "api/v1/overrides" // the one path that takes more than GET

	script = "text/javascript; charset=utf-8"
	style  = "text/css; charset=utf-8"
)

// handler serves one member's console.
type handler struct {
	c      *gossip.Cluster
	log    *slog.Logger
	routes map[string]http.HandlerFunc
	board  board

	authorize func(*http.Request) (string, error) // nil: read-only
	signer    ed25519.PrivateKey
	origins   *http.CrossOriginProtection

	busy   chan struct{} // one for each answer that takes long to make
	audits *rate.Limiter // of lines about requests that were refused

	mu      sync.Mutex
	viewers int
	ending  map[*http.Server]chan struct{} // closed when it shuts down
}

// Handler returns the console of a member; see the package's comment. It has the
// member record its history from now on. It is safe for concurrent use, and keeps no
// goroutine of its own. It panics on Options that Options.Validate refuses.
func Handler(c *gossip.Cluster, o Options) http.Handler {
	if err := o.Validate(); err != nil {
		panic(err)
	}
	h := &handler{
		c: c, log: o.Logger, board: board{c: c, writable: o.Authorize != nil, signs: o.Signer != nil}, ending: map[*http.Server]chan struct{}{},
		authorize: o.Authorize, signer: o.Signer, origins: http.NewCrossOriginProtection(),
		busy: make(chan struct{}, mostBusy), audits: rate.NewLimiter(1, 10),
	}
	if h.log == nil {
		h.log = slog.Default()
	}
	c.History("", time.Now())
	h.routes = map[string]http.HandlerFunc{
		"api/v1/snapshot":  h.snapshot,
		"api/v1/health":    func(w http.ResponseWriter, _ *http.Request) { h.json(w, c.Health()) },
		"api/v1/members":   func(w http.ResponseWriter, _ *http.Request) { h.json(w, list(c.Members())) },
		"api/v1/endpoints": h.few(func(w http.ResponseWriter, _ *http.Request) { h.json(w, list(endpoints(c, c.Decisions(allDecisions)))) }),
		"api/v1/decisions": h.few(h.decisions),
		"api/v1/history":   h.few(h.history),
		placing:            h.overrides,
		"api/v1/stream":    h.stream,
	}
	for at, p := range pages {
		h.routes[at] = static(p.file, p.kind)
	}
	return h
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Content-Security-Policy", "default-src 'self'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("Cache-Control", "no-store")
	at, known := h.route(r)
	switch {
	case !known:
		http.Error(w, "there is no such page of the console", http.StatusNotFound)
	case at == "" && !strings.HasSuffix(r.URL.Path, "/"): // relative links would miss
		p, _, _ := strings.Cut(r.RequestURI, "?")
		head.Set("Location", "./"+path.Base(p)+"/")
		w.WriteHeader(http.StatusTemporaryRedirect)
	case at == placing && r.Method == http.MethodPost:
		h.change(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		allow := "GET, HEAD"
		if at == placing {
			allow += ", POST"
		}
		head.Set("Allow", allow)
		http.Error(w, "the console is read by GET; overrides alone are placed, by POST", http.StatusMethodNotAllowed)
	default:
		h.routes[at](w, r)
	}
}

// route finds which of the routes a path is. Where the path that the handler is mounted
// at is not known, for another router than http.ServeMux has called it, the end says.
func (h *handler) route(r *http.Request) (at string, known bool) {
	p := strings.TrimPrefix(r.URL.Path, "/")
	_, mount, _ := strings.Cut(r.Pattern, "/") // a pattern is [METHOD ][HOST]/[PATH]
	at = strings.TrimPrefix(p, mount)
	if h.routes[at] != nil {
		return at, true
	}
	for more := r.Pattern == "" || strings.Contains(mount, "{"); more; {
		if _, p, more = strings.Cut(p, "/"); more && h.routes[p] != nil {
			return p, true
		}
	}
	return "", false
}

func static(file, kind string) http.HandlerFunc {
	body, err := web.ReadFile("web/" + file)
	if err != nil {
		panic(err) // the file is compiled in
	}
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "no-cache") // ask each time whether it has changed
		w.Header().Set("ETag", tag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	}
}

// few has at most mostBusy requests at work at one time, for each may take megabytes.
func (h *handler) few(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case h.busy <- struct{}{}:
			defer func() { <-h.busy }()
			serve(w, r)
		default:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "others are asking for as much; try again in a moment", http.StatusServiceUnavailable)
		}
	}
}

// json answers with a value.
func (h *handler) json(w http.ResponseWriter, v any) { h.answer(w, http.StatusOK, v) }

// answer answers with a status and a value. All of ours can be written.
func (h *handler) answer(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		h.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a viewer that has gone needs no answer
}

func (h *handler) fail(w http.ResponseWriter, err error) {
	h.log.Error("console: no JSON", "error", err)
	http.Error(w, "the state could not be written as JSON", http.StatusInternalServerError)
}

func write(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // a viewer that has gone needs no answer
}

// list makes an empty list of none.
func list[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}
