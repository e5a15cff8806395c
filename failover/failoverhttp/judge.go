package failoverhttp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
	"github.com/murmuration-go/murmuration/failover/internal/unsent"
	"github.com/murmuration-go/murmuration/retry"
	"github.com/murmuration-go/murmuration/retry/retryhttp"
)

// StatusError stands for a response that is no success, in hooks, in
// retry.Policy.Retryable and in breaker.Config.Classify. The caller of
// RoundTrip gets the response itself.
type StatusError struct {
	StatusCode int
}

func (e *StatusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("HTTP status %d %s", e.StatusCode, http.StatusText(e.StatusCode)))
}

// isFailure reports whether a status is evidence against the endpoint.
func isFailure(code int) bool {
	return code >= 500 && code <= 599 &&
		code != http.StatusNotImplemented && code != http.StatusHTTPVersionNotSupported
}

func isRetryable(code int) bool {
	switch code {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// judgeStatus says what a response is to the retry loop and the breaker: nil is
// a success. That a retry is no use is for internal endpoints to say; from others
// it is removed, lest it be taken for such a word further up.
func (a *attempt) judgeStatus(resp *http.Response, internal bool) error {
	if !internal {
		delete(resp.Header, retryhttp.Retry)
	}
	code := resp.StatusCode
	if code == http.StatusSwitchingProtocols || code >= 200 && code <= 399 {
		return nil
	}
	var err error = &StatusError{StatusCode: code}
	if !isFailure(code) {
		err = breaker.Neutral(err)
	}
	if (code >= 500 || code == http.StatusTooManyRequests) && retryhttp.Refused(resp.Header) && !a.gone() {
		return retry.After(err, -1)
	}
	if !isRetryable(code) {
		return retry.Permanent(err)
	}
	if d, ok := a.t.retryAfter(resp.Header, time.Now()); ok {
		err = retry.After(err, d) // which others heed, even if this call cannot be retried
	}
	if !a.idempotent || !a.rewindable(true) || a.gone() {
		return retry.Permanent(err)
	}
	a.watch()
	return err
}

// judge says what a transport error is to the retry loop and the breaker.
// Certificates that do not verify are evidence, so that an endpoint whose
// certificate has run out is left for another one.
func (a *attempt) judge(sent *http.Request, err error) error {
	switch {
	case a.gone(): // the loop sees that for itself
		return err
	case a.loop.Err() != nil:
		err = late(context.Cause(a.loop), err)
	case unfit(sent):
		return &unsent.Error{Err: err}
	case a.body.brokeItself():
		return retry.Permanent(breaker.Neutral(err))
	case isTLSFault(err):
		return retry.Permanent(err)
	}
	if !a.idempotent && !a.seen.nothingSent(err) || !a.rewindable(false) {
		return retry.Permanent(err)
	}
	a.watch()
	return err
}

// late makes the error of an attempt that was cut off one by its cause. What
// the base makes of it is only quoted, for it may well be context.Canceled,
// which here would be a lie.
func late(cause, err error) error {
	if errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w (%s)", cause, err.Error()) // only the cause is for errors.Is: err may claim another
}

// nothingSent reports whether it is certain that an attempt sent nothing. A base
// that tells httptrace nothing is believed only if it could not connect.
func (s *sightings) nothingSent(err error) bool {
	if s.got.Load() {
		return false
	}
	var op *net.OpError
	var dns *net.DNSError
	return s.asked.Load() || errors.As(err, &op) && op.Op == "dial" || errors.As(err, &dns)
}

func isTLSFault(err error) bool {
	var (
		verify  *tls.CertificateVerificationError
		record  tls.RecordHeaderError
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	return errors.As(err, &verify) || errors.As(err, &record) ||
		errors.As(err, &unknown) || errors.As(err, &host) || errors.As(err, &invalid)
}

// unfit reports whether a request is one that http.Transport refuses to send; it
// has no error of its own to tell that by.
func unfit(r *http.Request) bool {
	if r.URL.Scheme != "http" && r.URL.Scheme != "https" || r.URL.Host == "" || r.Header == nil {
		return true
	}
	if r.Method != "" && !isToken(r.Method) {
		return true
	}
	for _, h := range []http.Header{r.Header, r.Trailer} {
		for name, values := range h {
			if !isToken(name) {
				return true
			}
			for _, v := range values {
				if strings.ContainsFunc(v, isControl) {
					return true
				}
			}
		}
	}
	return false
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// isToken follows RFC 9110, section 5.6.2.
func isToken(s string) bool {
	const special = "!#$%&'*+-.^_`|~"
	for i := range len(s) {
		switch b := s[i]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		case strings.IndexByte(special, b) < 0:
			return false
		}
	}
	return s != ""
}
