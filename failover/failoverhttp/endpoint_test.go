package failoverhttp_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/retry"
)

func TestEndpointGetsRequest(t *testing.T) {
	echo := server(t, func(n int, w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Host, r.RequestURI)
	})
	host := strings.TrimPrefix(echo.URL, "http://")
	for _, tc := range []struct {
		name, endpoint, url, host string
		preserve                  bool
		want                      string
	}{
		{name: "plain", endpoint: echo.URL, url: "https://svc/a?q=1#f", want: host + " /a?q=1"},
		{name: "prefix", endpoint: echo.URL + "/v1", url: "http://svc/a%2Fb", want: host + " /v1/a%2Fb"},
		{name: "relative", endpoint: echo.URL, url: "/a", want: host + " /a"},
		{name: "explicit host", endpoint: echo.URL, url: "http://svc/", host: "tenant", want: "tenant /"},
		{name: "same host", endpoint: echo.URL, url: "http://svc/", host: "svc", want: host + " /"},
		{name: "preserve", endpoint: echo.URL, url: "http://svc:8/", preserve: true, want: "svc:8 /"},
		{name: "preserve explicit", endpoint: echo.URL, url: "http://svc/", host: "tenant", preserve: true, want: "tenant /"},
		{name: "no endpoint URL", url: echo.URL + "/a?b", want: host + " /a?b"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := failover.Config{Endpoints: []failover.Endpoint{{Name: "a", URL: tc.endpoint}}}
			s := newSetup(t, c, nil)
			s.transport.PreserveHost = tc.preserve
			req := request(t, "GET", tc.url, "")
			if tc.host != "" {
				req.Host = tc.host
			}
			if _, got := read2(s.client.Do(req))(t); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// tlsServer has httptest's certificate, for example.com and 127.0.0.1.
func tlsServer(t *testing.T, fn http.HandlerFunc) *httptest.Server {
	s := httptest.NewUnstartedServer(fn)
	s.Config.ErrorLog = quietLog
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func TestTLSServerNameIsEndpoints(t *testing.T) {
	names := make(chan string, 1)
	srv := tlsServer(t, func(w http.ResponseWriter, r *http.Request) { names <- r.TLS.ServerName + " " + r.Host })
	base := srv.Client().Transport.(*http.Transport) // which dials example.com at srv
	for _, preserve := range []bool{false, true} {
		s := newSetup(t, failover.Config{}, base, "https://example.com")
		s.transport.PreserveHost = preserve
		if code, _ := read2(s.client.Get("http://svc/"))(t); code != 200 {
			t.Errorf("got %d", code)
		}
		want := "example.com example.com"
		if preserve {
			want = "example.com svc"
		}
		if got := <-names; got != want {
			t.Errorf("server name and Host are %q, want %q", got, want)
		}
	}
}

// A certificate that does not verify is not tried again, but counted.
func TestTLSFaults(t *testing.T) {
	srv := tlsServer(t, func(http.ResponseWriter, *http.Request) {})
	plain := server(t, statuses(200))

	s := newSetup(t, failover.Config{}, nil, srv.URL)
	_, err := s.client.Get("http://svc/")
	var unknown x509.UnknownAuthorityError
	var e *retry.Error
	if !errors.As(err, &unknown) || !errors.As(err, &e) || e.Attempts != 1 {
		t.Errorf("unknown authority: %v", err)
	}
	s.Want(t, failure)

	s = newSetup(t, failover.Config{}, nil, strings.Replace(plain.URL, "http:", "https:", 1))
	_, err = s.client.Get("http://svc/")
	var record tls.RecordHeaderError
	if !errors.As(err, &record) || !errors.As(err, &e) || e.Attempts != 1 {
		t.Errorf("no TLS: %v", err)
	}
	s.Want(t, failure)

	s = newSetup(t, failover.Config{}, srv.Client().Transport, strings.Replace(srv.URL, "127.0.0.1", "localhost", 1))
	_, err = s.client.Get("http://svc/")
	var name x509.HostnameError
	if !errors.As(err, &name) || !errors.As(err, &e) || e.Attempts != 1 {
		t.Errorf("wrong name: %v", err)
	}
	s.Want(t, failure)
}

func TestUnfitEndpointURL(t *testing.T) {
	c := failover.Config{Endpoints: []failover.Endpoint{{Name: "east", URL: "dns:///svc:443"}}}
	s := newSetup(t, c, nil)
	body := &trackedBody{}
	req := request(t, "PUT", "http://svc/", "")
	req.Body = body
	_, err := s.client.Do(req)
	for _, part := range []string{`"east"`, `"svc"`, `"dns:///svc:443"`, "http://"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v does not name %s", err, part)
		}
	}
	body.wantClosed(t)
	s.Want(t, neutral)
}

// An unfit endpoint met on a retry must not cost the response that is there.
func TestUnfitEndpointURLOnRetry(t *testing.T) {
	srv := server(t, statuses(503))
	s := newSetup(t, failover.Config{}, nil, srv.URL, "ftp://b")
	if code, body := read2(s.client.Get("http://svc/"))(t); code != 503 || body != "answer 1" {
		t.Errorf("got %d %q", code, body)
	}
	s.Want(t, failure, neutral)
}

// What net/http refuses to send is nobody's failure.
func TestUnfitRequest(t *testing.T) {
	srv := server(t, statuses(200))
	for name, spoil := range map[string]func(*http.Request){
		"no URL":       func(r *http.Request) { r.URL = nil },
		"no header":    func(r *http.Request) { r.Header = nil },
		"method":       func(r *http.Request) { r.Method = "G T" },
		"header name":  func(r *http.Request) { r.Header["a b"] = []string{"c"} },
		"header value": func(r *http.Request) { r.Header["A"] = []string{"b\nc"} },
		"trailer":      func(r *http.Request) { r.Trailer = http.Header{"A\x00": nil} },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetup(t, failover.Config{}, nil, srv.URL)
			body := &trackedBody{Reader: strings.NewReader("x")}
			req := request(t, "PUT", "http://svc/", "")
			req.Body = body
			spoil(req)
			if resp, err := s.transport.RoundTrip(req); err == nil || resp != nil {
				t.Errorf("got %v, %v", resp, err)
			}
			body.wantClosed(t)
			s.Want(t, neutral)
		})
	}
	for _, raw := range []string{"gopher://svc/", "http:///path", "/path"} {
		t.Run(raw, func(t *testing.T) {
			c := failover.Config{Endpoints: []failover.Endpoint{{Name: "a"}}}
			s := newSetup(t, c, nil)
			_, err := s.client.Get(raw)
			var ue *url.Error
			if !errors.As(err, &ue) {
				t.Errorf("got %v", err)
			}
			s.Want(t, neutral)
		})
	}
}
