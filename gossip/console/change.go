package console

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/murmuration-go/murmuration/gossip"
)

const maxBody = 8 << 10 // bytes of a request that changes something

// Bearer returns an Options.Authorize that knows who sends which bearer token: the tokens
// by author. Send them over TLS or within a trusted network only.
func Bearer(tokens map[string]string) func(*http.Request) (author string, err error) {
	sums := map[[sha256.Size]byte]string{}
	for author, token := range tokens {
		if token != "" {
			sums[sha256.Sum256([]byte(token))] = author
		}
	}
	return func(r *http.Request) (author string, err error) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			return "", errors.New("a bearer token is wanted")
		}
		sum := sha256.Sum256([]byte(token))
		for known, who := range sums { // all of them, in the same time whichever it is
			if subtle.ConstantTimeCompare(known[:], sum[:]) == 1 {
				author = who
			}
		}
		if author == "" {
			return "", errors.New("the bearer token is not known")
		}
		return author, nil
	}
}

// order is what a request asks for: an override that is signed already, or what is to be
// signed here.
type order struct {
	Signed []byte `json:"signed"`

	Kind     gossip.OverrideKind `json:"kind"`
	Service  string              `json:"service"`
	Endpoint string              `json:"endpoint"`
	Reason   string              `json:"reason"`
	Seconds  float64             `json:"seconds"` // that it is to be in force

	Revoke string `json:"revoke"` // ID of what is to end
}

// fault is an error with the status that it is answered by.
type fault struct {
	status int
	err    error
}

func (f *fault) Error() string { return f.err.Error() }

func faultf(status int, format string, args ...any) *fault {
	return &fault{status, fmt.Errorf(format, args...)}
}

// overrides tells those in force, and what can be done about them here.
func (h *handler) overrides(w http.ResponseWriter, _ *http.Request) {
	h.json(w, map[string]any{
		"cluster": h.c.Name(), "overrides": list(h.c.Overrides()),
		"writable": h.authorize != nil, "signs": h.signer != nil,
	})
}

// change takes an override, or a revocation.
func (h *handler) change(w http.ResponseWriter, r *http.Request) {
	author, o, err := h.changed(r)
	if err != nil {
		if h.audits.Allow() || author != "" {
			h.log.Warn("console: an override was refused", "by", author, "from", r.RemoteAddr, "error", err)
		}
		status := http.StatusUnprocessableEntity
		var f *fault
		if errors.As(err, &f) {
			status = f.status
		}
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		h.answer(w, status, map[string]string{"error": err.Error()})
		return
	}
	h.log.Warn("console: an override was placed", "by", author, "from", r.RemoteAddr, "override", o.Kind.String(),
		"service", o.Service, "endpoint", o.Endpoint, "revoked", o.Revoked, "id", o.ID)
	h.answer(w, http.StatusCreated, map[string]any{"override": o, "note": h.note(&o)})
}

// note says what an author may not expect of an order that has been taken.
func (h *handler) note(o *gossip.Override) string {
	for _, x := range h.c.Overrides() {
		if x.ID != o.ID && !o.Revoked && x.Outranks(o) {
			return "it has no effect as long as another one is in force: ID " + x.ID + ", by " + x.Author
		}
	}
	known, found := false, false
	for _, e := range h.c.Endpoints() {
		if e.Service == o.Service {
			known = true
			found = found || o.Endpoint == "" || e.Name == o.Endpoint
		}
	}
	switch {
	case !known:
		return "this member does not use that service; others may"
	case !found:
		return "this member does not use that endpoint; others may"
	}
	return ""
}

func (h *handler) changed(r *http.Request) (author string, o gossip.Override, err error) {
	if h.authorize == nil {
		return "", o, faultf(http.StatusForbidden, "this console is read-only: it has no Options.Authorize")
	}
	if err := h.origins.Check(r); err != nil {
		return "", o, &fault{http.StatusForbidden, err}
	}
	if author, err = h.authorize(r); err != nil {
		return "", o, &fault{http.StatusUnauthorized, err}
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		return author, o, faultf(http.StatusUnsupportedMediaType, "the body must be application/json")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case err != nil:
		return author, o, &fault{http.StatusBadRequest, err}
	case len(body) > maxBody:
		return author, o, faultf(http.StatusRequestEntityTooLarge, "the body is over %d bytes", maxBody)
	}
	var want order
	if err := json.Unmarshal(body, &want); err != nil {
		return author, o, faultf(http.StatusBadRequest, "the body is not as it should be: %w", err)
	}
	if want.Signed == nil {
		if want.Signed, err = h.sign(author, &want); err != nil {
			return author, o, err
		}
	}
	o, err = h.c.PlaceOverride(want.Signed)
	return author, o, err
}

// sign makes an override of what an author wants, with this member's key.
func (h *handler) sign(author string, want *order) ([]byte, error) {
	if h.signer == nil {
		return nil, faultf(http.StatusForbidden, "this console signs nothing: it has no Options.Signer; place it with murmurctl")
	}
	if want.Revoke != "" {
		for _, o := range h.c.Overrides() {
			if o.ID == want.Revoke {
				return h.signed(o.Revocation(author, want.Reason, time.Now().UTC().Truncate(time.Second)))
			}
		}
		return nil, faultf(http.StatusNotFound, "no override with the ID %.40q is in force", want.Revoke)
	}
	now := time.Now().UTC().Truncate(time.Second)
	return h.signed(gossip.Override{
		Kind: want.Kind, Service: want.Service, Endpoint: want.Endpoint, Author: author, Reason: want.Reason,
		Issued: now, Expires: now.Add(time.Duration(min(max(want.Seconds, 0), 1e7) * float64(time.Second))),
	})
}

func (h *handler) signed(o gossip.Override) ([]byte, error) {
	b, err := gossip.SignOverride(h.signer, h.c.Name(), o)
	if err != nil {
		return nil, &fault{http.StatusBadRequest, err}
	}
	return b, nil
}

// Validate reports all faults at once.
func (o Options) Validate() error {
	var errs []error
	if o.Signer != nil && len(o.Signer) != ed25519.PrivateKeySize {
		errs = append(errs, fmt.Errorf("console: Options.Signer has %d bytes; an ed25519 private key has %d", len(o.Signer), ed25519.PrivateKeySize))
	}
	if o.Signer != nil && o.Authorize == nil {
		errs = append(errs, errors.New("console: Options.Signer is set and Authorize is not, so that nobody may order anything"))
	}
	return errors.Join(errs...)
}
