package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/murmuration-go/murmuration/gossip"
)

// remote is a member's console.
type remote struct{ at string }

// state is what a console tells of overrides.
type state struct {
	Cluster   string            `json:"cluster"`
	Overrides []gossip.Override `json:"overrides"`
}

// find finds an override by its ID or the beginning of it.
func (s *state) find(id string) (found gossip.Override, err error) {
	n := 0
	for _, o := range s.Overrides {
		if strings.HasPrefix(o.ID, id) {
			found = o
			n++
		}
	}
	switch n {
	case 0:
		return found, fmt.Errorf("no override in force has an ID that begins with %s", id)
	case 1:
		return found, nil
	}
	return found, fmt.Errorf("%d overrides have an ID that begins with %s; give more of it", n, id)
}

func (r *remote) list(ctx context.Context) (s state, err error) {
	return s, r.do(ctx, http.MethodGet, nil, &s)
}

func (r *remote) place(ctx context.Context, signed []byte) (o gossip.Override, note string, err error) {
	var answer struct {
		Override gossip.Override `json:"override"`
		Note     string          `json:"note"`
	}
	err = r.do(ctx, http.MethodPost, map[string][]byte{"signed": signed}, &answer)
	return answer.Override, answer.Note, err
}

const (
	patience  = 10 * time.Second
	maxAnswer = 1 << 20
)

func (r *remote) do(ctx context.Context, method string, body, answer any) error {
	base, err := url.Parse(strings.TrimSuffix(r.at, "/") + "/")
	if err != nil || base.Host == "" {
		return fmt.Errorf("-console %q is no URL such as http://10.0.0.7:6060/debug/murmuration/", r.at)
	}
	var b bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&b).Encode(body); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, base.JoinPath("api/v1/overrides").String(), &b)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token := os.Getenv("MURMURCTL_TOKEN"); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		var fault struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(data, &fault) != nil || fault.Error == "" {
			fault.Error = strings.TrimSpace(string(data))
		}
		return errors.Join(fmt.Errorf("the console says %s: %s", resp.Status, fault.Error), hint(resp.StatusCode))
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return fmt.Errorf("%s does not answer like a console: %w", base, err)
	}
	return nil
}

// hint says what to do about an answer.
func hint(status int) error {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return errors.New("set MURMURCTL_TOKEN if the console wants a bearer token")
	case http.StatusNotFound:
		return errors.New("-console is the URL of the console's page")
	}
	return nil
}
