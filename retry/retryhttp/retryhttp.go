// Package retryhttp makes HTTP servers and clients one tier among others: it
// carries the number of earlier attempts to the server, and back the answer that
// a retry is no use.
//
// A server wraps its handler, and makes its calls with the request's context:
//
//	http.ListenAndServe(addr, retryhttp.Handler(mux))
//
// A client that sends through failoverhttp needs nothing more. Any other calls
// Set before it sends and asks Refused of the response.
//
// # On the wire
//
// The request header Murmuration-Previous-Attempts is how many attempts to do the
// same came before, of this client and of those it serves:
//
//	Murmuration-Previous-Attempts: 2
//
// It is made of decimal digits, is sent as a number from 1 to 10, and is absent
// for 0. Larger numbers are read as 10. Of several header fields the largest
// counts; one that is anything but digits, also a list of numbers, is passed
// over. No value of it fails a request.
//
// The response header Murmuration-Retry with the value "no", in any case, tells
// the client not to retry. It comes with status 429 and from 500 on. Other values
// mean nothing, and of several header fields one "no" is enough.
//
// Both are for clients and servers that trust each other. Who sends a large
// number makes the retries below its own request dearer; a server that strangers
// reach may remove the header before it gets here.
package retryhttp

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/retry"
)

// The headers, in canonical form.
const (
	PreviousAttempts = "Murmuration-Previous-Attempts" // of requests
	Retry            = "Murmuration-Retry"             // of responses
)

const no = "no"

// Handler returns a handler that serves each request by next, with a context that
// has the number of earlier attempts that the request tells of, 0 if none (see
// retry.WithPrevious). If the context is discouraged (see retry.Discouraged) when
// next writes a status of 429 or from 500 on, the client is told not to retry.
//
// The ResponseWriter given to next is an http.Flusher, http.Hijacker or
// http.Pusher if the server's is one, has ReadFrom and WriteString, and unwraps
// to the server's for an http.ResponseController.
func Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := retry.WithPrevious(r.Context(), coord.ReadPrevious(r.Header[PreviousAttempts]...))
		next.ServeHTTP(wrap(ctx, w), r.WithContext(ctx))
	})
}

// Set puts the number of earlier attempts, as retry.Previous has it of the
// context of an attempt, into the headers of its request. If it is 0 the header
// is removed. It is for requests to one's own servers; from those to others
// remove the header, should they have been copied from a request received.
func Set(ctx context.Context, h http.Header) {
	if n := retry.Previous(ctx); n > 0 {
		h.Set(PreviousAttempts, strconv.Itoa(n))
		return
	}
	h.Del(PreviousAttempts)
}

// Refused reports whether the headers of a response say not to retry. The error
// of the attempt should then be marked by retry.After with a negative duration,
// which ends the call and passes the word on.
func Refused(h http.Header) bool {
	return slices.ContainsFunc(h[Retry], func(v string) bool { return strings.EqualFold(v, no) })
}
