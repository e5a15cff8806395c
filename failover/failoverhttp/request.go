package failoverhttp

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
)

// request is what an attempt sends, in one allocation.
type request struct {
	http.Request
	url url.URL
}

// copied returns a shallow copy of a request with another context, or the same, as it
// is for first attempts that no policy bounds. Only pointers are compared: to compare
// other contexts may panic.
func (r *request) copied(ctx context.Context, from *http.Request) *http.Request {
	if reflect.TypeOf(ctx).Kind() != reflect.Pointer || ctx != from.Context() {
		return from.WithContext(ctx)
	}
	r.Request = *from
	return &r.Request
}
